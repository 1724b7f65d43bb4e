"""Make a state folder that holds a short morning, as if it had been recorded."""

from decimal import Decimal
from pathlib import Path

from tests.support.lake_objects import put_values
from tests.support.transforming import epoch_ms, status_value, trade_value
from tickhouse.lake import open_store
from tickhouse.market import FeedState, FeedStatus, Trade
from tickhouse.state import stamp_state

__all__ = ["OPENS_MS", "add_minute", "record_morning"]

OPENS_MS = epoch_ms("2026-11-23T14:30")  # New York's open, a Monday
MINUTE_MS = 60_000
MINUTES = 6


def _minute(symbol: str, number: int) -> list[bytes]:
    """Return three prints and a sign of life over one minute."""
    starts_ms = OPENS_MS + number * MINUTE_MS
    prints = [
        Trade(symbol, starts_ms + second * 1_000, Decimal(100 + number) + Decimal(second) / 100, Decimal(10), ("1",))
        for second in (1, 20, 40)
    ]
    alive = FeedStatus(symbol, FeedState.ALIVE, starts_ms * 1_000, (starts_ms + MINUTE_MS) * 1_000, "ping")
    return [trade_value(each).encode() for each in prints] + [status_value(alive).encode()]


def record_morning(home: Path) -> list[str]:
    """Write six minutes of IBM and of AAPL, a break of the latter's feed among them; return the objects' keys."""
    stamp_state(home, "synthetic", "XNYS")
    store = open_store((home / "lake").as_uri())
    keys = []
    for partition, symbol in enumerate(("IBM", "AAPL")):
        first = 0
        for number in range(MINUTES):
            if (symbol, number) == ("AAPL", 3):
                continue
            values: list[bytes | None] = [*_minute(symbol, number)]
            keys.append(put_values(store, partition, first, values, timestamp_ms=OPENS_MS + number * MINUTE_MS))
            first += len(values)
    return keys


def add_minute(home: Path, *, missing: int = 0) -> str:
    """Write one more minute of IBM, so many records after where it should start; return the object's key."""
    store = open_store((home / "lake").as_uri())
    values: list[bytes | None] = [*_minute("IBM", MINUTES)]
    first = MINUTES * len(values) + missing
    return put_values(store, 0, first, values, timestamp_ms=OPENS_MS + MINUTES * MINUTE_MS)
