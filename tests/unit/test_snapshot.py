"""The snapshot answers from its files alone, and opens no more of them than it must."""

import io
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tickhouse.errors import ObjectMissing, SnapshotMissing
from tickhouse.lake import GOLD_MANIFEST, Store, gold_key, open_store
from tickhouse.market import Interval, SessionName
from tickhouse.warehouse import CANDLES_SCHEMA, GAPS_SCHEMA, GoldFile, Manifest, open_snapshot

DAYS = ("2026-11-20", "2026-11-23", "2026-11-24")
OPENS = {day: datetime.fromisoformat(f"{day}T14:30").replace(tzinfo=UTC) for day in DAYS}


def _bars(day: str) -> list[dict[str, object]]:
    """Return three minutes of two symbols, and an hour; shuffled, since readers must not count on order."""
    rows = [
        {
            "symbol": symbol,
            "interval": interval,
            "session": session,
            "opened_at": OPENS[day] + timedelta(minutes=minute),
        }
        for symbol in ("MSFT", "IBM")
        for interval, session in (("1h", "regular"), ("1m", "all"), ("1m", "regular"))
        for minute in ((2, 0, 1) if interval == "1m" else (0,))
    ]
    values = {"open": 1.0, "high": 2.0, "low": 0.5, "close": 1.5, "volume": 10.0, "vwap": None, "trades": 1}
    return [row | values | {"is_complete": False, "revision": 2, "build_id": 1} for row in rows]


def _put(store: Store, table: str, day: str | None, rows: list[dict[str, object]], schema: pa.Schema) -> GoldFile:
    """Write a file as publish does: naive times, a column more than readers show."""
    stored = pa.schema(
        [
            *(
                pa.field(field.name, pa.timestamp("us") if pa.types.is_timestamp(field.type) else field.type)
                for field in schema
            ),
            pa.field("build_id", pa.int64()),
        ]
    )
    naive = [{k: v.replace(tzinfo=None) if isinstance(v, datetime) else v for k, v in row.items()} for row in rows]
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(naive, stored), sink)
    key = gold_key(table, day, "20261124T210000Z-000001")
    store.put(key, sink.getvalue())
    return GoldFile(key, len(rows), len(sink.getvalue()))


@pytest.fixture(params=["file", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """Return a lake with a snapshot of three trading dates and two gaps."""
    made = open_store(tmp_path.as_uri() if request.param == "file" else "memory:///")
    gaps: list[dict[str, object]] = [
        {
            "symbol": symbol,
            "from_at": start,
            "to_at": start + timedelta(minutes=5),
            "seconds": 300.0,
            "state": "silent",
            "reason": "",
        }
        for symbol, start in (("MSFT", OPENS["2026-11-23"]), ("IBM", OPENS["2026-11-24"]), ("IBM", OPENS["2026-11-20"]))
    ]
    tables = {
        "candlesticks": {day: _put(made, "candlesticks", day, _bars(day), CANDLES_SCHEMA) for day in DAYS},
        "feed_gaps": {"": _put(made, "feed_gaps", None, gaps, GAPS_SCHEMA)},
    }
    manifest = Manifest(1, 1, "20261124T210000Z-000001", 0, "recording", 1, 0, 1, {}, ["IBM", "MSFT"], tables, [])
    made.put(GOLD_MANIFEST, manifest.encode())
    return made


def test_an_empty_lake_has_no_snapshot() -> None:
    """The error says which command makes one."""
    with pytest.raises(SnapshotMissing, match="tickhouse run"):
        open_snapshot(open_store("memory:///"))


def test_candles_are_those_of_one_symbol_interval_and_session_in_time_order(store: Store) -> None:
    """Columns are the documented ones, times are aware UTC."""
    found = open_snapshot(store).candles("IBM")
    assert found.schema == CANDLES_SCHEMA
    assert found.column("opened_at").to_pylist() == [
        OPENS[day] + timedelta(minutes=minute) for day in DAYS for minute in range(3)
    ]
    assert set(found.column("symbol").to_pylist()) == {"IBM"}
    assert open_snapshot(store).candles("IBM", Interval.HOUR).num_rows == 3
    assert open_snapshot(store).candles("IBM", Interval.MINUTE, SessionName.ALL).num_rows == 9
    assert open_snapshot(store).candles("NVDA").num_rows == 0


def test_a_time_range_has_its_start_and_not_its_end(store: Store) -> None:
    """Ranges that touch share no bar."""
    start = OPENS["2026-11-23"]
    found = open_snapshot(store).candles("IBM", start=start, end=start + timedelta(minutes=2))
    assert found.column("opened_at").to_pylist() == [start, start + timedelta(minutes=1)]


def test_only_the_dates_of_the_range_are_read(store: Store) -> None:
    """A file of last week need not even be there."""
    manifest = open_snapshot(store).manifest
    store.delete([manifest.tables["candlesticks"]["2026-11-20"].key])
    snapshot = open_snapshot(store)
    assert snapshot.candles("IBM", start=OPENS["2026-11-23"]).num_rows == 6
    with pytest.raises(ObjectMissing):
        snapshot.candles("IBM")


def test_a_range_in_another_time_zone_is_the_same_range(store: Store) -> None:
    """Aware times are compared as moments."""
    start = datetime.fromisoformat("2026-11-24T09:31:00-05:00")
    assert open_snapshot(store).candles("IBM", start=start).num_rows == 2


def test_gaps_are_those_that_overlap_the_range(store: Store) -> None:
    """By symbol and time; a gap that only touches the range is outside."""
    snapshot = open_snapshot(store)
    every = snapshot.gaps()
    assert every.schema == GAPS_SCHEMA
    assert every.column("symbol").to_pylist() == ["IBM", "IBM", "MSFT"]
    assert snapshot.gaps("IBM").column("from_at").to_pylist() == [OPENS["2026-11-20"], OPENS["2026-11-24"]]
    ends = OPENS["2026-11-20"] + timedelta(minutes=5)
    assert snapshot.gaps("IBM", start=ends).num_rows == 1
    assert snapshot.gaps("IBM", start=ends - timedelta(seconds=1), end=OPENS["2026-11-24"]).num_rows == 1


def test_a_table_can_be_had_whole(store: Store) -> None:
    """Comparing two snapshots needs each row with each column."""
    snapshot = open_snapshot(store)
    assert snapshot.tables() == {"candlesticks": 42, "feed_gaps": 3}
    assert snapshot.table("candlesticks").num_rows == 42
    assert "build_id" in snapshot.table("candlesticks").column_names
    assert snapshot.table("not_published").num_rows == 0
    assert snapshot.symbols() == ("IBM", "MSFT")
