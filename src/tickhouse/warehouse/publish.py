"""Publish gold as a snapshot in the lake, so that no reader ever opens the warehouse."""

from collections.abc import Iterable
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tickhouse.lake import GOLD_MANIFEST, Store, gold_key
from tickhouse.log import get_logger
from tickhouse.warehouse.base import Build, Warehouse
from tickhouse.warehouse.manifest import (
    MANIFEST_SCHEMA,
    UNDATED,
    GoldFile,
    Manifest,
    RetiredFile,
    publish_id,
    read_manifest,
)

__all__ = ["GOLD_TABLES", "GoldTable", "PublishResult", "publish"]

log = get_logger("warehouse.publish")

RETIRED_FOR_US = 600_000_000  # how long a reader may go on with the manifest that it opened
ROW_GROUP_ROWS = 8_192  # a reader of one symbol skips most of a date's file


@dataclass(frozen=True, slots=True)
class GoldTable:
    """A table that readers get: one file per trading date, or whole; `order` puts together what is read together."""

    name: str
    is_dated: bool
    order: tuple[str, ...]


GOLD_TABLES = (
    GoldTable("candlesticks", is_dated=True, order=("symbol", "interval", "session", "opened_at")),
    GoldTable("feed_gaps", is_dated=False, order=("symbol", "from_at", "to_at", "state", "reason")),
)


@dataclass(frozen=True, slots=True)
class PublishResult:
    """What a publish wrote; `manifest` is what readers follow now, None before the first build."""

    is_new: bool
    files: int
    rows: int
    deleted: int
    manifest: Manifest | None


def publish(
    warehouse: Warehouse,
    store: Store,
    *,
    topic: str,
    source: str,
    now_us: int,
    full: bool = False,
) -> PublishResult:
    """Write the files of what the builds since the last publish changed, then swap the manifest.

    Whatever kills it, readers have the old snapshot or the new one. Where no build is new, nothing is written. With
    `full` all of gold is written as if nothing had been published yet: that mends a snapshot that was damaged.
    """
    old, build = None if full else read_manifest(store), warehouse.last_build()
    if build is None or (old is not None and _is_of(old, build)):
        return PublishResult(is_new=False, files=0, rows=0, deleted=0, manifest=old)
    writer = _Writer(warehouse, store, old, build, now_us)
    for table in GOLD_TABLES:
        writer.write(table)
    deleted = writer.delete_retired()
    manifest = writer.manifest(topic, source)
    store.put(GOLD_MANIFEST, manifest.encode())
    rows = sum(file.rows for file in writer.written)
    log.info(
        "publish.done",
        publish_id=manifest.publish_id,
        build_id=build.build_id,
        files=len(writer.written),
        rows=rows,
        deleted=deleted,
    )
    return PublishResult(is_new=True, files=len(writer.written), rows=rows, deleted=deleted, manifest=manifest)


def _is_of(manifest: Manifest, build: Build) -> bool:
    return (manifest.build_id, manifest.build_finished_us) == (build.build_id, build.finished_us)


class _Writer:
    """Write one snapshot's files next to those of the one before."""

    def __init__(self, warehouse: Warehouse, store: Store, old: Manifest | None, build: Build, now_us: int) -> None:
        self._warehouse = warehouse
        self._store = store
        self._build = build
        self._now_us = now_us
        self._since = _since(warehouse, old)
        self._number = 1 if old is None else old.number + 1
        self._publish_id = publish_id(now_us, self._number)
        self._old_tables = {} if old is None else old.tables
        self._retired = {} if old is None else {file.key: file.since_us for file in old.retired}
        self._symbols = set() if old is None or self._since is None else set(old.symbols)
        self._tables: dict[str, dict[str, GoldFile]] = {}
        self.written: list[GoldFile] = []

    def write(self, table: GoldTable) -> None:
        """Write a table's changed files and retire the ones that they take the place of."""
        kept = {} if self._since is None else dict(self._old_tables.get(table.name, {}))
        for day in self._changed(table, kept):
            rows = self._export(table, day)
            self._retire_folder(table, day)
            kept.pop(day, None)
            if rows.num_rows > 0 or not table.is_dated:
                kept[day] = self._put(table, day, rows)
            self._symbols.update(pc.unique(rows.column("symbol")).to_pylist())
        self._tables[table.name] = kept
        for day, file in self._old_tables.get(table.name, {}).items():
            if kept.get(day) != file:
                self._retired.setdefault(file.key, self._now_us)

    def delete_retired(self) -> int:
        """Delete files that no reader can still need."""
        due = [key for key, since_us in self._retired.items() if self._now_us - since_us >= RETIRED_FOR_US]
        self._store.delete(due)
        for key in due:
            del self._retired[key]
        return len(due)

    def manifest(self, topic: str, source: str) -> Manifest:
        """Describe the new snapshot."""
        loaded = self._warehouse.loaded(topic, self._build.through_load_id)
        return Manifest(
            schema=MANIFEST_SCHEMA,
            number=self._number,
            publish_id=self._publish_id,
            published_us=self._now_us,
            source=source,
            build_id=self._build.build_id,
            build_finished_us=self._build.finished_us,
            load_id=self._build.through_load_id,
            next_offsets={topic: {partition: place.next_offset for partition, place in loaded.items()}},
            symbols=sorted(self._symbols),
            tables=self._tables,
            retired=[RetiredFile(key, since_us) for key, since_us in sorted(self._retired.items())],
        )

    def _changed(self, table: GoldTable, kept: dict[str, GoldFile]) -> Iterable[str]:
        if table.is_dated:
            return [day.isoformat() for day in self._warehouse.dates_changed(table.name, self._since or 0)]
        found = self._warehouse.row(
            f"select count(*) as n, coalesce(max(build_id), 0) as build_id from gold.{table.name}"  # noqa: S608  # our own names
        )
        # A row that is gone leaves no build id behind, but the count tells.
        unchanged = (
            found is not None and UNDATED in kept and found[0] == kept[UNDATED].rows and found[1] <= (self._since or 0)
        )
        return [] if unchanged else [UNDATED]

    def _export(self, table: GoldTable, day: str) -> pa.Table:
        where = "where trading_date = cast(? as date)" if table.is_dated else ""
        return self._warehouse.query(
            f"select * from gold.{table.name} {where} order by {', '.join(table.order)}",  # noqa: S608  # our own names
            (day,) if table.is_dated else (),
        )

    def _put(self, table: GoldTable, day: str, rows: pa.Table) -> GoldFile:
        sink = pa.BufferOutputStream()
        pq.write_table(rows, sink, compression="zstd", row_group_size=ROW_GROUP_ROWS)
        data = sink.getvalue().to_pybytes()
        file = GoldFile(self._key(table, day), rows.num_rows, len(data))
        self._store.put(file.key, data)
        self._retired.pop(file.key, None)  # a killed publish of the same second and number left it there
        self.written.append(file)
        return file

    def _key(self, table: GoldTable, day: str) -> str:
        return gold_key(table.name, day if table.is_dated else None, self._publish_id)

    def _retire_folder(self, table: GoldTable, day: str) -> None:
        """Retire all that lies beside a file to be written: what a killed publish left is in no manifest."""
        folder = self._key(table, day).rpartition("/")[0]
        for found in self._store.list(folder):
            self._retired.setdefault(found.key, self._now_us)


def _since(warehouse: Warehouse, old: Manifest | None) -> int | None:
    """Return the build after which rows are new to the snapshot; None where all of them are."""
    if old is None or not warehouse.has_build(old.build_id, old.build_finished_us):
        return None
    return None if warehouse.is_rebuilt_since(old.build_id) else old.build_id
