"""Show that a build's work goes by what is new, however long the history is."""

import json
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.support.transforming import House, epoch_ms, status_value, template, trade_value
from tickhouse.market import FeedState, FeedStatus, Trade

OPENS = epoch_ms("2024-06-03T13:30")
HISTORY = 400_000  # prints, over three of the parts that DuckDB reads or leaves out as a whole
GROWING = ("silver_trades", "silver_bars_1m", "candlesticks", "stock_events")
# A print each 4 s of May 2024; what they hold doesn't matter, only that they are there.
TRADES = """
insert into silver.silver_trades by name
select
    'IBM' as symbol, 0 as occurrence, '' as exact_digits, 0 as kafka_partition, 1000 + n as kafka_offset,
    0 as load_id, '' as conditions, 'regular' as session, 5 as price, 1 as volume, {starts} + n * 4000 as ts_ms,
    {starts} + n * 4000 // 60000 * 60000 as minute_ms, 0 as latest_before_ms, 0 as received_us,
    false as has_unknown_code, true as updates_last, true as updates_high_low, true as updates_volume,
    true as is_late, cast(epoch_ms({starts} + n * 4000) as date) as trading_date,
    epoch_ms({starts} + n * 4000) as traded_at
from range({count}) as prints (n)
"""
MINUTES = """
insert into silver.silver_bars_1m by name
select
    symbol, session, price as open, price as high, price as low, price as close, volume, volume as priced_volume,
    volume as notional, 1 as trades, 0 as build_id, ts_ms as minute_ms, trading_date
from silver.silver_trades
where load_id = 0
"""
CANDLES = """
insert into gold.candlesticks by name
select
    symbol, '1m' as interval, session, 5 as open, 5 as high, 5 as low, 5 as close, 1 as volume, 5 as vwap,
    1 as trades, 0 as revision, 0 as build_id, true as is_closed, false as is_complete, trading_date,
    traded_at as opened_at, traded_at + interval 1 minute as ends_at
from silver.silver_trades
where load_id = 0
"""


def test_a_build_reads_no_history(tmp_path: Path) -> None:
    """Of the tables that grow, models and the tests of each build read about what the loads touched."""
    house = House(template(tmp_path / "template.duckdb"), tmp_path / "house")
    house.load(events(0))
    house.transform(tests="new")
    connection = house.warehouse._connected  # noqa: SLF001  # the port has no way to make up history
    with connection() as duckdb:
        for sql in (TRADES, MINUTES, CANDLES):
            duckdb.execute(sql.format(starts=epoch_ms("2024-05-01T00:00"), count=HISTORY)).fetchall()
        duckdb.execute("checkpoint").fetchall()
    for minute in (1, 2):
        house.load(events(minute))
        house.transform(tests="new")
    read = {
        (path.stem, table): rows
        for path in (house.state / "dbt" / "target" / "compiled").rglob("*.sql")
        if not path.stem.startswith("bronze_")
        for table, rows in scans(house, path)
        if table in GROWING
    }
    assert {name for name, _ in read} >= {"silver_trades", "silver_bars_1m", "candlesticks", "silver_rejects"}
    assert {where: rows for where, rows in read.items() if rows > 1_000} == {}


def events(minute: int) -> list[str]:
    """Make a minute of prints and a sign of life for it."""
    starts = OPENS + minute * 60_000
    prints = [trade_value(Trade("IBM", starts + at * 100, Decimal(5), Decimal(1 + at))) for at in range(200)]
    return [*prints, status_value(FeedStatus("IBM", FeedState.ALIVE, starts * 1_000, (starts + 60_000) * 1_000))]


def scans(house: House, path: Path) -> list[tuple[str, int]]:
    """Return by table how many rows the SQL of a model or test took from it."""
    (plan,) = house.rows("explain (analyze, format json) " + path.read_text(encoding="utf-8"))
    return list(_scans(json.loads(plan["explain_value"])))


def _scans(node: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    table = node.get("extra_info", {}).get("Table", "")
    if table:
        yield table.rpartition(".")[2], node["intermediate_rows"]
    for child in (*node.get("children", ()), *node.get("operator", ())):
        yield from _scans(child)
