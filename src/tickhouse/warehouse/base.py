"""Define the warehouse port: the few things that an engine does, and the books that are kept in plain SQL over them."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

import pyarrow as pa

__all__ = ["RAW_TABLES", "Build", "LoadedPartition", "ObjectLoad", "RawObject", "Warehouse", "at_us", "to_us"]

RAW_TABLES: Mapping[str, tuple[tuple[str, str], ...]] = MappingProxyType(
    {
        "stock_events": (
            ("topic", "varchar"),
            ("kafka_partition", "integer"),
            ("kafka_offset", "bigint"),
            ("timestamp_ms", "bigint"),
            ("key", "varchar"),
            ("headers", "varchar"),
            ("value", "varchar"),
            ("load_id", "bigint"),
            ("loaded_at", "timestamp"),
        ),
        "load_ledger": (
            ("object_key", "varchar"),
            ("topic", "varchar"),
            ("kafka_partition", "integer"),
            ("first_offset", "bigint"),
            ("last_offset", "bigint"),
            ("row_count", "bigint"),
            ("reject_count", "bigint"),
            ("byte_count", "bigint"),
            ("load_id", "bigint"),
            ("loaded_at", "timestamp"),
        ),
        "trade_conditions": (
            ("code", "varchar"),
            ("name", "varchar"),
            ("session", "varchar"),
            ("updates_last", "boolean"),
            ("updates_high_low", "boolean"),
            ("updates_volume", "boolean"),
        ),
        "sessions": (
            ("applies_to", "varchar"),
            ("calendar", "varchar"),
            ("trading_date", "date"),
            ("session", "varchar"),
            ("starts_at", "timestamp"),
            ("ends_at", "timestamp"),
        ),
        "builds": (
            ("build_id", "bigint"),
            ("since_load_id", "bigint"),
            ("through_load_id", "bigint"),
            ("is_full", "boolean"),
            ("fingerprint", "varchar"),
            ("finished_at", "timestamp"),
        ),
        "unfinished_builds": (
            ("build_id", "bigint"),
            ("fingerprint", "varchar"),
            ("began_at", "timestamp"),
        ),
    }
)
"""Tables of schema RAW with their columns; the words are valid on DuckDB and on Snowflake. Timestamps are UTC."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def at_us(epoch_us: int) -> datetime:
    """Return the naive UTC time that a TIMESTAMP column holds for an epoch in microseconds."""
    return (EPOCH + timedelta(microseconds=epoch_us)).replace(tzinfo=None)


def to_us(stored: datetime) -> int:
    """Return the epoch in microseconds of what a TIMESTAMP column holds."""
    return (stored.replace(tzinfo=UTC) - EPOCH) // timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class RawObject:
    """One object of the raw zone that is ready to be loaded; `path` is a local file with its content."""

    key: str
    partition: int
    first_offset: int
    last_offset: int
    rows: int
    size: int
    path: Path


@dataclass(frozen=True, slots=True)
class ObjectLoad:
    """What one transaction loaded; `rejects` counts rows whose value is no UTF-8 text."""

    load_id: int
    objects: int
    rows: int
    rejects: int


@dataclass(frozen=True, slots=True)
class LoadedPartition:
    """How far one partition of a topic is loaded, by the ledger."""

    partition: int
    last_key: str
    next_offset: int
    objects: int
    rows: int
    rejects: int


@dataclass(frozen=True, slots=True)
class Build:
    """One transform that ended well: it read loads in (`since_load_id`, `through_load_id`]."""

    build_id: int
    since_load_id: int
    through_load_id: int
    is_full: bool
    fingerprint: str
    finished_us: int


class Warehouse(Protocol):
    """Hold schema RAW and the layers that dbt builds on it; one process at a time writes.

    An engine subclasses it and fills in the abstract methods. SQL that is passed to `query` and `execute` stays in
    what DuckDB and Snowflake share: unquoted identifiers, `?` parameters. Failures are `WarehouseFailed`.
    """

    @abstractmethod
    def init(self) -> None:
        """Create schema RAW and its tables where they are missing."""

    @abstractmethod
    def load(self, topic: str, objects: Sequence[RawObject], loaded_us: int) -> ObjectLoad:
        """Load all rows of `objects` and their ledger rows in one transaction.

        The load id is max + 1 inside that transaction. Where a file doesn't hold the rows that its `RawObject` says,
        or an object is in the ledger already, nothing is loaded.
        """

    @abstractmethod
    def query(self, sql: str, parameters: Sequence[object] = ()) -> pa.Table:
        """Return all rows of a SELECT; column names in lower case, timestamps naive UTC in microseconds."""

    @abstractmethod
    def append(self, table: str, rows: pa.Table, *, replace: bool = False) -> None:
        """Insert `rows` by column position into an existing table, in one transaction; `replace` empties it first."""

    @abstractmethod
    def dbt_target(self) -> dict[str, Any]:
        """Return the output that a dbt profile needs to reach this warehouse."""

    @abstractmethod
    def disconnect(self) -> None:
        """Let go of the connection; the next use opens it again."""

    def row(self, sql: str, parameters: Sequence[object] = ()) -> tuple[Any, ...] | None:
        """Return the first row of a SELECT, or None where there is none."""
        found = self.query(sql, parameters)
        if found.num_rows == 0:
            return None
        return tuple(column[0].as_py() for column in found.columns)

    def loaded(self, topic: str, through_load_id: int | None = None) -> dict[int, LoadedPartition]:
        """Return by partition how far `topic` is loaded, now or as of an earlier load."""
        found = self.query(
            """
            select
                kafka_partition as "partition",
                max(object_key) as last_key,
                max(last_offset) + 1 as next_offset,
                count(*) as objects,
                cast(sum(row_count) as bigint) as "rows",
                cast(sum(reject_count) as bigint) as rejects
            from raw.load_ledger
            where topic = ? and load_id <= coalesce(?, load_id)
            group by kafka_partition
            order by kafka_partition
            """,
            (topic, through_load_id),
        )
        return {row["partition"]: LoadedPartition(**row) for row in found.to_pylist()}

    def max_load_id(self) -> int:
        """Return the id of the newest load, 0 where nothing is loaded."""
        newest = self.row("select coalesce(max(load_id), 0) as load_id from raw.load_ledger")
        return 0 if newest is None else int(newest[0])

    def last_build(self) -> Build | None:
        """Return the newest build, None before the first."""
        newest = self.row(
            """
            select build_id, since_load_id, through_load_id, is_full, fingerprint, finished_at
            from raw.builds
            order by build_id desc
            limit 1
            """
        )
        if newest is None:
            return None
        build_id, since, through, is_full, fingerprint, finished_at = newest
        return Build(build_id, since, through, is_full, fingerprint, to_us(finished_at))

    def begin_full_build(self, build_id: int, fingerprint: str, began_us: int) -> None:
        """Write down that models are about to be replaced one by one: till all are, they don't fit together."""
        row = {
            "build_id": [build_id],
            "fingerprint": [fingerprint],
            "began_at": pa.array([at_us(began_us)], pa.timestamp("us")),
        }
        self.append("raw.unfinished_builds", pa.table(row), replace=True)

    def has_unfinished_full_build(self) -> bool:
        """Tell whether a full build began and none has ended since."""
        return self.row("select build_id from raw.unfinished_builds limit 1") is not None

    def record_build(self, build: Build) -> None:
        """Write down that a transform ended well; what follows is read from it."""
        row = {
            "build_id": [build.build_id],
            "since_load_id": [build.since_load_id],
            "through_load_id": [build.through_load_id],
            "is_full": [build.is_full],
            "fingerprint": [build.fingerprint],
            "finished_at": pa.array([at_us(build.finished_us)], pa.timestamp("us")),
        }
        self.append("raw.builds", pa.table(row))
        if build.is_full:
            # after: where this is cut off, the next build is full once more
            begun = self.query("select build_id, fingerprint, began_at from raw.unfinished_builds")
            self.append("raw.unfinished_builds", begun.slice(0, 0), replace=True)

    def has_build(self, build_id: int, finished_us: int) -> bool:
        """Tell whether a build is part of this warehouse's history; another warehouse counts its own."""
        return (
            self.row(
                "select build_id from raw.builds where build_id = ? and finished_at = ?", (build_id, at_us(finished_us))
            )
            is not None
        )

    def is_rebuilt_since(self, build_id: int) -> bool:
        """Tell whether a full build came after `build_id`."""
        found = self.row("select count(*) as n from raw.builds where build_id > ? and is_full", (build_id,))
        return found is not None and found[0] > 0

    def dates_changed(self, table: str, since_build_id: int) -> list[date]:
        """Return the trading dates of a gold table in which a later build than `since_build_id` changed a row."""
        found = self.query(
            f"select distinct trading_date from gold.{table} where build_id > ? order by trading_date",  # noqa: S608  # our own names
            (since_build_id,),
        )
        dates: list[date] = found.column("trading_date").to_pylist()
        return dates
