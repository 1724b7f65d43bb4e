"""Describe the gold snapshot: which files make it up, and what they were made from."""

from datetime import timedelta

import msgspec

from tickhouse.errors import ObjectMissing, TerminalError
from tickhouse.lake import GOLD_MANIFEST, Store
from tickhouse.warehouse.base import EPOCH

__all__ = ["MANIFEST_SCHEMA", "UNDATED", "GoldFile", "Manifest", "RetiredFile", "publish_id", "read_manifest"]

MANIFEST_SCHEMA = 1
UNDATED = ""


class GoldFile(msgspec.Struct, frozen=True):
    """One immutable Parquet file of a gold table."""

    key: str
    rows: int
    size: int


class RetiredFile(msgspec.Struct, frozen=True):
    """A file that no manifest names any more, and since when; readers of an older manifest may still read it."""

    key: str
    since_us: int


class Manifest(msgspec.Struct, frozen=True):
    """The whole snapshot.

    `tables` has for each table its files by ISO trading date, `UNDATED` where a table is one file. `next_offsets` has
    by topic and partition the first offset that isn't in it: where the live view takes over. `number` counts publishes.
    """

    schema: int
    number: int
    publish_id: str
    published_us: int
    source: str
    build_id: int
    build_finished_us: int
    load_id: int
    next_offsets: dict[str, dict[int, int]]
    symbols: list[str]
    tables: dict[str, dict[str, GoldFile]]
    retired: list[RetiredFile]

    def encode(self) -> bytes:
        """Return the manifest as JSON."""
        return msgspec.json.encode(self)


class _Versioned(msgspec.Struct):
    schema: int


def publish_id(now_us: int, number: int) -> str:
    """Name a publish: sortable, by its time and its number (`20261123T080000Z-000007`)."""
    return f"{EPOCH + timedelta(microseconds=now_us):%Y%m%dT%H%M%SZ}-{number:06d}"


def read_manifest(store: Store) -> Manifest | None:
    """Return the manifest that readers follow now, None where nothing was published yet."""
    try:
        data = store.get(GOLD_MANIFEST)
    except ObjectMissing:
        return None
    try:
        found = msgspec.json.decode(data, type=_Versioned).schema
        if found == MANIFEST_SCHEMA:
            return msgspec.json.decode(data, type=Manifest)
    except msgspec.MsgspecError as error:
        message = f"{GOLD_MANIFEST} in {store.url} can't be read: {error}; `tickhouse publish --full` writes it anew"
        raise TerminalError(message) from error
    message = (
        f"{GOLD_MANIFEST} in {store.url} has schema {found}, and this version of tickhouse reads {MANIFEST_SCHEMA}; "
        "`tickhouse publish --full` writes it anew"
    )
    raise TerminalError(message)
