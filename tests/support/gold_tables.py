"""Make gold tables by hand, for tests of what comes after dbt."""

from datetime import datetime

import pyarrow as pa

from tickhouse.warehouse import Build, Warehouse

__all__ = ["CANDLESTICKS", "FEED_GAPS", "add_bar", "add_gap", "finish_build", "make_gold"]

CANDLESTICKS = """
create table gold.candlesticks (
    symbol varchar, interval varchar, session varchar, trading_date date, opened_at timestamp, ends_at timestamp,
    open double, high double, low double, close double, volume double, vwap double, trades bigint, revision bigint,
    is_closed boolean, is_complete boolean, build_id bigint
)
"""
FEED_GAPS = """
create table gold.feed_gaps (
    symbol varchar, from_at timestamp, to_at timestamp, seconds double, state varchar, reason varchar, build_id bigint
)
"""
DEFAULTS = {
    "interval": "1m",
    "session": "regular",
    "open": 1.0,
    "high": 2.0,
    "low": 0.5,
    "close": 1.5,
    "volume": 100.0,
    "vwap": 1.25,
    "trades": 3,
    "revision": 0,
    "is_closed": True,
    "is_complete": True,
}


def make_gold(warehouse: Warehouse) -> None:
    """Create the tables that a first build would leave, empty."""
    with warehouse._transaction() as connection:  # type: ignore[attr-defined]  # noqa: SLF001  # in dbt's place
        for statement in ("create schema if not exists gold", CANDLESTICKS, FEED_GAPS):
            connection.execute(statement)


def add_bar(warehouse: Warehouse, symbol: str, opened_at: datetime, build_id: int, **changed: object) -> None:
    """Add a bar; its trading date is the UTC date."""
    row = DEFAULTS | {"symbol": symbol, "opened_at": opened_at, "ends_at": opened_at, "build_id": build_id}
    row |= {"trading_date": opened_at.date()} | changed
    names = warehouse.query("select * from gold.candlesticks limit 0").schema
    warehouse.append("gold.candlesticks", pa.Table.from_pylist([row], names))


def add_gap(warehouse: Warehouse, symbol: str, from_at: datetime, to_at: datetime, build_id: int) -> None:
    """Add a gap."""
    row = {"symbol": symbol, "from_at": from_at, "to_at": to_at, "seconds": (to_at - from_at).total_seconds()}
    row |= {"state": "disconnected", "reason": "no sign of life", "build_id": build_id}
    names = warehouse.query("select * from gold.feed_gaps limit 0").schema
    warehouse.append("gold.feed_gaps", pa.Table.from_pylist([row], names))


def finish_build(warehouse: Warehouse, build_id: int, *, is_full: bool = False, finished_us: int | None = None) -> None:
    """Write down that a build ended, as the transform does."""
    through, finished = warehouse.max_load_id(), build_id if finished_us is None else finished_us
    warehouse.record_build(Build(build_id, 0, through, is_full, "fingerprint", finished))
