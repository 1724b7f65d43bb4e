"""Make one batch: raw zone → RAW → bronze, silver, gold → snapshot, each step alone or all under one lock."""

import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tickhouse.clock import SystemClock
from tickhouse.errors import RawZoneShort, TickhouseError, WarehouseFailed
from tickhouse.log import get_logger
from tickhouse.market import ConditionTable, load_default
from tickhouse.settings import Settings
from tickhouse.stack.lake import open_lake
from tickhouse.stack.last_run import LastRun, record_run
from tickhouse.stack.summary import Counts, count_all
from tickhouse.state import adopt_calendar, check_calendar, read_stamp
from tickhouse.transform import TransformResult
from tickhouse.transform import transform as build_models
from tickhouse.warehouse import (
    DuckDBWarehouse,
    LoadResult,
    PublishResult,
    Warehouse,
    load_new,
    open_warehouse,
    write_reference,
)
from tickhouse.warehouse import publish as publish_gold

__all__ = ["RunReport", "init_warehouse", "load", "publish", "rebuild", "run", "transform"]

Tests = Literal["new", "all"]

log = get_logger("stack.batch")


@dataclass(frozen=True, slots=True)
class RunReport:
    """What one batch did; `counts` is of the layers after it."""

    load: LoadResult
    build: TransformResult
    published: PublishResult
    counts: Counts
    seconds: float

    @property
    def loaded(self) -> Mapping[int, int]:
        """Return the next offset to load by partition."""
        return self.load.next_offsets

    def row(self) -> dict[str, Any]:
        """Return what a person or a scheduler wants to read of it."""
        return {
            "objects": self.load.objects,
            "rows": self.load.rows,
            "build": self.build.build_id,
            "is_full": self.build.is_full,
            "files_published": self.published.files,
            "trades": self.counts.trades,
            "repeats": self.counts.repeats,
            "rejects": self.counts.rejects,
            "bars": sum(self.counts.bars.values()),
            "gaps": self.counts.gaps,
            "seconds": round(self.seconds, 1),
        }


def init_warehouse(settings: Settings) -> Path:
    """Create the warehouse's tables where they are missing, and return its file."""
    check_calendar(settings.home, settings.calendar)
    with open_warehouse(settings.duckdb_path) as warehouse:
        write_reference(warehouse, _conditions(settings), settings.calendar)
    return settings.duckdb_path


def load(settings: Settings) -> LoadResult:
    """Load the raw zone's new objects."""
    check_calendar(settings.home, settings.calendar)
    with open_warehouse(settings.duckdb_path) as warehouse:
        return _load(settings, warehouse)


def transform(settings: Settings, *, full: bool = False, tests: Tests = "new") -> TransformResult:
    """Build the models from what was loaded since the last build."""
    with open_warehouse(settings.duckdb_path) as warehouse:
        return _transform(warehouse, settings.home, full=full, tests=tests)


def publish(settings: Settings, *, full: bool = False) -> PublishResult:
    """Publish what the builds since the last publish changed, or all of gold."""
    with open_warehouse(settings.duckdb_path) as warehouse:
        return _publish(settings, warehouse, full=full)


def run(settings: Settings) -> RunReport:
    """Load, transform and publish under one lock, and write down how it went."""
    started = time.monotonic()
    try:
        with open_warehouse(settings.duckdb_path) as warehouse:
            report = _run(settings, warehouse, settings.home, started)
    except (TickhouseError, OSError) as error:
        record_run(settings.home, LastRun.failed(SystemClock().now_us(), time.monotonic() - started, str(error)))
        raise
    record_run(settings.home, LastRun.succeeded(SystemClock().now_us(), report.seconds))
    return report


def rebuild(settings: Settings, *, force: bool = False) -> RunReport:
    """Build an empty warehouse from the raw zone, publish it, and put it in the old one's place.

    The old one stays as it is until the new one stands. A kill in between leaves a snapshot of the new one; the next
    run publishes the old one's again. Raises RawZoneShort where the old one has more than the raw zone, unless `force`
    is set.
    """
    started = time.monotonic()
    path = settings.home / f"rebuild-{os.getpid()}.duckdb"
    with open_warehouse(path) as warehouse:
        try:
            _forget_rebuilds(settings.home, but=path)  # under the lock, what others left is of those that were killed
            loaded = _load(settings, warehouse)
            if not force:
                _refuse_less(settings, warehouse)
            report = _finish(settings, warehouse, loaded, settings.home / "rebuild", started)
            warehouse.disconnect()
            settings.duckdb_path.with_name(f"{settings.duckdb_path.name}.wal").unlink(missing_ok=True)
            path.replace(settings.duckdb_path)
        finally:
            warehouse.disconnect()
            _forget_rebuilds(settings.home)
    adopt_calendar(settings.home, settings.calendar)
    return report


def _refuse_less(settings: Settings, rebuilt: Warehouse) -> None:
    """Refuse to take a raw zone for the whole one that has less than the warehouse once loaded from it."""
    if not settings.duckdb_path.exists():
        return
    old = DuckDBWarehouse(settings.duckdb_path)
    try:
        old.init()
        known = old.loaded(settings.topic)
    except WarehouseFailed as error:  # one that can't be read is what a rebuild is for
        log.warning("rebuild.unread", path=str(settings.duckdb_path), error=str(error))
        return
    finally:
        old.disconnect()
    found = rebuilt.loaded(settings.topic)
    for partition, had in known.items():
        rows = found[partition].rows if partition in found else 0
        if rows < had.rows:
            lacking = f"{had.rows - rows:,} of {had.rows:,} records"
            raise RawZoneShort(settings.lake, settings.topic, partition, lacking)


def _forget_rebuilds(home: Path, but: Path | None = None) -> None:
    for leftover in home.glob("rebuild-*.duckdb*"):
        if but is None or not leftover.name.startswith(but.name):
            leftover.unlink()
    shutil.rmtree(home / "rebuild", ignore_errors=True)


def _run(settings: Settings, warehouse: Warehouse, dbt_state: Path, started: float) -> RunReport:
    check_calendar(settings.home, settings.calendar)
    return _finish(settings, warehouse, _load(settings, warehouse), dbt_state, started)


def _finish(settings: Settings, warehouse: Warehouse, loaded: LoadResult, dbt_state: Path, started: float) -> RunReport:
    build = _transform(warehouse, dbt_state, full=False, tests="new")
    published = _publish(settings, warehouse)
    return RunReport(loaded, build, published, count_all(warehouse), time.monotonic() - started)


def _load(settings: Settings, warehouse: Warehouse) -> LoadResult:
    write_reference(warehouse, _conditions(settings), settings.calendar)
    return load_new(open_lake(settings), settings.topic, warehouse, now_us=SystemClock().now_us())


def _transform(warehouse: Warehouse, state_dir: Path, *, full: bool, tests: Tests) -> TransformResult:
    return build_models(warehouse, state_dir=state_dir, clock=SystemClock(), full=full, tests=tests)


def _publish(settings: Settings, warehouse: Warehouse, *, full: bool = False) -> PublishResult:
    stamp = read_stamp(settings.home)
    source = settings.source if stamp is None else "+".join(stamp.sources)
    now_us = SystemClock().now_us()
    return publish_gold(warehouse, open_lake(settings), topic=settings.topic, source=source, now_us=now_us, full=full)


def _conditions(settings: Settings) -> ConditionTable:
    if settings.trade_conditions is None:
        return load_default()
    return ConditionTable.read(settings.trade_conditions)
