"""The loader brings each object of the raw zone into RAW once, whatever happens in between."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import filelock
import pytest

from tests.support.lake_objects import NOON_MS, TOPIC, put_object
from tests.support.waiting import wait_until
from tickhouse.errors import ChainBroken, LockBusy, TerminalError
from tickhouse.lake import Store, StoredObject, open_store, parse_raw_key, raw_key
from tickhouse.warehouse import BatchLimits, DuckDBWarehouse, ObjectLoad, RawObject, Warehouse, load_new, open_warehouse

NOW_US = NOON_MS * 1000
HOUR_MS = 3_600_000


@pytest.fixture(params=["file", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """Return an empty raw zone: in a folder, which is read in place, and in memory, which is copied as S3 is."""
    return open_store((tmp_path / "lake").as_uri() if request.param == "file" else "memory:///")


@pytest.fixture
def folder_store(tmp_path: Path) -> Store:
    """Return an empty raw zone in a folder."""
    return open_store((tmp_path / "lake").as_uri())


@pytest.fixture
def warehouse(tmp_path: Path) -> Iterator[Warehouse]:
    """Return an empty warehouse."""
    with open_warehouse(tmp_path / "warehouse.duckdb") as opened:
        yield opened


def offsets(warehouse: Warehouse) -> dict[int, list[int]]:
    """Return the loaded offsets of each partition, in order."""
    found: dict[int, list[int]] = {}
    rows = warehouse.query("select kafka_partition, kafka_offset from raw.stock_events order by all")
    for row in rows.to_pylist():
        found.setdefault(row["kafka_partition"], []).append(row["kafka_offset"])
    return found


def test_all_that_is_new_is_loaded_under_one_load_id(store: Store, warehouse: Warehouse) -> None:
    """Partitions and objects of one run share a transaction; the result tells where the next load starts."""
    put_object(store, 0, 0, 3)
    put_object(store, 0, 3, 2)
    put_object(store, 5, 70, 4)
    result = load_new(store, TOPIC, warehouse, now_us=NOW_US)
    assert (result.load_id, result.objects, result.rows, result.rejects) == (1, 3, 9, 0)
    assert result.next_offsets == {0: 5, 5: 74}
    assert offsets(warehouse) == {0: [0, 1, 2, 3, 4], 5: [70, 71, 72, 73]}


def test_a_second_run_loads_only_what_came_since(store: Store, warehouse: Warehouse) -> None:
    """New objects of old and new partitions are found; the loaded ones are left alone."""
    put_object(store, 0, 0, 3)
    load_new(store, TOPIC, warehouse, now_us=NOW_US)
    put_object(store, 0, 3, 1, timestamp_ms=NOON_MS + HOUR_MS)
    put_object(store, 1, 0, 2)
    result = load_new(store, TOPIC, warehouse, now_us=NOW_US)
    assert (result.load_id, result.objects, result.rows) == (2, 2, 3)
    assert offsets(warehouse) == {0: [0, 1, 2, 3], 1: [0, 1]}


def test_nothing_new_writes_nothing(store: Store, warehouse: Warehouse) -> None:
    """There is no load id, and no row, for an empty run."""
    put_object(store, 0, 0, 3)
    load_new(store, TOPIC, warehouse, now_us=NOW_US)
    result = load_new(store, TOPIC, warehouse, now_us=NOW_US)
    assert (result.load_id, result.objects, result.rows, dict(result.next_offsets)) == (None, 0, 0, {0: 3})
    assert warehouse.max_load_id() == 1


def test_an_empty_raw_zone_is_no_error(store: Store, warehouse: Warehouse) -> None:
    """The first run may come before the first object."""
    assert load_new(store, TOPIC, warehouse, now_us=NOW_US).load_id is None


def test_other_topics_are_left_out(store: Store, warehouse: Warehouse) -> None:
    """Dead letters are in the raw zone too, but are no events."""
    key = put_object(store, 0, 0, 3)
    store.put_new(raw_key("stocks-dlq", 0, NOON_MS, 0), store.get(key))
    assert load_new(store, TOPIC, warehouse, now_us=NOW_US).objects == 1


@pytest.mark.parametrize("limits", [BatchLimits(objects=2), BatchLimits(size=1)])
def test_much_is_loaded_in_bounded_transactions(store: Store, warehouse: Warehouse, limits: BatchLimits) -> None:
    """Each batch has its own load id, and a single object always fits."""
    for number in range(5):
        put_object(store, 0, number * 10, 10)
    result = load_new(store, TOPIC, warehouse, now_us=NOW_US, limits=limits)
    assert (result.load_id, result.objects, result.rows) == ({2: 3, 500: 5}[limits.objects], 5, 50)
    assert offsets(warehouse) == {0: list(range(50))}


def test_what_lies_before_a_hole_is_loaded_and_the_hole_is_told(store: Store, warehouse: Warehouse) -> None:
    """Other partitions go on, nothing after the hole is loaded, and the error names the place."""
    put_object(store, 0, 0, 3)
    behind = put_object(store, 0, 5, 3)
    put_object(store, 0, 8, 1)
    put_object(store, 1, 0, 2)
    with pytest.raises(ChainBroken, match="hole") as caught:
        load_new(store, TOPIC, warehouse, now_us=NOW_US)
    assert (caught.value.partition, caught.value.expected, caught.value.found, caught.value.key) == (0, 3, 5, behind)
    assert offsets(warehouse) == {0: [0, 1, 2], 1: [0, 1]}


def test_a_mended_hole_is_passed(store: Store, warehouse: Warehouse) -> None:
    """Once the missing object is there, the next run loads it and all behind it."""
    put_object(store, 0, 0, 3)
    put_object(store, 0, 5, 3)
    with pytest.raises(ChainBroken):
        load_new(store, TOPIC, warehouse, now_us=NOW_US)
    put_object(store, 0, 3, 2)
    assert load_new(store, TOPIC, warehouse, now_us=NOW_US).rows == 5
    assert offsets(warehouse) == {0: list(range(8))}


def test_an_overlap_is_told_and_not_loaded(store: Store, warehouse: Warehouse) -> None:
    """Records that are in RAW already don't come in by another object."""
    put_object(store, 0, 0, 10)
    put_object(store, 0, 5, 10)
    with pytest.raises(ChainBroken, match="overlap"):
        load_new(store, TOPIC, warehouse, now_us=NOW_US)
    assert offsets(warehouse) == {0: list(range(10))}


def test_names_out_of_order_are_found_before_a_hole_is_declared(store: Store, warehouse: Warehouse) -> None:
    """A broker's clock that was set back puts a later object into an earlier hour's folder."""
    put_object(store, 0, 0, 3)
    load_new(store, TOPIC, warehouse, now_us=NOW_US)
    put_object(store, 0, 3, 3, timestamp_ms=NOON_MS - HOUR_MS)
    put_object(store, 0, 6, 3, timestamp_ms=NOON_MS + HOUR_MS)
    assert load_new(store, TOPIC, warehouse, now_us=NOW_US).rows == 6
    assert offsets(warehouse) == {0: list(range(9))}
    assert load_new(store, TOPIC, warehouse, now_us=NOW_US).load_id is None


class StaleStore(Store):
    """Hide an object from the first listing, as a store may that lists late what was just written."""

    hidden: str

    def list(self, prefix: str, after: str = "") -> Iterator[StoredObject]:
        """List all but the hidden object, once."""
        hidden, self.hidden = self.hidden, ""
        yield from (found for found in super().list(prefix, after) if found.key != hidden)


def test_a_late_listing_is_no_hole(folder_store: Store, warehouse: Warehouse) -> None:
    """The partition is listed once more in full before anybody is alarmed."""
    put_object(folder_store, 0, 0, 3)
    hidden = put_object(folder_store, 0, 3, 3)
    put_object(folder_store, 0, 6, 3)
    put_object(folder_store, 1, 0, 1)
    folder_store.__class__ = StaleStore
    folder_store.hidden = hidden  # type: ignore[attr-defined]  # by the class above
    assert load_new(folder_store, TOPIC, warehouse, now_us=NOW_US).objects == 4
    assert offsets(warehouse) == {0: list(range(9)), 1: [0]}


def test_listing_starts_after_what_is_loaded(folder_store: Store, warehouse: Warehouse) -> None:
    """A run looks at nothing that an earlier one loaded: its folders may even be unreadable."""
    old = put_object(folder_store, 0, 0, 3)
    last = put_object(folder_store, 0, 3, 3, timestamp_ms=NOON_MS + 48 * HOUR_MS)
    load_new(folder_store, TOPIC, warehouse, now_us=NOW_US)
    path = folder_store.local_path(old)
    assert path is not None
    path.write_bytes(b"no longer a Parquet file")
    put_object(folder_store, 0, 6, 3, timestamp_ms=NOON_MS + 49 * HOUR_MS)
    assert parse_raw_key(last).first_offset == 3
    assert load_new(folder_store, TOPIC, warehouse, now_us=NOW_US).rows == 3


def test_an_object_that_is_none_of_ours_stops_the_load(folder_store: Store, warehouse: Warehouse) -> None:
    """A file without our footer is no raw object: a person has to look."""
    put_object(folder_store, 0, 0, 3)
    folder_store.put_new(raw_key(TOPIC, 0, NOON_MS, 3), b"something else")
    with pytest.raises(TerminalError, match="no raw object"):
        load_new(folder_store, TOPIC, warehouse, now_us=NOW_US)


KILLED = """
import os, sys
from pathlib import Path
from tickhouse.lake import open_store
from tickhouse.warehouse import BatchLimits, DuckDBWarehouse, load_new
import tickhouse.warehouse.duckdb as engine

def stop_here(objects, counted):
    if objects[0].first_offset >= 40:
        print("inside", flush=True)
        sys.stdin.read()

engine._refuse_unlike = stop_here
warehouse = DuckDBWarehouse(Path(sys.argv[1]))
warehouse.init()
load_new(open_store(sys.argv[2]), sys.argv[3], warehouse, now_us=0, limits=BatchLimits(objects=2))
"""


def test_a_load_that_is_killed_inside_its_transaction_is_done_again(folder_store: Store, tmp_path: Path) -> None:
    """After kill -9 the batches before it stand whole, its own is gone, and the next run has everything once."""
    for number in range(10):
        put_object(folder_store, 0, number * 10, 10)
    path = tmp_path / "warehouse.duckdb"
    command = [sys.executable, "-c", KILLED, str(path), folder_store.url, TOPIC]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:  # noqa: S603  # ourselves
        assert process.stdout is not None
        told = [line.strip() for line in iter(process.stdout.readline, b"inside\n")]  # what it logs before
        os.kill(process.pid, signal.SIGKILL)
        assert len(told) == 2
    with open_warehouse(path) as warehouse:
        assert offsets(warehouse) == {0: list(range(40))}
        assert warehouse.max_load_id() == 2
        assert load_new(folder_store, TOPIC, warehouse, now_us=NOW_US).rows == 60
        assert offsets(warehouse) == {0: list(range(100))}


class FailingWarehouse(DuckDBWarehouse):
    """Fail in the second transaction."""

    def load(self, topic: str, objects: Sequence[RawObject], loaded_us: int) -> ObjectLoad:
        """Load the first batch only."""
        if self.max_load_id() == 1:
            raise KeyboardInterrupt
        return super().load(topic, objects, loaded_us)


def test_an_interrupt_between_batches_keeps_the_whole_ones(folder_store: Store, tmp_path: Path) -> None:
    """Ctrl-C loses no batch that was committed, and the next run goes on behind it."""
    for number in range(4):
        put_object(folder_store, 0, number, 1)
    failing = FailingWarehouse(tmp_path / "w.duckdb")
    failing.init()
    with pytest.raises(KeyboardInterrupt):
        load_new(folder_store, TOPIC, failing, now_us=NOW_US, limits=BatchLimits(objects=3))
    failing.disconnect()
    sound = DuckDBWarehouse(tmp_path / "w.duckdb")
    assert load_new(folder_store, TOPIC, sound, now_us=NOW_US).objects == 1
    assert offsets(sound) == {0: [0, 1, 2, 3]}
    sound.disconnect()


def test_one_process_at_a_time_has_the_warehouse(tmp_path: Path) -> None:
    """Who waits in vain is told which file is held; afterwards it is free."""
    path = tmp_path / "state" / "warehouse.duckdb"
    with open_warehouse(path), pytest.raises(LockBusy) as caught, open_warehouse(path, wait_s=0.05):
        pass
    assert caught.value.path == path.parent / "warehouse.lock"
    with open_warehouse(path) as warehouse:
        assert warehouse.max_load_id() == 0


def test_a_foreign_process_with_the_file_open_is_a_busy_lock(tmp_path: Path) -> None:
    """The DuckDB shell takes no lock of ours, but its hold on the file is told as one."""
    path = tmp_path / "w.duckdb"
    script = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", script, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:  # noqa: S603  # a test's own
        assert process.stdout is not None
        assert process.stdout.readline() == b"open\n"
        with pytest.raises(LockBusy):
            DuckDBWarehouse(path).init()
        process.kill()
    wait_until(lambda: _opens(path))


def _opens(path: Path) -> bool:
    try:
        with open_warehouse(path):
            return True
    except LockBusy:
        return False


def test_the_lock_is_free_after_a_failure(tmp_path: Path) -> None:
    """An error inside lets go of lock and file."""
    path = tmp_path / "warehouse.duckdb"
    message = "inside"
    with pytest.raises(RuntimeError, match=message), open_warehouse(path):
        raise RuntimeError(message)
    with filelock.FileLock(tmp_path / "warehouse.lock").acquire(timeout=0):
        pass
