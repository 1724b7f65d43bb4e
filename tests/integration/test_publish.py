"""Publishing swaps one whole snapshot for another, and costs what changed."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.support.gold_tables import add_bar, add_gap, finish_build, make_gold
from tests.support.lake_objects import NOON_MS, TOPIC, put_object
from tickhouse.errors import StoreAway, TerminalError
from tickhouse.lake import GOLD_MANIFEST, Store, open_store
from tickhouse.warehouse import (
    Manifest,
    PublishResult,
    Warehouse,
    load_new,
    open_snapshot,
    open_warehouse,
    publish,
    read_manifest,
)

MINUTE_US = 60_000_000
NOW_US = NOON_MS * 1000
MONDAY, TUESDAY = datetime(2026, 11, 23, 15), datetime(2026, 11, 24, 15)  # noqa: DTZ001  # naive UTC, as in the tables


@pytest.fixture(params=["file", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """Return an empty lake."""
    return open_store((tmp_path / "lake").as_uri() if request.param == "file" else "memory:///")


@pytest.fixture
def warehouse(tmp_path: Path) -> Iterator[Warehouse]:
    """Return a warehouse after its first build: two trading dates, a gap."""
    with open_warehouse(tmp_path / "warehouse.duckdb") as opened:
        make_gold(opened)
        add_bar(opened, "IBM", MONDAY, 1)
        add_bar(opened, "AAPL", MONDAY, 1)
        add_bar(opened, "IBM", TUESDAY, 1)
        add_gap(opened, "IBM", MONDAY, TUESDAY, 1)
        finish_build(opened, 1, is_full=True)
        yield opened


def publish_at(warehouse: Warehouse, store: Store, now_us: int = NOW_US) -> PublishResult:
    """Publish with the settings of these tests."""
    return publish(warehouse, store, topic=TOPIC, source="synthetic", now_us=now_us)


def manifest_of(store: Store) -> Manifest:
    """Return the manifest that readers see."""
    found = read_manifest(store)
    assert found is not None
    return found


def gold_keys(store: Store) -> set[str]:
    """Return the data files of the lake's gold."""
    return {found.key for found in store.list("gold")} - {GOLD_MANIFEST}


def named_keys(manifest: Manifest) -> set[str]:
    """Return the files of a snapshot."""
    return {file.key for files in manifest.tables.values() for file in files.values()}


def test_nothing_is_published_before_the_first_build(tmp_path: Path, store: Store) -> None:
    """A loaded but never transformed warehouse has no gold."""
    with open_warehouse(tmp_path / "fresh.duckdb") as fresh:
        result = publish_at(fresh, store)
    assert (result.is_new, result.manifest) == (False, None)
    assert list(store.list("gold")) == []


def test_the_first_publish_writes_each_date_and_the_undated_tables(warehouse: Warehouse, store: Store) -> None:
    """Files are named by table, trading date and publish; the manifest says what they are of."""
    put_object(store, 2, 0, 5)
    load_new(store, TOPIC, warehouse, now_us=NOW_US)
    finish_build(warehouse, 2)
    result = publish_at(warehouse, store)
    assert (result.is_new, result.files, result.rows, result.deleted) == (True, 3, 4, 0)
    manifest = manifest_of(store)
    assert manifest == result.manifest
    name = "20261123T120000Z-000001"
    assert named_keys(manifest) == gold_keys(store)
    assert gold_keys(store) == {
        f"gold/candlesticks/2026-11-23/{name}.parquet",
        f"gold/candlesticks/2026-11-24/{name}.parquet",
        f"gold/feed_gaps/all/{name}.parquet",
    }
    assert (manifest.publish_id, manifest.published_us, manifest.source) == (name, NOW_US, "synthetic")
    assert (manifest.build_id, manifest.load_id, manifest.next_offsets) == (2, 1, {TOPIC: {2: 5}})
    assert manifest.symbols == ["AAPL", "IBM"]
    assert {day: file.rows for day, file in manifest.tables["candlesticks"].items()} == {
        "2026-11-23": 2,
        "2026-11-24": 1,
    }


def test_no_new_build_writes_nothing(warehouse: Warehouse, store: Store) -> None:
    """The second publish leaves even the manifest alone."""
    publish_at(warehouse, store)
    before = store.get(GOLD_MANIFEST)
    result = publish_at(warehouse, store, NOW_US + MINUTE_US)
    assert (result.is_new, result.files) == (False, 0)
    assert store.get(GOLD_MANIFEST) == before


def test_only_dates_that_a_build_touched_are_written_anew(warehouse: Warehouse, store: Store) -> None:
    """Monday's file and the gaps stay the very same objects."""
    first = publish_at(warehouse, store).manifest
    assert first is not None
    add_bar(warehouse, "MSFT", TUESDAY, 2)
    finish_build(warehouse, 2)
    result = publish_at(warehouse, store, NOW_US + MINUTE_US)
    second = manifest_of(store)
    assert (result.files, result.rows) == (1, 2)
    assert second.tables["candlesticks"]["2026-11-23"] == first.tables["candlesticks"]["2026-11-23"]
    assert second.tables["feed_gaps"] == first.tables["feed_gaps"]
    assert second.symbols == ["AAPL", "IBM", "MSFT"]
    assert [file.key for file in second.retired] == [first.tables["candlesticks"]["2026-11-24"].key]


def test_several_builds_are_published_at_once(warehouse: Warehouse, store: Store) -> None:
    """What builds changed whose publish never came is not left out."""
    publish_at(warehouse, store)
    add_bar(warehouse, "MSFT", MONDAY, 2)
    finish_build(warehouse, 2)
    add_bar(warehouse, "NVDA", TUESDAY, 3)
    finish_build(warehouse, 3)
    assert publish_at(warehouse, store).files == 2
    assert open_snapshot(store).symbols() == ("AAPL", "IBM", "MSFT", "NVDA")


def test_a_gap_that_vanished_is_gone_from_the_snapshot(warehouse: Warehouse, store: Store) -> None:
    """A deleted row has no build id, and is missed all the same."""
    publish_at(warehouse, store)
    warehouse.append("gold.feed_gaps", warehouse.query("select * from gold.feed_gaps limit 0"), replace=True)
    finish_build(warehouse, 2)
    assert publish_at(warehouse, store).files == 1
    assert open_snapshot(store).gaps().num_rows == 0


def test_a_full_build_is_published_whole(warehouse: Warehouse, store: Store) -> None:
    """Dates and symbols that the new gold doesn't have are gone."""
    publish_at(warehouse, store)
    warehouse.append("gold.candlesticks", warehouse.query("select * from gold.candlesticks limit 0"), replace=True)
    add_bar(warehouse, "MSFT", MONDAY, 2)
    finish_build(warehouse, 2, is_full=True)
    finish_build(warehouse, 3)
    assert publish_at(warehouse, store).files == 2
    manifest = manifest_of(store)
    assert list(manifest.tables["candlesticks"]) == ["2026-11-23"]
    assert manifest.symbols == ["IBM", "MSFT"]
    assert len(manifest.retired) == 3


def test_another_warehouse_is_published_whole(warehouse: Warehouse, store: Store, tmp_path: Path) -> None:
    """A rebuilt warehouse counts its builds from one again: equal numbers are no reason to keep old files."""
    publish_at(warehouse, store)
    with open_warehouse(tmp_path / "rebuilt" / "warehouse.duckdb") as rebuilt:
        make_gold(rebuilt)
        add_bar(rebuilt, "NVDA", MONDAY, 1)
        finish_build(rebuilt, 1, is_full=True, finished_us=NOW_US)
        assert publish_at(rebuilt, store, NOW_US + MINUTE_US).is_new
    snapshot = open_snapshot(store)
    assert snapshot.symbols() == ("NVDA",)
    assert snapshot.tables() == {"candlesticks": 1, "feed_gaps": 0}


def test_replaced_files_are_deleted_after_ten_minutes(warehouse: Warehouse, store: Store) -> None:
    """A reader of the old manifest has ten minutes from when its file was replaced, however old the file was."""
    first = publish_at(warehouse, store).manifest
    assert first is not None
    old = first.tables["candlesticks"]["2026-11-24"].key
    later = NOW_US + 60 * MINUTE_US
    for build_id, minutes in ((2, 0), (3, 9), (4, 10)):
        add_bar(warehouse, "MSFT", TUESDAY, build_id)
        finish_build(warehouse, build_id)
        result = publish_at(warehouse, store, later + minutes * MINUTE_US)
        assert result.deleted == (1 if minutes == 10 else 0)
        assert (old in gold_keys(store)) is (minutes < 10)
    manifest = manifest_of(store)
    assert gold_keys(store) == named_keys(manifest) | {file.key for file in manifest.retired}
    assert len(manifest.retired) == 2


class BrokenStore(Store):
    """Fail when the manifest is to be swapped."""

    def put(self, key: str, data: bytes) -> None:
        """Write all but the manifest."""
        if key == GOLD_MANIFEST:
            message = "away"
            raise StoreAway(message)
        super().put(key, data)


def test_a_publish_that_dies_before_the_swap_leaves_the_old_snapshot(warehouse: Warehouse, store: Store) -> None:
    """Readers see all of the old one, the next publish all of the new one, and what was left over goes in time."""
    publish_at(warehouse, store)
    add_bar(warehouse, "MSFT", TUESDAY, 2)
    finish_build(warehouse, 2)
    store.__class__ = BrokenStore
    with pytest.raises(StoreAway):
        publish_at(warehouse, store, NOW_US + MINUTE_US)
    store.__class__ = Store
    assert open_snapshot(store).symbols() == ("AAPL", "IBM")
    assert open_snapshot(store).candles("MSFT").num_rows == 0
    assert open_snapshot(store).candles("IBM").num_rows == 2
    left_over = gold_keys(store) - named_keys(manifest_of(store))
    assert len(left_over) == 1

    publish_at(warehouse, store, NOW_US + 2 * MINUTE_US)
    assert open_snapshot(store).candles("MSFT").num_rows == 1
    add_bar(warehouse, "NVDA", TUESDAY, 3)
    finish_build(warehouse, 3)
    publish_at(warehouse, store, NOW_US + 20 * MINUTE_US)
    assert not left_over & gold_keys(store)


def test_a_publish_repeated_within_its_second_keeps_its_files(warehouse: Warehouse, store: Store) -> None:
    """The file that a killed publish left under the same name is the new one's, and is not retired."""
    store.__class__ = BrokenStore
    with pytest.raises(StoreAway):
        publish_at(warehouse, store)
    store.__class__ = Store
    publish_at(warehouse, store)
    assert manifest_of(store).retired == []
    assert open_snapshot(store).candles("IBM").num_rows == 2


def test_an_open_snapshot_is_not_disturbed_by_a_newer_one(warehouse: Warehouse, store: Store) -> None:
    """Its files are immutable: a reader in the middle of its work sees one state."""
    publish_at(warehouse, store)
    reader = open_snapshot(store)
    add_bar(warehouse, "IBM", datetime(2026, 11, 24, 16), 2)  # noqa: DTZ001  # naive UTC, as in the tables
    finish_build(warehouse, 2)
    publish_at(warehouse, store, NOW_US + MINUTE_US)
    assert reader.candles("IBM").num_rows == 2
    assert open_snapshot(store).candles("IBM").num_rows == 3


def test_a_snapshot_needs_no_warehouse(warehouse: Warehouse, store: Store) -> None:
    """What is read is what was in gold, while another holds the database."""
    publish_at(warehouse, store)
    bars = open_snapshot(store).candles("IBM").to_pylist()
    assert [bar["opened_at"] for bar in bars] == [MONDAY.replace(tzinfo=UTC), TUESDAY.replace(tzinfo=UTC)]
    assert (bars[0]["open"], bars[0]["vwap"], bars[0]["trades"], bars[0]["is_complete"]) == (1.0, 1.25, 3, True)


@pytest.mark.parametrize(("content", "problem"), [(b"{", "can't be read"), (b'{"schema":99}', "schema 99")])
def test_a_manifest_that_is_none_is_refused(store: Store, content: bytes, problem: str) -> None:
    """A person is told what is wrong with which object."""
    store.put(GOLD_MANIFEST, content)
    with pytest.raises(TerminalError, match=problem):
        open_snapshot(store)
