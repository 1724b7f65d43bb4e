"""Keep the warehouse in one DuckDB file."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from tickhouse.errors import LockBusy, WarehouseFailed
from tickhouse.warehouse.base import RAW_TABLES, ObjectLoad, RawObject, Warehouse, at_us

__all__ = ["DuckDBWarehouse"]

INSERT_EVENTS = """
insert into raw.stock_events
select
    topic,
    "partition",
    "offset",
    timestamp_ms,
    try(decode(key)),
    headers,
    try(decode(value)),
    cast($load_id as bigint),
    cast($loaded_at as timestamp)
from read_parquet($paths, hive_partitioning = false)
"""

# An as-of join gives each row to the object that starts at or before it: linear, where a range join is quadratic.
COUNT_LOADED = """
select
    objects.object_key,
    $topic as topic,
    objects.kafka_partition,
    objects.first_offset,
    objects.last_offset,
    count(*) as row_count,
    count(*) filter (where events.value is null) as reject_count,
    any_value(objects.byte_count) as byte_count,
    cast($load_id as bigint) as load_id,
    cast($loaded_at as timestamp) as loaded_at,
    min(events.kafka_offset) as found_first,
    max(events.kafka_offset) as found_last
from (select kafka_partition, kafka_offset, value from raw.stock_events where load_id = $load_id) as events
asof join loading as objects
    on events.kafka_partition = objects.kafka_partition and events.kafka_offset >= objects.first_offset
group by all
"""


class DuckDBWarehouse(Warehouse):
    """Reach the file at `path`; one process may have it open at a time.

    The connection has DuckDB's own configuration, which is what dbt-duckdb opens with too: within one process both
    may then have the file open.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection: duckdb.DuckDBPyConnection | None = None

    def init(self) -> None:
        """Create schema RAW and its tables where they are missing."""
        with self._transaction() as connection:
            connection.execute("create schema if not exists raw")
            for table, columns in RAW_TABLES.items():
                listed = ", ".join(f"{name} {kind}" for name, kind in columns)
                connection.execute(f"create table if not exists raw.{table} ({listed})")

    def load(self, topic: str, objects: Sequence[RawObject], loaded_us: int) -> ObjectLoad:
        """Load all rows of `objects` and their ledger rows in one transaction."""
        with self._transaction() as connection, _registered(connection, "loading", _as_table(objects)):
            self._refuse_loaded()
            load_id = self.max_load_id() + 1
            stamp = {"load_id": load_id, "loaded_at": at_us(loaded_us)}
            connection.execute(INSERT_EVENTS, {"paths": [str(item.path) for item in objects], **stamp})
            counted = connection.sql(COUNT_LOADED, params={"topic": topic, **stamp}).to_arrow_table()
            _refuse_unlike(objects, counted)
            ledger = counted.select([name for name, _ in RAW_TABLES["load_ledger"]])
            self._insert(connection, "raw.load_ledger", ledger)
        rows, rejects = (sum(ledger.column(name).to_pylist()) for name in ("row_count", "reject_count"))
        return ObjectLoad(load_id, len(objects), rows, rejects)

    def query(self, sql: str, parameters: Sequence[object] = ()) -> pa.Table:
        """Return all rows of a SELECT; column names in lower case, timestamps naive UTC in microseconds."""
        with self._connected() as connection:
            # `sql` and not `execute`, which warns that its way to Arrow makes a copy
            found = connection.sql(sql, params=list(parameters)).to_arrow_table()
        return found.rename_columns([name.lower() for name in found.column_names])

    def append(self, table: str, rows: pa.Table, *, replace: bool = False) -> None:
        """Insert `rows` by column position into an existing table, in one transaction; `replace` empties it first."""
        with self._transaction() as connection:
            if replace:
                connection.execute(f"delete from {table}")  # noqa: S608  # our own names
            self._insert(connection, table, rows)

    def dbt_target(self) -> dict[str, Any]:
        """Return the output that a dbt profile needs to reach this warehouse.

        Without `keep_open` dbt lets go of the file after its last statement, so that other processes can have it.
        """
        return {"type": "duckdb", "path": str(self.path), "schema": "gold", "threads": 2, "keep_open": False}

    def disconnect(self) -> None:
        """Let go of the file; the next use opens it again."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _refuse_loaded(self) -> None:
        known = self.row("select object_key from raw.load_ledger semi join loading using (object_key) limit 1")
        if known is not None:
            message = f"{known[0]} is loaded already; nothing was loaded twice"
            raise WarehouseFailed(message)

    @staticmethod
    def _insert(connection: duckdb.DuckDBPyConnection, table: str, rows: pa.Table) -> None:
        with _registered(connection, "appended", rows):
            connection.execute(f"insert into {table} select * from appended")  # noqa: S608  # our own names

    @contextmanager
    def _connected(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Give the connection, opened where it isn't, and turn DuckDB's errors into ours: the one place that does."""
        try:
            if self._connection is None:
                self._connection = duckdb.connect(self.path)
                self._connection.execute("set TimeZone = 'UTC'")
            yield self._connection
        except duckdb.Error as error:
            said = str(error).partition("\n")[0]  # the lines below show the statement
            if "Could not set lock on file" in said:
                raise LockBusy(self.path, 0.0) from error
            message = f"{self.path}: {said}"
            raise WarehouseFailed(message) from error

    @contextmanager
    def _transaction(self) -> Iterator[duckdb.DuckDBPyConnection]:
        with self._connected() as connection:
            connection.begin()
            try:
                yield connection
                connection.commit()
            except BaseException:
                with suppress(duckdb.Error):  # DuckDB has ended it by itself after some errors
                    connection.rollback()
                raise


@contextmanager
def _registered(connection: duckdb.DuckDBPyConnection, name: str, rows: pa.Table) -> Iterator[None]:
    """Make `rows` a relation of that name."""
    connection.register(name, rows)
    try:
        yield
    finally:
        connection.unregister(name)


def _as_table(objects: Sequence[RawObject]) -> pa.Table:
    columns = {
        "object_key": pa.array([item.key for item in objects], pa.string()),
        "kafka_partition": pa.array([item.partition for item in objects], pa.int32()),
        "first_offset": pa.array([item.first_offset for item in objects], pa.int64()),
        "last_offset": pa.array([item.last_offset for item in objects], pa.int64()),
        "byte_count": pa.array([item.size for item in objects], pa.int64()),
    }
    return pa.table(columns)


def _refuse_unlike(objects: Sequence[RawObject], counted: pa.Table) -> None:
    """Refuse files that don't hold what was said of them."""
    names = ("row_count", "found_first", "found_last")
    keys = counted.column("object_key").to_pylist()
    found = dict(zip(keys, zip(*(counted.column(name).to_pylist() for name in names), strict=True), strict=True))
    for item in objects:
        said = (item.rows, item.first_offset, item.last_offset)
        if found.get(item.key) != said:
            message = (
                f"{item.key} should hold {said} (rows, first and last offset), but gave {found.get(item.key)}; "
                "nothing was loaded"
            )
            raise WarehouseFailed(message)
