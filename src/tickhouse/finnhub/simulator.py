"""Serve Finnhub's WebSocket protocol from a recording or from the synthetic market."""

import asyncio
import ipaddress
import socket
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from tickhouse.clock import Clock, SystemClock
from tickhouse.errors import ServiceFailed
from tickhouse.finnhub.asgi import EmbeddedServer, server_config
from tickhouse.finnhub.audience import Connection
from tickhouse.finnhub.faults import FaultPlan, decode_fault
from tickhouse.finnhub.pacing import AsFastAsRead, AtSpeed, Pace, RealTime
from tickhouse.finnhub.playback import Playback
from tickhouse.finnhub.source import FrameSource
from tickhouse.log import get_logger

__all__ = ["Simulator", "SimulatorConfig"]

log = get_logger("finnhub.simulator")
POLL_S = 0.05
Endpoint = Callable[[Request], Coroutine[None, None, Response]]


@dataclass(frozen=True, slots=True)
class SimulatorConfig:
    """Say where to listen and how to play.

    Port 0 takes a free one. `speed` is that of a recording: N times market time, or None for as fast as the clients
    read. The synthetic market knows no speed: its history goes out as fast as they read, the rest in real time.
    """

    host: str = "127.0.0.1"
    port: int = 0
    keys: tuple[str, ...] = field(default=("demo",), repr=False)
    speed: float | None = None
    ping_every_s: float = 60.0
    faults: FaultPlan = field(default_factory=FaultPlan)


class _Subscription(msgspec.Struct, frozen=True):
    type: Literal["subscribe", "unsubscribe"]
    symbol: str


class Simulator:
    """Play a source to clients that can't tell it from Finnhub, and take orders on `/control` from this machine.

    `ready` is set when it listens; `caught_up` when all of a recording, or the synthetic market's history, was sent.
    What happens while nobody listens is `Playback`'s to say.
    """

    def __init__(self, source: FrameSource, config: SimulatorConfig | None = None, clock: Clock | None = None) -> None:
        self.config = SimulatorConfig() if config is None else config
        self.ready = threading.Event()
        pace = _pace(source, self.config.speed, SystemClock() if clock is None else clock)
        self._playback = Playback(source, pace, self.config.faults)
        self._audience = self._playback.audience
        self._port = self.config.port

    @property
    def url(self) -> str:
        """Return the WebSocket URL, without a key; its port is known once `ready` is set."""
        host = "127.0.0.1" if self.config.host == "0.0.0.0" else self.config.host  # noqa: S104  # compared, not bound
        return f"ws://[{host}]:{self._port}" if ":" in host else f"ws://{host}:{self._port}"

    @property
    def caught_up(self) -> threading.Event:
        """Return the event that is set when all that lies in the past was sent."""
        return self._playback.caught_up

    @property
    def frames_sent(self) -> int:
        """Return how many trade messages went out, repeats included, over all clients."""
        return self._playback.frames_sent

    @property
    def trades_sent(self) -> int:
        """Return how many prints they carried."""
        return self._playback.trades_sent

    @property
    def faults_injected(self) -> dict[str, int]:
        """Return how often each kind of fault happened."""
        return {kind: count for kind, count in self._playback.faults.injected.items() if count}

    @property
    def now_us(self) -> int:
        """Return the market time."""
        return self._playback.now_us

    def run(self, stop: threading.Event) -> None:
        """Serve until `stop` is set; raise `ServiceFailed` where the port can't be had."""
        host, port = self.config.host, self.config.port
        try:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            listener = socket.create_server((host, port), family=family)
        except OSError as error:
            reason = error.strerror or str(error)
            raise ServiceFailed(
                f"the simulator can't listen on {host}:{port} ({reason}): end what listens there or choose another port"
            ) from error
        self._port = listener.getsockname()[1]
        with listener:
            asyncio.run(self._serve(listener, stop))

    async def _serve(self, listener: socket.socket, stop: threading.Event) -> None:
        server = EmbeddedServer(server_config(self._app()))
        serving = asyncio.create_task(server.serve([listener]))
        playing = asyncio.create_task(self._playback.play())
        while not (stop.is_set() or serving.done() or (playing.done() and playing.exception() is not None)):
            if server.started and not self.ready.is_set():
                log.info("simulator.listening", url=self.url, source=self._playback.source.name)
                self.ready.set()
            await asyncio.sleep(POLL_S)
        playing.cancel()
        await self._audience.drop_all("clean")  # uvicorn would wait for a client that doesn't read
        server.should_exit = True
        await serving
        log.info("simulator.stopped", frames=self.frames_sent, trades=self.trades_sent)
        with suppress(asyncio.CancelledError):
            await playing

    async def _feed(self, websocket: WebSocket) -> None:
        """Serve one client for as long as it stays."""
        key = websocket.query_params.get("token", "")
        if key not in self.config.keys:
            text = "Invalid API key." if key else "Please use an API key."
            log.info("simulator.refused", has_key=bool(key))
            await websocket.send_denial_response(PlainTextResponse(text, 401))
            return
        await websocket.accept()
        asks_time = websocket.query_params.get("clock") == "market"
        connection = Connection(websocket, (lambda: self.now_us) if asks_time else None)
        if not await self._audience.admit(key, connection):
            log.info("simulator.key_used_twice")
            return
        log.info("simulator.connected", connections=len(self._audience.connections), market_time=asks_time)
        pinging = asyncio.create_task(self._ping(connection))
        try:
            await self._listen(websocket, connection)
        finally:
            pinging.cancel()
            self._audience.leave(connection)
            log.info("simulator.left", connections=len(self._audience.connections), frames=self.frames_sent)

    async def _ping(self, connection: Connection) -> None:
        is_open = connection.market_us is None or await connection.ping()
        while is_open:
            await asyncio.sleep(self.config.ping_every_s)
            is_open = await connection.ping()

    async def _listen(self, websocket: WebSocket, connection: Connection) -> None:
        """Obey subscriptions, silently; ignore all else."""
        while (message := await websocket.receive())["type"] == "websocket.receive":
            try:
                asked = msgspec.json.decode(message.get("text") or message.get("bytes") or b"", type=_Subscription)
            except msgspec.DecodeError:
                continue
            if asked.type == "unsubscribe":
                self._audience.unsubscribe(connection, asked.symbol)
            elif not self._audience.subscribe(connection, asked.symbol):
                await connection.refuse_symbol()

    def _app(self) -> Starlette:
        return Starlette(
            routes=[
                WebSocketRoute("/", self._feed),
                Route("/control/status", for_this_machine(self._status)),
                Route("/control/faults", for_this_machine(self._inject), methods=["POST"]),
            ]
        )

    async def _status(self, _: Request) -> Response:
        connections = self._audience.connections
        return JSONResponse(
            {
                "source": self._playback.source.name,
                "now_us": self.now_us,
                "frames_sent": self.frames_sent,
                "trades_sent": self.trades_sent,
                "caught_up": self.caught_up.is_set(),
                "subscribers": len(connections),
                "symbols": sorted(set[str]().union(*(each.symbols for each in connections))),
                "faults": self.faults_injected,
            }
        )

    async def _inject(self, request: Request) -> Response:
        try:
            fault = decode_fault(await request.body())
        except msgspec.DecodeError as error:
            return JSONResponse({"error": str(error)}, 400)
        await self._playback.inject(fault)
        return Response(status_code=204)


def _pace(source: FrameSource, speed: float | None, clock: Clock) -> Pace:
    if source.ends_us is None:
        return RealTime(clock)
    return AsFastAsRead() if speed is None else AtSpeed(speed, source.starts_us)


def for_this_machine(endpoint: Endpoint) -> Endpoint:
    """Hide an endpoint from all who don't come by way of the loopback interface."""

    async def guarded(request: Request) -> Response:
        if request.client is None or not ipaddress.ip_address(request.client.host).is_loopback:
            return PlainTextResponse("Not Found", 404)
        return await endpoint(request)

    return guarded
