"""Run the simulator for a test, and talk to it with a plain WebSocket client."""

import gzip
import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tickhouse.finnhub import FrameSource, Simulator, SimulatorConfig

Print = tuple[str, str, int, str]  # symbol, price, ts_ms, volume
START_MS = 1_700_000_040_000  # a whole minute


class HandClock:
    """A clock that a test turns by hand."""

    def __init__(self, now_us: int) -> None:
        self.time_us = now_us

    def now_us(self) -> int:
        """Return the time that was set."""
        return self.time_us


@contextmanager
def running(simulator: Simulator) -> Iterator[Simulator]:
    """Run a simulator in a thread while the block lasts; raise what it raised."""
    stop = threading.Event()
    failures: list[BaseException] = []

    def run() -> None:
        try:
            simulator.run(stop)
        except BaseException as error:  # noqa: BLE001  # raised again below, in the test's own thread
            failures.append(error)

    thread = threading.Thread(target=run, name="simulator")
    thread.start()
    try:
        assert simulator.ready.wait(10), failures
        yield simulator
    finally:
        stop.set()
        thread.join(10)
    assert not thread.is_alive()
    if failures:
        raise failures[0]


@contextmanager
def simulated(source: FrameSource, config: SimulatorConfig | None = None) -> Iterator[Simulator]:
    """Run a simulator of a source while the block lasts."""
    with running(Simulator(source, config)) as simulator:
        yield simulator


@contextmanager
def speak(
    simulator: Simulator, *symbols: str, key: str = "demo", market_time: bool = False
) -> Iterator[ClientConnection]:
    """Connect as Finnhub's documentation says, and subscribe, while the block lasts."""
    url = f"{simulator.url}/?token={key}{'&clock=market' if market_time else ''}"
    with connect(url, compression=None, close_timeout=0.5) as client:
        for symbol in symbols:
            ask(client, "subscribe", symbol)
        yield client


def ask(client: ClientConnection, what: str, symbol: str) -> None:
    """Send one subscription message."""
    client.send(json.dumps({"type": what, "symbol": symbol}))


def hear(client: ClientConnection) -> dict[str, Any]:
    """Return the next message."""
    message: dict[str, Any] = json.loads(client.recv(timeout=10))
    return message


def hear_until_closed(client: ClientConnection) -> None:
    """Read on until the server ends the connection; fail where it says nothing and stays."""
    with suppress(ConnectionClosed):
        while True:
            hear(client)


def hear_all(simulator: Simulator, *symbols: str, ends_us: int) -> tuple[list[dict[str, Any]], int]:
    """Listen until the recording has ended, over as many connections as it takes.

    Returns all trade messages and how many connections were lost on the way.
    """
    heard: list[dict[str, Any]] = []
    lost = 0
    while True:
        with speak(simulator, *symbols, market_time=True) as client:
            try:
                while (message := hear(client)) != {"type": "ping", "at_us": ends_us}:
                    heard += [message] if message["type"] == "trade" else []
            except ConnectionClosed:
                lost += 1
                continue
            return heard, lost


def write_recording(path: Path, frames: Sequence[tuple[int, Sequence[Print]]]) -> Path:
    """Write frames, given as milliseconds after START_MS and prints whose times count from there too."""
    lines = [
        f'{{"received_at":{START_MS + at_ms},"message":{{"type":"trade","data":[{",".join(map(_wire, prints))}]}}}}\n'
        for at_ms, prints in frames
    ]
    path.write_bytes(gzip.compress("".join(lines).encode()))
    return path


def _wire(trade: Print) -> str:
    symbol, price, at_ms, volume = trade
    return f'{{"s":"{symbol}","p":{price},"t":{START_MS + at_ms},"v":{volume},"c":["1"]}}'
