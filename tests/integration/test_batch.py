"""A batch does all or leaves what stood, and says how it went."""

import shutil
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import structlog

from tests.support.command_line import CommandLine
from tests.support.commands import start
from tests.support.conditions import default_table_text
from tests.support.gold import ask, gold_rows
from tests.support.lake_objects import put_values
from tests.support.recorded import OPENS_MS, add_minute, record_morning
from tests.support.waiting import wait_until
from tickhouse.errors import (
    ChainBroken,
    LockBusy,
    ObjectMissing,
    RawZoneShort,
    SnapshotMissing,
    StateMismatch,
    TerminalError,
)
from tickhouse.lake import open_store, parse_raw_key
from tickhouse.settings import Settings, read_settings
from tickhouse.stack import batch
from tickhouse.stack.lake import open_lake
from tickhouse.stack.last_run import read_last_run
from tickhouse.stack.runs import Runs
from tickhouse.warehouse import open_snapshot, open_warehouse

BARS = "select count(*) from gold.candlesticks"


def _settings(home: Path, **given: object) -> Settings:
    return read_settings(env_file=home / "none", **{"home": home, "lake_url": (home / "lake").as_uri(), **given})


@pytest.fixture
def home(changing: CommandLine) -> Path:
    """Return a state folder that holds a published morning."""
    return changing.home


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def _files(home: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in home.iterdir() if path.is_file() and path.suffix == ".duckdb"}


def _break_chain(home: Path) -> None:
    store = open_store((home / "lake").as_uri())
    store.delete([sorted(found.key for found in store.list("raw/"))[1]])


def test_a_run_reports_what_it_did_and_a_second_one_finds_nothing_to_do(home: Path) -> None:
    """Run again on what was built, then on one object more."""
    again = batch.run(_settings(home))
    assert (again.row()["objects"], again.row()["build"], again.row()["bars"] > 0) == (0, None, True)
    assert not again.published.is_new
    add_minute(home)
    more = batch.run(_settings(home))
    assert (more.row()["objects"], more.row()["rows"], more.row()["build"], more.row()["is_full"]) == (1, 4, 2, False)
    assert more.row()["trades"] == again.row()["trades"] + 3
    assert more.loaded[0] == again.loaded[0] + 4
    assert more.counts.bars["1m"] == again.counts.bars["1m"] + 1


def test_a_run_waits_for_the_lock_and_says_who_holds_it(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hold the warehouse meanwhile: the run gives up after its wait, and a scheduler is told to come again."""
    good = read_last_run(home)
    monkeypatch.setattr(batch, "open_warehouse", partial(open_warehouse, wait_s=0.05))
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with open_warehouse(home / "warehouse.duckdb"):
            held.set()
            wait_until(release.is_set)

    holder = threading.Thread(target=hold)
    holder.start()
    try:
        assert held.wait(10)
        with pytest.raises(LockBusy, match=r"warehouse\.lock is held by another tickhouse process") as busy:
            batch.run(_settings(home))
    finally:
        release.set()
        holder.join()
    assert busy.value.exit_code == 75
    last = read_last_run(home)
    assert good is not None
    assert last is not None
    assert last.error == str(busy.value)
    assert last.succeeded_us == good.succeeded_us


def test_a_failed_run_is_written_down_and_keeps_the_time_of_the_last_good_one(home: Path) -> None:
    """Break the raw zone's chain after a good run: what was built stays, the failure is in the record."""
    good = read_last_run(home)
    assert good is not None
    assert good.error is None
    assert good.succeeded_us == good.finished_us
    add_minute(home, missing=1)
    bars = ask(home, BARS)
    with pytest.raises(ChainBroken) as broken:
        batch.run(_settings(home))
    last = read_last_run(home)
    assert last is not None
    assert (last.error, last.succeeded_us) == (str(broken.value), good.succeeded_us)
    assert last.finished_us > good.finished_us
    assert ask(home, BARS) == bars


def test_a_run_that_the_disk_fails_is_written_down_too(home: Path) -> None:
    """Put a file where dbt keeps its own: the operating system's error is in the record."""
    add_minute(home)
    shutil.rmtree(home / "dbt")
    (home / "dbt").touch()
    with pytest.raises(FileExistsError):
        batch.run(_settings(home))
    last = read_last_run(home)
    assert last is not None
    assert "File exists" in str(last.error)


def test_the_minute_runs_go_on_after_one_that_failed(home: Path) -> None:
    """Run each minute while the chain is broken: the failure is counted, and mending it is enough."""
    too_far = add_minute(home, missing=1)
    reports: list[batch.RunReport] = []
    runs, stop = Runs(_settings(home, run_every_s=0.01), reports.append), threading.Event()
    thread = threading.Thread(target=runs.run, args=(stop,))
    thread.start()
    try:
        wait_until(lambda: runs.failed == 1)
        add_minute(home)
        (home / "lake" / too_far).unlink()
        wait_until(lambda: bool(reports))
    finally:
        stop.set()
        thread.join(30)
    assert reports[0].load.rows == 4


def test_a_rebuild_takes_the_old_warehouses_place_and_leaves_nothing_else(home: Path) -> None:
    """Rebuild: the same rows in a new file, published, with no folder or file beside it."""
    before, rows = _files(home), gold_rows(home, "candlesticks")
    (home / "rebuild-1.duckdb").touch()
    (home / "rebuild-1.duckdb.wal").touch()
    report = batch.rebuild(_settings(home))
    assert report.row()["is_full"]
    assert gold_rows(home, "candlesticks") == rows
    assert _files(home).keys() == before.keys()
    assert _files(home) != before
    assert not list(home.glob("rebuild*"))
    assert open_snapshot(open_lake(_settings(home))).symbols() == ("AAPL", "IBM")


def test_a_rebuild_that_fails_leaves_the_old_warehouse_as_it_was(home: Path) -> None:
    """Rebuild from a raw zone that lost an object: not a byte of the old warehouse moves, and it still serves."""
    settings = _settings(home)
    before = (home / "warehouse.duckdb").read_bytes()
    manifest = open_snapshot(open_lake(settings)).manifest
    _break_chain(home)
    with pytest.raises(ChainBroken, match="hole"):
        batch.rebuild(settings)
    assert (home / "warehouse.duckdb").read_bytes() == before
    assert open_snapshot(open_lake(settings)).manifest == manifest


def test_a_rebuild_that_is_killed_leaves_the_old_warehouse_as_it_was(home: Path, tmp_path: Path) -> None:
    """Kill it in the middle: the old warehouse answers as before."""
    before = (home / "warehouse.duckdb").read_bytes()
    process = start(["rebuild"], home=home, output=tmp_path / "rebuild.log")
    wait_until(lambda: any(home.glob("rebuild-*.duckdb")) or process.poll() is not None, timeout_s=60)
    process.kill()
    assert process.wait() != 0
    assert (home / "warehouse.duckdb").read_bytes() == before
    assert batch.run(_settings(home)).row()["build"] is None


def test_another_condition_table_builds_gold_anew(home: Path, tmp_path: Path) -> None:
    """Let code 1 set no price: every bar of its prints goes, without a new record."""
    lines = [line for line in default_table_text().splitlines() if not line.startswith("1,")]
    table = tmp_path / "table.csv"
    table.write_text("\n".join([*lines, "1,Regular,any,false,false,true"]) + "\n", encoding="utf-8")
    assert ask(home, BARS)[0][0] > 0
    report = batch.run(_settings(home, trade_conditions=table))
    assert (report.row()["objects"], report.row()["is_full"]) == (0, True)
    assert ask(home, BARS) == [(0,)]
    assert report.published.is_new


def test_the_steps_alone_do_what_a_run_does(tmp_path: Path) -> None:
    """Load, transform and publish one after the other, on a state that nothing was published of."""
    settings = _settings(tmp_path / "state")
    record_morning(settings.home)
    assert batch.init_warehouse(settings) == settings.duckdb_path
    loaded = batch.load(settings)
    assert (loaded.objects, loaded.rows, loaded.next_offsets) == (11, 44, {0: 24, 1: 20})
    with pytest.raises(SnapshotMissing):
        open_snapshot(open_lake(settings))
    assert batch.transform(settings, tests="all").is_full
    published = batch.publish(settings)
    assert published.is_new
    assert not batch.publish(settings).is_new
    snapshot = open_snapshot(open_lake(settings))
    assert snapshot.manifest.source == "synthetic"
    assert snapshot.candles("IBM").num_rows == 6


def test_a_raw_zone_that_was_emptied_is_not_taken_for_a_quiet_one(home: Path) -> None:
    """Lose the raw zone: a run says so instead of finding nothing new, and nothing that stands is touched."""
    shutil.rmtree(home / "lake" / "raw")
    before = _files(home)
    with pytest.raises(RawZoneShort, match=r"partition 0, raw/.* is gone; see that TICKHOUSE_LAKE_URL is right"):
        batch.run(_settings(home))
    with pytest.raises(RawZoneShort, match="24 of 24 records"):
        batch.rebuild(_settings(home))
    assert _files(home) == before
    assert batch.rebuild(_settings(home), force=True).row()["rows"] == 0


def test_an_object_that_was_replaced_by_a_shorter_one_is_noticed(home: Path) -> None:
    """Record another history under the same name."""
    store = open_lake(_settings(home))
    last = max(found.key for found in store.list("raw/stocks-topic/00000"))
    first = parse_raw_key(last).first_offset
    store.delete([last])
    assert put_values(store, 0, first, [b"{}"], timestamp_ms=OPENS_MS + 5 * 60_000) == last
    with pytest.raises(RawZoneShort, match=f"ends at offset {first}, not at {first + 3}"):
        batch.run(_settings(home))


def test_another_calendar_is_refused_by_a_run_and_adopted_by_a_rebuild(home: Path) -> None:
    """Forget to say which calendar a folder was recorded by."""
    given = _settings(home, calendar="24/7")
    with pytest.raises(StateMismatch, match="sessions by calendar XNYS"):
        batch.run(given)
    batch.rebuild(given)
    assert batch.run(given).build.build_id is None


def test_a_damaged_snapshot_is_mended_by_a_full_publish(home: Path) -> None:
    """Lose a file of the snapshot, then the manifest: the line that says so names the mend."""
    given = _settings(home)
    before = open_snapshot(open_lake(given)).candles("IBM")
    shutil.rmtree(home / "lake" / "gold" / "candlesticks")
    with pytest.raises(ObjectMissing, match="publish --full"):
        open_snapshot(open_lake(given)).candles("IBM")
    assert batch.publish(given, full=True).is_new
    assert open_snapshot(open_lake(given)).candles("IBM").equals(before)
    (home / "lake" / "gold" / "manifest.json").write_text("{")
    with pytest.raises(TerminalError, match="publish --full"):
        open_snapshot(open_lake(given))
    batch.publish(given, full=True)
    assert open_snapshot(open_lake(given)).candles("IBM").equals(before)
