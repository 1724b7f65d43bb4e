"""Run the WebSocket client against a scripted server and look at what it says."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any

from pydantic import SecretStr

from tickhouse.clock import Clock, SystemClock
from tickhouse.finnhub import FeedConfig, FeedItem, FeedStream, StatusBatch, TradeFrame
from tickhouse.market import FeedState, FeedStatus

__all__ = [
    "DEADLINE_S",
    "KEY",
    "LIMIT",
    "PING",
    "TRADE",
    "Items",
    "S",
    "Until",
    "collect",
    "frames",
    "has_frames",
    "has_state",
    "running",
    "states",
    "statuses",
    "stream_to",
    "wait_until",
]

KEY = SecretStr("k3y+that/must never=leak")
PING = '{"type":"ping"}'
TRADE = '{"type":"trade","data":[{"s":"AAPL","p":189.10,"t":1575526691134,"v":100,"c":["1","8"]}]}'
LIMIT = '{"type":"error","msg":"Subscribing to too many symbols"}'
S = 1_000_000
DEADLINE_S = 10.0

Items = list[FeedItem]
Until = Callable[[Items], bool]


def stream_to(url: str, clock: Clock | None = None, **changes: Any) -> FeedStream:  # noqa: ANN401  # any field
    """Make a stream whose pauses are tiny."""
    fields: dict[str, Any] = {
        "url": url,
        "symbols": ("AAPL", "MSFT"),
        "market_time": False,
        "key_found_in": "FINNHUB_API_KEY in .env",
        "backoff_base_s": 0.01,
        "backoff_max_s": 0.02,
        "open_timeout_s": 5.0,
    }
    rng = random.Random(7)  # noqa: S311  # jitter
    return FeedStream(FeedConfig(**(fields | changes)), KEY, SystemClock() if clock is None else clock, rng)


async def collect(stream: FeedStream, until: Until) -> Items:
    """Take items until `until` holds for them, then stop the stream and take the rest."""
    items: Items = []
    stop = asyncio.Event()
    async with asyncio.timeout(DEADLINE_S), aclosing(stream.items(stop)) as source:
        async for item in source:
            items.append(item)
            if until(items):
                stop.set()
    return items


@asynccontextmanager
async def running(stream: FeedStream, items: Items) -> AsyncIterator[asyncio.Event]:
    """Let a stream fill `items` in the background; stop it at the end."""
    stop = asyncio.Event()

    async def fill() -> None:
        async with aclosing(stream.items(stop)) as source:
            async for item in source:
                items.append(item)

    filling = asyncio.create_task(fill())
    try:
        yield stop
    finally:
        stop.set()
        async with asyncio.timeout(DEADLINE_S):
            await filling


async def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for a condition, with a deadline."""
    async with asyncio.timeout(DEADLINE_S):
        while not condition():  # noqa: ASYNC110  # looks at plain objects
            await asyncio.sleep(0.005)


def statuses(items: Items, symbol: str = "AAPL") -> list[FeedStatus]:
    """Return one symbol's statuses in order."""
    return [
        status for item in items if isinstance(item, StatusBatch) for status in item.statuses if status.symbol == symbol
    ]


def states(items: Items, symbol: str = "AAPL") -> list[FeedState]:
    """Return the states of one symbol's statuses in order."""
    return [status.state for status in statuses(items, symbol)]


def frames(items: Items) -> list[TradeFrame]:
    """Return the frames of prints."""
    return [item for item in items if isinstance(item, TradeFrame)]


def has_frames(count: int) -> Until:
    """Hold when so many frames came."""
    return lambda items: len(frames(items)) >= count


def has_state(state: FeedState, count: int = 1) -> Until:
    """Hold when a state was told so often for the first symbol."""
    return lambda items: states(items).count(state) >= count
