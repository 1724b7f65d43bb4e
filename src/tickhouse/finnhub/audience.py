"""Keep the simulator's connections: one per key, up to 51 symbols each."""

import asyncio
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal

import msgspec
from starlette.websockets import WebSocket, WebSocketDisconnect

from tickhouse.finnhub.asgi import RESET
from tickhouse.finnhub.source import TimedFrame
from tickhouse.finnhub.wire import WireTrade

__all__ = ["Audience", "Connection"]

ACCEPTED_SYMBOLS = 51  # reported: Finnhub accepts 51 on its plan of 50
SETTLE_S = 0.25  # a client subscribes one symbol a message: it is done when it says no more for so long
CLOSE_WITHIN_S = 1.0


class TradesOut(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag_field="type", tag="trade"):
    """A frame of prints, as Finnhub sends it; `at_us` only for a client that asked for market time."""

    data: tuple[WireTrade, ...]
    at_us: int | None = None


class PingOut(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag_field="type", tag="ping"):
    """A sign of life."""

    at_us: int | None = None


class ErrorOut(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag_field="type", tag="error"):
    """A refusal."""

    msg: str
    at_us: int | None = None


_encoder = msgspec.json.Encoder(decimal_format="number")


@dataclass(eq=False, slots=True)
class Connection:
    """One client: what it subscribed to, and the way to it; `market_us` is None where it didn't ask for market time."""

    socket: WebSocket
    market_us: Callable[[], int] | None
    symbols: set[str] = field(default_factory=set)
    _is_open: bool = True
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def send_trades(self, trades: tuple[WireTrade, ...], at_us: int) -> bool:
        """Send prints of one market time; tell whether the connection took them."""
        return await self._send(lambda: TradesOut(trades, None if self.market_us is None else at_us))

    async def ping(self) -> bool:
        """Send a ping."""
        return await self._send(lambda: PingOut(None if self.market_us is None else self.market_us()))

    async def refuse_symbol(self) -> bool:
        """Say that there is no room for another symbol, without naming it."""
        text = "Subscribing to too many symbols"
        return await self._send(lambda: ErrorOut(text, None if self.market_us is None else self.market_us()))

    async def drop(self, how: Literal["clean", "abrupt"]) -> None:
        """End the connection, by a closing handshake or by a reset."""
        self._is_open = False
        if how == "clean":
            with suppress(TimeoutError, WebSocketDisconnect, RuntimeError):
                async with asyncio.timeout(CLOSE_WITHIN_S), self._turn:
                    await self.socket.close()
                    return
        self.socket.scope["extensions"][RESET]["reset"]()

    async def _send(self, message: Callable[[], msgspec.Struct]) -> bool:
        async with self._turn:  # a message is made when its turn has come, so that market time never steps back
            if self._is_open:
                try:
                    await self.socket.send_text(_encoder.encode(message()).decode())
                except (WebSocketDisconnect, RuntimeError):  # RuntimeError: starlette, after a close
                    self._is_open = False
            return self._is_open


class Audience:
    """All clients that listen now; `wanted` are the symbols that the source has."""

    def __init__(self, wanted: Iterable[str], settle_s: float = SETTLE_S) -> None:
        self._wanted = frozenset(wanted)
        self._settle_s = settle_s
        self._by_key: dict[str, Connection] = {}
        self._changed = asyncio.Event()
        self._quiet_from = 0.0
        self._is_complete = False

    @property
    def connections(self) -> tuple[Connection, ...]:
        """Return the open connections."""
        return tuple(self._by_key.values())

    async def admit(self, key: str, connection: Connection) -> bool:
        """Take a connection in; where its key has one already, drop both and return False."""
        first = self._by_key.pop(key, None)
        if first is not None:
            self._recount()
            await asyncio.gather(first.drop("clean"), connection.drop("clean"))
            return False
        self._by_key[key] = connection
        return True

    def leave(self, connection: Connection) -> None:
        """Forget a connection that has ended."""
        self._by_key = {key: other for key, other in self._by_key.items() if other is not connection}
        self._recount()

    async def drop_all(self, how: Literal["clean", "abrupt"]) -> int:
        """Drop every connection; return how many there were."""
        dropped = self.connections
        self._by_key.clear()
        self._recount()
        await asyncio.gather(*(connection.drop(how) for connection in dropped))
        return len(dropped)

    def subscribe(self, connection: Connection, symbol: str) -> bool:
        """Add a symbol; return False where the connection has no room for it."""
        if symbol not in connection.symbols and len(connection.symbols) >= ACCEPTED_SYMBOLS:
            return False
        connection.symbols.add(symbol)
        self._quiet_from = time.monotonic() + self._settle_s
        self._recount()
        return True

    def unsubscribe(self, connection: Connection, symbol: str) -> None:
        """Remove a symbol; one that isn't there is no error, as with Finnhub."""
        connection.symbols.discard(symbol)
        self._recount()

    @property
    def has_settled(self) -> bool:
        """Tell whether somebody listens and has subscribed to all that it will."""
        if self._is_complete:
            return True
        return time.monotonic() >= self._quiet_from and any(each.symbols for each in self.connections)

    async def settled(self) -> None:
        """Wait until somebody listens and has subscribed to all that it will."""
        while not self.has_settled:
            self._changed.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._settle_s):
                    await self._changed.wait()

    async def send(self, frame: TimedFrame) -> tuple[int, int, bool]:
        """Send a frame to all who subscribed to a symbol of it.

        Returns how many messages and prints were taken, and whether a connection broke on it and no other took it.
        """
        parts = [(each, _subscribed(frame, each.symbols)) for each in self.connections]
        parts = [(each, trades) for each, trades in parts if trades]
        if len(parts) == 1:  # the usual case, without the cost of tasks
            taken = [await parts[0][0].send_trades(parts[0][1], frame.at_us)]
        else:
            taken = await asyncio.gather(*(each.send_trades(trades, frame.at_us) for each, trades in parts))
        for (each, _), is_taken in zip(parts, taken, strict=True):
            if not is_taken:
                self.leave(each)
        counts = [len(trades) for (_, trades), is_taken in zip(parts, taken, strict=True) if is_taken]
        return len(counts), sum(counts), bool(parts) and not counts

    def _recount(self) -> None:
        subscribed = set[str]().union(*(each.symbols for each in self.connections))
        self._is_complete = bool(subscribed) and subscribed >= self._wanted
        self._changed.set()


def _subscribed(frame: TimedFrame, symbols: set[str]) -> tuple[WireTrade, ...]:
    trades = tuple(trade for trade in frame.trades if trade.s in symbols)
    return frame.trades if len(trades) == len(frame.trades) else trades
