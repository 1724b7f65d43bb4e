"""Write what SQL must know from outside: the trade condition table and the calendar's sessions."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from importlib.metadata import version

import pyarrow as pa

from tickhouse.log import get_logger
from tickhouse.market import CalendarName, ConditionTable, market_calendar
from tickhouse.warehouse.base import RAW_TABLES, Warehouse

__all__ = ["write_reference"]

log = get_logger("warehouse.reference")

# Fixed, so that what a warehouse holds doesn't depend on the day when it was built.
FIRST_DATE, LAST_DATE = date(2000, 1, 1), date(2049, 12, 31)
EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  # TIMESTAMP columns hold naive UTC
SESSIONS_SCHEMA = pa.schema(
    [
        ("applies_to", pa.string()),
        ("calendar", pa.string()),
        ("trading_date", pa.date32()),
        ("session", pa.string()),
        ("starts_at", pa.timestamp("us")),
        ("ends_at", pa.timestamp("us")),
    ]
)


def write_reference(warehouse: Warehouse, conditions: ConditionTable, calendar: CalendarName) -> tuple[str, ...]:
    """Bring RAW.TRADE_CONDITIONS and RAW.SESSIONS to what is configured; return the tables that had to change."""
    writers = {
        "raw.trade_conditions": _write_conditions(warehouse, conditions),
        "raw.sessions": _write_sessions(warehouse, calendar),
    }
    changed = tuple(table for table, wrote in writers.items() if wrote)
    if changed:
        log.info("reference.written", tables=changed, calendar=calendar)
    return changed


def _write_conditions(warehouse: Warehouse, conditions: ConditionTable) -> bool:
    names = [name for name, _ in RAW_TABLES["trade_conditions"]]
    rows = [{name: getattr(row, name) for name in names} for row in conditions.rows]
    rows.sort(key=lambda row: (row["code"], row["session"]))
    held = warehouse.query(
        """
        select code, name, session, updates_last, updates_high_low, updates_volume
        from raw.trade_conditions
        order by code, session
        """
    )
    held_rows = sorted(held.to_pylist(), key=lambda row: (row["code"], row["session"]))
    if held_rows == rows:
        return False
    kinds = {"varchar": pa.string(), "boolean": pa.bool_()}
    schema = pa.schema([(name, kinds[kind]) for name, kind in RAW_TABLES["trade_conditions"]])
    warehouse.append("raw.trade_conditions", pa.Table.from_pylist(rows, schema), replace=True)
    return True


def _write_sessions(warehouse: Warehouse, calendar: CalendarName) -> bool:
    """Rewrite the sessions where another calendar or edition is held: to compute them takes a second."""
    edition = _edition(calendar)
    held = warehouse.row(
        "select min(calendar) as first_name, max(calendar) as last_name from raw.sessions where applies_to = 'listed'"
    )
    if held == (edition, edition):
        return False
    rows = [
        row
        for applies_to, name in (("listed", calendar), ("round_the_clock", "24/7"))
        for row in _sessions(applies_to, name)
    ]
    columns = [
        pa.array(column, kind.type) for column, kind in zip(zip(*rows, strict=True), SESSIONS_SCHEMA, strict=True)
    ]
    warehouse.append("raw.sessions", pa.Table.from_arrays(columns, schema=SESSIONS_SCHEMA), replace=True)
    return True


def _edition(calendar: CalendarName) -> str:
    """Name a calendar with the library version that knows its holidays: exchanges close on days nobody foresaw."""
    return calendar if calendar == "24/7" else f"{calendar} of exchange-calendars {version('exchange-calendars')}"


def _sessions(applies_to: str, calendar: CalendarName) -> Iterator[tuple[object, ...]]:
    edition = _edition(calendar)
    for session in market_calendar(calendar).sessions_between(FIRST_DATE, LAST_DATE):
        yield (
            applies_to,
            edition,
            date.fromisoformat(session.trading_date),
            session.name.value,
            _at(session.starts_ms),
            _at(session.ends_ms),
        )


def _at(epoch_ms: int) -> datetime:
    return EPOCH + timedelta(milliseconds=epoch_ms)
