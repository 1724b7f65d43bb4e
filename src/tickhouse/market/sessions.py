"""Know when the market is open: pre-market, regular and post-market sessions, half days and holidays included."""

import warnings
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time
from functools import lru_cache
from itertools import groupby
from operator import attrgetter
from typing import Literal, Protocol
from zoneinfo import ZoneInfo

from tickhouse.market.types import Session, SessionName

__all__ = ["Calendar", "CalendarName", "calendar_for", "market_calendar"]

CalendarName = Literal["XNYS", "24/7"]
NEW_YORK = ZoneInfo("America/New_York")
PRE_OPENS, REGULAR_CLOSES, POST_CLOSES, HALF_DAY_POST_CLOSES = time(4), time(16), time(20), time(17)
FIRST_DATE, LAST_DATE = date(1990, 1, 1), date(2049, 12, 31)  # fixed: the library's own bounds move with the clock
DAY_MS = 86_400_000
EPOCH = date(1970, 1, 1).toordinal()


class Calendar(Protocol):
    """Place moments of time, UTC epoch milliseconds, in the sessions of a market; it knows 1990 to 2049."""

    @property
    def name(self) -> CalendarName:
        """Return the calendar's name."""
        ...

    def sessions_between(self, first: date, last: date) -> list[Session]:
        """Return the sessions of the trading dates first to last, both included, in time order, without `all`."""
        ...

    def locate(self, ts_ms: int) -> Session:
        """Return the session of a moment; between sessions a `closed` one with an empty trading date."""
        ...

    def whole(self, trading_date: str) -> Session:
        """Return the `all` session of a trading date, from its first session's start to its last one's end."""
        ...


class ExchangeCalendar:
    """Sessions of an exchange, from a list of them in time order."""

    def __init__(self, name: CalendarName, sessions: Sequence[Session]) -> None:
        self._name = name
        self._sessions = sessions
        self._starts = [session.starts_ms for session in sessions]
        self._whole = {day: _joined(list(parts)) for day, parts in groupby(sessions, attrgetter("trading_date"))}

    @property
    def name(self) -> CalendarName:
        """Return the calendar's name."""
        return self._name

    def sessions_between(self, first: date, last: date) -> list[Session]:
        """Return the sessions of the trading dates first to last."""
        return [one for one in self._sessions if first.isoformat() <= one.trading_date <= last.isoformat()]

    def locate(self, ts_ms: int) -> Session:
        """Return the session of a moment, or the closed time around it."""
        at = bisect_right(self._starts, ts_ms) - 1
        if at >= 0 and ts_ms < self._sessions[at].ends_ms:
            return self._sessions[at]
        closed_from = self._sessions[at].ends_ms if at >= 0 else ts_ms
        opens = self._starts[at + 1] if at + 1 < len(self._starts) else ts_ms + 1
        return Session("", SessionName.CLOSED, closed_from, opens)

    def whole(self, trading_date: str) -> Session:
        """Return all sessions of a trading date as one."""
        return self._whole[trading_date]


class RoundTheClock:
    """One regular session per UTC date, from midnight to midnight."""

    @property
    def name(self) -> CalendarName:
        """Return the calendar's name."""
        return "24/7"

    def sessions_between(self, first: date, last: date) -> list[Session]:
        """Return one regular session per UTC date."""
        return [_utc_day(ordinal) for ordinal in range(first.toordinal(), last.toordinal() + 1)]

    def locate(self, ts_ms: int) -> Session:
        """Return the UTC date of a moment, closed only outside of the years that the calendar knows."""
        first_ms, end_ms = _midnight_ms(FIRST_DATE), _midnight_ms(LAST_DATE) + DAY_MS
        if ts_ms < first_ms:
            return Session("", SessionName.CLOSED, ts_ms, first_ms)
        if ts_ms >= end_ms:
            return Session("", SessionName.CLOSED, end_ms, ts_ms + 1)
        return _utc_day(EPOCH + ts_ms // DAY_MS)

    def whole(self, trading_date: str) -> Session:
        """Return the UTC date as one session."""
        return replace(_utc_day(date.fromisoformat(trading_date).toordinal()), name=SessionName.ALL)


@lru_cache
def market_calendar(name: CalendarName) -> Calendar:
    """Return a calendar by its name: XNYS (US equities, New York hours) or 24/7."""
    return RoundTheClock() if name == "24/7" else ExchangeCalendar(name, list(_exchange_sessions(name)))


def calendar_for(symbol: str, listed: Calendar) -> Calendar:
    """Return the calendar of a symbol: crypto and forex (`BINANCE:BTCUSDT`) trade round the clock."""
    return market_calendar("24/7") if ":" in symbol else listed


def _exchange_sessions(name: CalendarName) -> Iterator[Session]:
    for opens, closes in _trading_hours(name):
        local_close = closes.astimezone(NEW_YORK)
        day = local_close.date()
        # The library knows regular hours only; early closes move the end of the post session by hand.
        post_closes = HALF_DAY_POST_CLOSES if local_close.time() < REGULAR_CLOSES else POST_CLOSES
        bounds = [_local_ms(day, PRE_OPENS), _ms(opens), _ms(closes), _local_ms(day, post_closes)]
        names = (SessionName.PRE, SessionName.REGULAR, SessionName.POST)
        for session, starts_ms, ends_ms in zip(names, bounds, bounds[1:], strict=False):
            yield Session(day.isoformat(), session, starts_ms, ends_ms)


def _trading_hours(name: CalendarName) -> list[tuple[datetime, datetime]]:
    """Return open and close of each trading date, aware UTC."""
    # Here because it imports pandas, half a second that most commands don't need.
    from exchange_calendars import get_calendar  # noqa: PLC0415

    with warnings.catch_warnings():
        # exchange_calendars 4.13 under pandas 3.1; it asks for just the values that pandas 4 will change.
        warnings.filterwarnings("ignore", message=r"Series\.values returning", category=DeprecationWarning)
        schedule = get_calendar(name, start=FIRST_DATE.isoformat(), end=LAST_DATE.isoformat()).schedule
    columns = (schedule[column].dt.to_pydatetime() for column in ("open", "close"))
    return list(zip(*columns, strict=True))


def _utc_day(ordinal: int) -> Session:
    starts_ms = (ordinal - EPOCH) * DAY_MS
    return Session(date.fromordinal(ordinal).isoformat(), SessionName.REGULAR, starts_ms, starts_ms + DAY_MS)


def _joined(sessions: Sequence[Session]) -> Session:
    return replace(sessions[0], name=SessionName.ALL, ends_ms=sessions[-1].ends_ms)


def _local_ms(day: date, at: time) -> int:
    return _ms(datetime.combine(day, at, NEW_YORK))


def _midnight_ms(day: date) -> int:
    return _ms(datetime.combine(day, time(), UTC))


def _ms(moment: datetime) -> int:
    return int(moment.timestamp()) * 1_000
