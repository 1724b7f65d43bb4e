"""Sum up what stands: counts by layer, bars by interval, gaps, and how far each layer is behind."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tickhouse.kafka import SINK_GROUP, end_offsets, lag
from tickhouse.market import Interval
from tickhouse.settings import Settings
from tickhouse.warehouse import Warehouse, to_us

__all__ = ["Counts", "Lags", "count_all", "measure_lags"]

COUNTS = """
select
    (select count(*) from raw.stock_events) as events,
    (select count(*) from silver.silver_trades) as trades,
    (select count(*) from silver.silver_rejects where reject_reason = 'repeat') as repeats,
    (select count(*) from silver.silver_rejects where reject_reason <> 'repeat') as rejects,
    (select count(*) from gold.feed_gaps) as gaps,
    (select count(distinct symbol) from gold.candlesticks) as symbols,
    (select max(ends_at) from gold.candlesticks where interval = '1m' and is_closed) as closed_until
"""
BARS = "select interval, count(*) as bars from gold.candlesticks where session = 'all' group by interval"


@dataclass(frozen=True, slots=True)
class Counts:
    """What the warehouse holds; `bars` counts those of session `all` by interval."""

    events: int
    symbols: int
    trades: int
    repeats: int
    rejects: int
    gaps: int
    bars: dict[str, int]
    closed_until_us: int | None


@dataclass(frozen=True, slots=True)
class Lags:
    """How many records each layer is behind the one before it."""

    raw_zone: int
    warehouse: int


def count_all(warehouse: Warehouse) -> Counts:
    """Count what the warehouse holds; it must have been built once."""
    row: dict[str, Any] = warehouse.query(COUNTS).to_pylist()[0]
    found = {bar["interval"]: bar["bars"] for bar in warehouse.query(BARS).to_pylist()}
    closed_until = row.pop("closed_until")
    return Counts(
        bars={interval.value: found.get(interval.value, 0) for interval in Interval},
        closed_until_us=None if closed_until is None else to_us(closed_until),
        **row,
    )


def measure_lags(settings: Settings, bootstrap: str, loaded: Mapping[int, int]) -> Lags:
    """Compare the topic's ends with what the sink committed and with the next offsets that are `loaded`."""
    ends = end_offsets(bootstrap, settings.topic)
    return Lags(
        raw_zone=sum(lag(bootstrap, SINK_GROUP, settings.topic).values()),
        warehouse=sum(max(end - loaded.get(partition, 0), 0) for partition, end in ends.items()),
    )
