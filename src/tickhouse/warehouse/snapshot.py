"""Read the gold snapshot: what every reader gets instead of the warehouse."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tickhouse.errors import ObjectMissing, SnapshotMissing
from tickhouse.lake import Store
from tickhouse.market import Interval, SessionName
from tickhouse.warehouse.manifest import GoldFile, Manifest, read_manifest

__all__ = ["CANDLES_SCHEMA", "GAPS_SCHEMA", "Snapshot", "open_snapshot"]

READERS = 8
A_DAY = timedelta(days=1)
UTC_TIME = pa.timestamp("us", tz="UTC")
CANDLES_SCHEMA = pa.schema(
    [
        ("symbol", pa.string()),
        ("interval", pa.string()),
        ("session", pa.string()),
        ("opened_at", UTC_TIME),
        ("open", pa.float64()),
        ("high", pa.float64()),
        ("low", pa.float64()),
        ("close", pa.float64()),
        ("volume", pa.float64()),
        ("vwap", pa.float64()),
        ("trades", pa.int64()),
        ("is_complete", pa.bool_()),
        ("revision", pa.int64()),
    ]
)
GAPS_SCHEMA = pa.schema(
    [
        ("symbol", pa.string()),
        ("from_at", UTC_TIME),
        ("to_at", UTC_TIME),
        ("seconds", pa.float64()),
        ("state", pa.string()),
        ("reason", pa.string()),
    ]
)


class Snapshot:
    """One published state of gold; its files stay for ten minutes after a newer one took its place."""

    def __init__(self, store: Store, manifest: Manifest) -> None:
        self._store = store
        self.manifest = manifest

    def symbols(self) -> tuple[str, ...]:
        """Return the symbols that have bars or gaps, in order."""
        return tuple(self.manifest.symbols)

    def candles(
        self,
        symbol: str,
        interval: Interval = Interval.MINUTE,
        session: SessionName = SessionName.REGULAR,
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> pa.Table:
        """Return a symbol's bars that opened in [start, end), in time order; only the dates between are read."""
        files = [file for day, file in sorted(self._files("candlesticks").items()) if _may_hold(day, start, end)]
        kind = (pc.field("symbol") == symbol) & (pc.field("interval") == interval.value)
        found = self._read(files, CANDLES_SCHEMA, kind & (pc.field("session") == session.value))
        if start is not None:
            found = found.filter(pc.field("opened_at") >= pa.scalar(start, UTC_TIME))
        if end is not None:
            found = found.filter(pc.field("opened_at") < pa.scalar(end, UTC_TIME))
        return found.sort_by("opened_at")

    def gaps(self, symbol: str | None = None, start: datetime | None = None, end: datetime | None = None) -> pa.Table:
        """Return the gap ledger, of one symbol or of all: what overlaps [start, end), by symbol and time."""
        wanted = None if symbol is None else pc.field("symbol") == symbol
        found = self._read(self._files("feed_gaps").values(), GAPS_SCHEMA, wanted)
        if start is not None:
            found = found.filter(pc.field("to_at") > pa.scalar(start, UTC_TIME))
        if end is not None:
            found = found.filter(pc.field("from_at") < pa.scalar(end, UTC_TIME))
        return found.sort_by([("symbol", "ascending"), ("from_at", "ascending")])

    def tables(self) -> dict[str, int]:
        """Return the number of rows of each table."""
        return {name: sum(file.rows for file in files.values()) for name, files in self.manifest.tables.items()}

    def table(self, name: str) -> pa.Table:
        """Return a whole gold table as it was exported, for tests and tools; times are naive UTC."""
        files = [file for _, file in sorted(self._files(name).items())]
        return pa.concat_tables([pq.read_table(self._source(file)) for file in files]) if files else pa.table({})

    def _files(self, table: str) -> dict[str, GoldFile]:
        return self.manifest.tables.get(table, {})

    def _read(self, files: Iterable[GoldFile], schema: pa.Schema, wanted: pc.Expression | None) -> pa.Table:
        def read(file: GoldFile) -> pa.Table:
            rows = pq.read_table(self._source(file), columns=schema.names, filters=wanted)
            return rows.select(schema.names).cast(schema)

        with ThreadPoolExecutor(READERS) as pool:
            return pa.concat_tables([schema.empty_table(), *pool.map(read, files)])

    def _source(self, file: GoldFile) -> pa.NativeFile:
        path = self._store.local_path(file.key)
        if path is None:
            return pa.BufferReader(self._store.get(file.key))
        try:
            return pa.memory_map(str(path))
        except FileNotFoundError as error:  # a snapshot that was opened more than ten minutes ago
            raise ObjectMissing(self._store.url, file.key) from error


def open_snapshot(store: Store) -> Snapshot:
    """Open what was published last; raises SnapshotMissing before the first publish."""
    manifest = read_manifest(store)
    if manifest is None:
        raise SnapshotMissing(store.url)
    return Snapshot(store, manifest)


def _may_hold(day: str, start: datetime | None, end: datetime | None) -> bool:
    """Tell whether bars of a trading date may open in [start, end): they lie within a day of it in any time zone."""
    midnight = datetime.fromisoformat(day).replace(tzinfo=UTC)
    return (start is None or midnight + 2 * A_DAY > start) and (end is None or midnight - A_DAY < end)
