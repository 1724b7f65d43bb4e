"""Know the market: pure types and functions, no I/O but the condition table's file."""

from tickhouse.market.candles import LATE_AFTER_MS, MinutePart, Totals, build_bars, distinct, merge, minute_parts
from tickhouse.market.conditions import ConditionRow, ConditionTable, Flags, load_default
from tickhouse.market.gaps import FeedRecord, Gap, feed_record, gap_ledger
from tickhouse.market.sessions import Calendar, CalendarName, calendar_for, market_calendar
from tickhouse.market.types import Bar, FeedState, FeedStatus, Interval, Session, SessionName, Span, Trade

__all__ = [
    "LATE_AFTER_MS",
    "Bar",
    "Calendar",
    "CalendarName",
    "ConditionRow",
    "ConditionTable",
    "FeedRecord",
    "FeedState",
    "FeedStatus",
    "Flags",
    "Gap",
    "Interval",
    "MinutePart",
    "Session",
    "SessionName",
    "Span",
    "Totals",
    "Trade",
    "build_bars",
    "calendar_for",
    "distinct",
    "feed_record",
    "gap_ledger",
    "load_default",
    "market_calendar",
    "merge",
    "minute_parts",
]
