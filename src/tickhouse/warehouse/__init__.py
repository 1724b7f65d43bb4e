"""Load the raw zone into a warehouse, exactly once, and publish its gold to readers."""

from tickhouse.warehouse.base import RAW_TABLES, Build, LoadedPartition, ObjectLoad, RawObject, Warehouse, at_us, to_us
from tickhouse.warehouse.duckdb import DuckDBWarehouse
from tickhouse.warehouse.loader import BatchLimits, LoadResult, load_new
from tickhouse.warehouse.manifest import GoldFile, Manifest, read_manifest
from tickhouse.warehouse.opening import LOCK_WAIT_S, open_warehouse
from tickhouse.warehouse.publish import GOLD_TABLES, GoldTable, PublishResult, publish
from tickhouse.warehouse.reference import write_reference
from tickhouse.warehouse.snapshot import CANDLES_SCHEMA, GAPS_SCHEMA, Snapshot, open_snapshot

__all__ = [
    "CANDLES_SCHEMA",
    "GAPS_SCHEMA",
    "GOLD_TABLES",
    "LOCK_WAIT_S",
    "RAW_TABLES",
    "BatchLimits",
    "Build",
    "DuckDBWarehouse",
    "GoldFile",
    "GoldTable",
    "LoadResult",
    "LoadedPartition",
    "Manifest",
    "ObjectLoad",
    "PublishResult",
    "RawObject",
    "Snapshot",
    "Warehouse",
    "at_us",
    "load_new",
    "open_snapshot",
    "open_warehouse",
    "publish",
    "read_manifest",
    "to_us",
    "write_reference",
]
