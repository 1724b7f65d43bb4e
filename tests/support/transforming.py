"""Put events into RAW without Kafka or a raw zone, and read what the models make of them."""

import json
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from tickhouse.clock import MarketClock
from tickhouse.market import ConditionTable, FeedStatus, Trade, load_default
from tickhouse.transform import TransformResult, transform
from tickhouse.warehouse import DuckDBWarehouse, write_reference

__all__ = ["House", "epoch_ms", "status_value", "template", "trade_value"]

LOADED_AT = datetime(2026, 1, 1)  # noqa: DTZ001  # RAW's timestamps are naive UTC
KEYS = {
    "candlesticks": "symbol, interval, session, opened_at",
    "feed_gaps": "symbol, from_at, to_at, state, reason",
    "silver_trades": "kafka_partition, kafka_offset",
    "silver_rejects": "kafka_partition, kafka_offset",
    "silver_feed_spans": "symbol, kind, from_us, to_us, state, reason",
    "silver_bars_1m": "symbol, session, minute_ms",
}


def epoch_ms(text: str) -> int:
    """Return UTC epoch milliseconds of an ISO time in UTC."""
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1_000)


def trade_value(trade: Trade, **replaced: str) -> str:
    """Return a trade as the JSON text of its record; `replaced` gives JSON texts of fields, '' leaves one out."""
    fields = {
        "type": '"trade"',
        "symbol": json.dumps(trade.symbol),
        "price": str(trade.price),
        "volume": str(trade.volume),
        "ts_ms": str(trade.ts_ms),
        "conditions": json.dumps(trade.conditions),
        "received_us": str(trade.ts_ms * 1_000),
        "position": "0",
        "occurrence": str(trade.occurrence),
    }
    return "{" + ",".join(f'"{name}":{value}' for name, value in (fields | replaced).items() if value) + "}"


def status_value(status: FeedStatus) -> str:
    """Return a feed status as the JSON text of its record."""
    return json.dumps(
        {
            "type": "status",
            "symbol": status.symbol,
            "state": status.state.value,
            "from_us": status.from_us,
            "to_us": status.to_us,
            "reason": status.reason,
            "received_us": status.to_us,
        }
    )


def template(path: Path, conditions: ConditionTable | None = None) -> Path:
    """Make a warehouse file that has the reference tables and nothing else."""
    warehouse = DuckDBWarehouse(path)
    warehouse.init()
    write_reference(warehouse, load_default() if conditions is None else conditions, "XNYS")
    warehouse.disconnect()
    return path


class House:
    """One warehouse in a folder of its own, copied from a template."""

    def __init__(self, made_from: Path, home: Path, *, dbt_state: Path | None = None) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self.home = home
        self.path = Path(shutil.copyfile(made_from, home / "warehouse.duckdb"))
        self.warehouse = DuckDBWarehouse(self.path)
        self.state = home if dbt_state is None else dbt_state

    def load(self, values: Sequence[str | None], partition: int = 0, loaded_at: datetime = LOADED_AT) -> None:
        """Append records to one partition, as one load."""
        load_id = self.warehouse.max_load_id() + 1
        counted = "select count(*) as n from raw.stock_events where kafka_partition = ?"
        start = self.warehouse.query(counted, (partition,)).to_pylist()[0]["n"]
        count = len(values)
        events: dict[str, Any] = {
            "topic": ["stocks-topic"] * count,
            "kafka_partition": pa.array([partition] * count, pa.int32()),
            "kafka_offset": list(range(start, start + count)),
            "timestamp_ms": [0] * count,
            "key": [""] * count,
            "headers": ["[]"] * count,
            "value": pa.array(values, pa.string()),
            "load_id": [load_id] * count,
            "loaded_at": [loaded_at] * count,
        }
        ledger: dict[str, Any] = {
            "object_key": [f"raw/{partition}/{start}"],
            "topic": ["stocks-topic"],
            "kafka_partition": pa.array([partition], pa.int32()),
            "first_offset": [start],
            "last_offset": [start + count - 1],
            "row_count": [count],
            "reject_count": [0],
            "byte_count": [0],
            "load_id": [load_id],
            "loaded_at": [loaded_at],
        }
        self.warehouse.append("raw.stock_events", pa.table(events))
        self.warehouse.append("raw.load_ledger", pa.table(ledger))

    def transform(self, **options: Any) -> TransformResult:  # noqa: ANN401  # whatever transform takes
        """Build with all tests, except where `tests` says otherwise."""
        return transform(self.warehouse, state_dir=self.state, clock=MarketClock(1), **{"tests": "all", **options})

    def rows(self, sql: str) -> list[dict[str, Any]]:
        """Return the rows of a query."""
        found: list[dict[str, Any]] = self.warehouse.query(sql).to_pylist()
        return found

    def table(self, name: str, *, without: Sequence[str] = ("build_id", "load_id")) -> list[dict[str, Any]]:
        """Return all rows of a model by key, without the columns that depend on how builds and loads were cut."""
        schema = "silver" if name.startswith("silver_") else "gold"
        rows = self.rows(f"select * from {schema}.{name} order by {KEYS[name]}")  # noqa: S608  # our own names
        return [{column: value for column, value in row.items() if column not in without} for row in rows]
