"""Turn trades into bars: exact, pure, and the measure that the SQL models are held to."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal, Inexact, InvalidOperation, localcontext
from operator import attrgetter

from tickhouse.market.conditions import ConditionTable, Flags
from tickhouse.market.gaps import FeedRecord, feed_record
from tickhouse.market.sessions import Calendar, calendar_for
from tickhouse.market.types import Bar, FeedStatus, Interval, Session, SessionName, Trade

__all__ = ["LATE_AFTER_MS", "MinutePart", "Totals", "build_bars", "distinct", "merge", "minute_parts"]

LATE_AFTER_MS = 5_000
MINUTE_MS = Interval.MINUTE.ms
# Prices and volumes have up to 18 digits, their products 36: sums stay exact, or this raises.
EXACT = Context(prec=100, traps=[Inexact, InvalidOperation])
VWAP = Context(prec=28)
ZERO = Decimal(0)
BAR_SESSIONS = (SessionName.PRE, SessionName.REGULAR, SessionName.POST, SessionName.ALL)


@dataclass(frozen=True, slots=True)
class Mark:
    """A print that may set open or close: its price and its place in (ts_ms, arrival) order."""

    ts_ms: int
    arrival: int
    price: Decimal


@dataclass(frozen=True, slots=True)
class Totals:
    """What prints add up to; `merge` joins any number of them, in any order and grouping.

    `late_ms` holds, for each print that came after its minute was closed, the newest market time seen before it: how
    late a print is depends on the bar's end, which differs by interval and session.
    """

    first: Mark | None = None
    last: Mark | None = None
    high: Decimal | None = None
    low: Decimal | None = None
    volume: Decimal = ZERO
    notional: Decimal = ZERO
    priced_volume: Decimal = ZERO
    trades: int = 0
    late_ms: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class MinutePart:
    """The prints of one minute in one session; without `totals.first` it has no bar of its own, but adds to others."""

    starts_ms: int
    session: Session
    totals: Totals


@dataclass(frozen=True, slots=True)
class _Slot:
    symbol: str
    interval: Interval
    session: Session
    opened_ms: int

    @property
    def ends_ms(self) -> int:
        return min(self.opened_ms + self.interval.ms, self.session.ends_ms)


@dataclass(frozen=True, slots=True)
class _Print:
    trade: Trade
    flags: Flags
    newest_before_ms: int


def build_bars(
    trades: Iterable[Trade], table: ConditionTable, listed: Calendar, statuses: Iterable[FeedStatus] = ()
) -> list[Bar]:
    """Build the bars of all intervals and sessions, ordered by symbol, interval, session and time.

    `listed` is the calendar of symbols without a colon. Repeated trades count once, by their first arrival.
    """
    by_symbol: defaultdict[str, list[Trade]] = defaultdict(list)
    for trade in trades:
        by_symbol[trade.symbol].append(trade)
    events: defaultdict[str, list[FeedStatus]] = defaultdict(list)
    for status in statuses:
        events[status.symbol].append(status)
    return [
        bar
        for symbol in sorted(by_symbol)
        for bar in _symbol_bars(
            distinct(by_symbol[symbol]), table, calendar_for(symbol, listed), feed_record(events[symbol])
        )
    ]


def distinct(trades: Iterable[Trade]) -> list[Trade]:
    """Drop repeats of a trade, keeping its first arrival; the result is in order of arrival.

    A trade's identity is its symbol, time, price, volume, sorted conditions and occurrence within its frame.
    """
    kept: dict[tuple[object, ...], Trade] = {}
    for trade in sorted(trades, key=attrgetter("arrival")):
        conditions = tuple(sorted(trade.conditions))
        identity = (trade.symbol, trade.ts_ms, trade.price, trade.volume, conditions, trade.occurrence)
        kept.setdefault(identity, trade)
    return list(kept.values())


def minute_parts(trades: Sequence[Trade], table: ConditionTable, calendar: Calendar) -> list[MinutePart]:
    """Add up one symbol's distinct trades, given in order of arrival, per minute of a session, in time order.

    Trades outside of all sessions and those that no flag lets count are in no part.
    """
    minutes: defaultdict[int, list[_Print]] = defaultdict(list)
    sessions: dict[int, Session] = {}
    newest_ms = 0
    for trade in trades:
        starts_ms = trade.ts_ms - trade.ts_ms % MINUTE_MS
        session = sessions.get(starts_ms)
        if session is None:
            session = sessions[starts_ms] = calendar.locate(starts_ms)
        flags = table.flags(trade.conditions, session.name)
        # Without volume it is a price update of crypto or forex, not a trade.
        if trade.volume and flags.counts:
            minutes[starts_ms].append(_Print(trade, flags, newest_ms))
        newest_ms = max(newest_ms, trade.ts_ms)
    return [MinutePart(start, sessions[start], _added_up(minutes[start], start)) for start in sorted(minutes)]


def merge(totals: Iterable[Totals]) -> Totals:
    """Join the totals of several stretches of time."""
    parts = list(totals)
    with localcontext(EXACT):
        return Totals(
            first=min((part.first for part in parts if part.first is not None), key=_place, default=None),
            last=max((part.last for part in parts if part.last is not None), key=_place, default=None),
            high=max((part.high for part in parts if part.high is not None), default=None),
            low=min((part.low for part in parts if part.low is not None), default=None),
            volume=sum((part.volume for part in parts), ZERO),
            notional=sum((part.notional for part in parts), ZERO),
            priced_volume=sum((part.priced_volume for part in parts), ZERO),
            trades=sum(part.trades for part in parts),
            late_ms=tuple(sorted(newest_ms for part in parts for newest_ms in part.late_ms)),
        )


_place = attrgetter("ts_ms", "arrival")


def _added_up(prints: Sequence[_Print], minute_ms: int) -> Totals:
    marks = [Mark(one.trade.ts_ms, one.trade.arrival, one.trade.price) for one in prints if one.flags.last]
    prices = [one.trade.price for one in prints if one.flags.high_low]
    volumes = [one.trade.volume for one in prints if one.flags.volume]
    priced = [one.trade for one in prints if one.flags.high_low and one.flags.volume]
    closed_ms = minute_ms + MINUTE_MS + LATE_AFTER_MS
    with localcontext(EXACT):
        return Totals(
            first=min(marks, key=_place, default=None),
            last=max(marks, key=_place, default=None),
            high=max(prices, default=None),
            low=min(prices, default=None),
            volume=sum(volumes, ZERO),
            notional=sum((trade.price * trade.volume for trade in priced), ZERO),
            priced_volume=sum((trade.volume for trade in priced), ZERO),
            trades=len(volumes),
            late_ms=tuple(sorted(one.newest_before_ms for one in prints if one.newest_before_ms >= closed_ms)),
        )


def _symbol_bars(trades: Sequence[Trade], table: ConditionTable, calendar: Calendar, feed: FeedRecord) -> Iterator[Bar]:
    parts = minute_parts(trades, table, calendar)
    watermark_us = max(max(trade.ts_ms for trade in trades) * 1_000, feed.covered_until_us or 0)
    for interval in Interval:
        for name in BAR_SESSIONS:
            slots: defaultdict[_Slot, list[Totals]] = defaultdict(list)
            for part in parts:
                if name in {part.session.name, SessionName.ALL}:
                    session = calendar.whole(part.session.trading_date) if name is SessionName.ALL else part.session
                    opened_ms = part.starts_ms - (part.starts_ms - session.starts_ms) % interval.ms
                    slots[_Slot(trades[0].symbol, interval, session, opened_ms)].append(part.totals)
            bars = (_bar(slot, merge(totals), feed, watermark_us) for slot, totals in slots.items())
            yield from (bar for bar in bars if bar is not None)


def _bar(slot: _Slot, totals: Totals, feed: FeedRecord, watermark_us: int) -> Bar | None:
    if totals.first is None or totals.last is None or totals.high is None or totals.low is None:
        return None
    closes_ms = slot.ends_ms + LATE_AFTER_MS
    is_closed = watermark_us >= closes_ms * 1_000
    return Bar(
        symbol=slot.symbol,
        interval=slot.interval,
        session=slot.session.name,
        trading_date=slot.session.trading_date,
        opened_ms=slot.opened_ms,
        ends_ms=slot.ends_ms,
        open=totals.first.price,
        high=totals.high,
        low=totals.low,
        close=totals.last.price,
        volume=totals.volume,
        vwap=VWAP.divide(totals.notional, totals.priced_volume) if totals.priced_volume else None,
        trades=totals.trades,
        revision=sum(newest_ms >= closes_ms for newest_ms in totals.late_ms),
        is_closed=is_closed,
        is_complete=is_closed and feed.is_whole(slot.opened_ms * 1_000, slot.ends_ms * 1_000),
    )
