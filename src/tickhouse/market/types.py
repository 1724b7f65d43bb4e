"""Define what the market says: trades, the feed's own state, sessions and bars."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

__all__ = ["Bar", "FeedState", "FeedStatus", "Interval", "Session", "SessionName", "Span", "Trade"]


class FeedState(StrEnum):
    """What a feed-status event says about the interval that it covers."""

    CONNECTED = "connected"
    ALIVE = "alive"
    DISCONNECTED = "disconnected"
    SILENT = "silent"
    SUBSCRIBE_REFUSED = "subscribe_refused"
    RATE_LIMITED = "rate_limited"
    DROPPED = "dropped"

    @property
    def covers(self) -> bool:
        """Tell whether trades were being recorded in the interval."""
        return self in {FeedState.CONNECTED, FeedState.ALIVE}


class SessionName(StrEnum):
    """Part of a trading date; `closed` is outside of all of them, `all` is pre, regular and post together."""

    PRE = "pre"
    REGULAR = "regular"
    POST = "post"
    ALL = "all"
    CLOSED = "closed"


class Interval(StrEnum):
    """Length of a bar."""

    MINUTE = "1m"
    FIVE_MINUTES = "5m"
    QUARTER = "15m"
    HOUR = "1h"
    DAY = "1d"

    @property
    def ms(self) -> int:
        """Return the length in milliseconds; a day's bar ends with its session, so its length is only a bound."""
        return {"1m": 60_000, "5m": 300_000, "15m": 900_000, "1h": 3_600_000, "1d": 86_400_000}[self.value]


@dataclass(frozen=True, slots=True)
class Trade:
    """One print of the tape.

    `arrival` orders prints as they came in (the Kafka offset). `occurrence` counts equal prints within one frame: with
    symbol, time, price, volume and sorted conditions it is the print's identity.
    """

    symbol: str
    ts_ms: int
    price: Decimal
    volume: Decimal
    conditions: tuple[str, ...] = ()
    arrival: int = 0
    occurrence: int = 0


@dataclass(frozen=True, slots=True)
class FeedStatus:
    """One statement about how well a symbol's feed was recorded, over [from_us, to_us]."""

    symbol: str
    state: FeedState
    from_us: int
    to_us: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time, [from_us, to_us]."""

    from_us: int
    to_us: int


@dataclass(frozen=True, slots=True)
class Session:
    """One session of one trading date, [starts_ms, ends_ms) in UTC epoch milliseconds; `trading_date` is ISO."""

    trading_date: str
    name: SessionName
    starts_ms: int
    ends_ms: int


@dataclass(frozen=True, slots=True)
class Bar:
    """One candle, stamped at its interval's open: [opened_ms, ends_ms) in UTC epoch milliseconds.

    `revision` counts prints that came after a print of the same symbol at or past `ends_ms` + 5 s.
    """

    symbol: str
    interval: Interval
    session: SessionName
    trading_date: str
    opened_ms: int
    ends_ms: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    vwap: Decimal | None
    trades: int
    revision: int
    is_closed: bool
    is_complete: bool
