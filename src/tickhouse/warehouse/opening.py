"""Open the warehouse for one process at a time."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

from tickhouse.errors import LockBusy
from tickhouse.warehouse.base import Warehouse
from tickhouse.warehouse.duckdb import DuckDBWarehouse

__all__ = ["LOCK_WAIT_S", "open_warehouse"]

LOCK_WAIT_S = 50.0  # less than a minute, so that the runs of a schedule don't pile up
LOCK_NAME = "warehouse.lock"


@contextmanager
def open_warehouse(path: Path, *, wait_s: float = LOCK_WAIT_S) -> Iterator[Warehouse]:
    """Hold the lock beside `path` and give its warehouse, schema RAW included.

    All files of one folder share one lock, so that a rebuilt file may take the place of another under it. Raises
    LockBusy where another process holds it for longer than `wait_s`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = path.parent / LOCK_NAME
    try:
        held = filelock.FileLock(lock).acquire(timeout=wait_s)
    except filelock.Timeout:
        raise LockBusy(lock, wait_s) from None
    with held:
        warehouse = DuckDBWarehouse(path)
        try:
            warehouse.init()
            yield warehouse
        finally:
            warehouse.disconnect()
