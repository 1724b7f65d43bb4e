"""Turn Kafka records into raw objects, bytes kept as they are, and read what an object's footer says."""

import base64
import functools
import json
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from tickhouse.errors import TerminalError
from tickhouse.lake.store import Store

__all__ = [
    "RAW_SCHEMA",
    "RAW_SCHEMA_VERSION",
    "Header",
    "ObjectFooter",
    "RawRecord",
    "encode_object",
    "read_footer",
    "shared_headers",
]

RAW_SCHEMA_VERSION = 1
RAW_SCHEMA = pa.schema(
    [
        pa.field("topic", pa.string(), nullable=False),
        pa.field("partition", pa.int32(), nullable=False),
        pa.field("offset", pa.int64(), nullable=False),
        pa.field("timestamp_ms", pa.int64(), nullable=False),
        pa.field("key", pa.binary()),
        pa.field("headers", pa.string(), nullable=False),
        pa.field("value", pa.binary()),
    ]
)
LAST_OFFSET, LAST_TIMESTAMP_MS = b"tickhouse.last_offset", b"tickhouse.last_timestamp_ms"
ROWS, SCHEMA = b"tickhouse.rows", b"tickhouse.schema"
TAIL_BYTES = 64 * 1024
MAGIC = b"PAR1"
Header = tuple[str, bytes | None]


class RawRecord(msgspec.Struct, frozen=True, gc=False):
    """One Kafka record, bytes to bytes.

    Unseen by the garbage collector, which otherwise takes more than half of a busy sink's time.
    """

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    headers: tuple[Header, ...]
    value: bytes | None


@dataclass(frozen=True, slots=True)
class ObjectFooter:
    """What a raw object says of itself; `last_timestamp_ms` is the Kafka time of its last record."""

    last_offset: int
    rows: int
    schema: int
    last_timestamp_ms: int


def encode_object(records: Sequence[RawRecord]) -> bytes:
    """Encode records of one partition, in offset order and at least one, as a zstd Parquet object."""
    last = records[-1]
    columns: list[list[object]] = [
        [record.topic for record in records],
        [record.partition for record in records],
        [record.offset for record in records],
        [record.timestamp_ms for record in records],
        [record.key for record in records],
        [_headers_json(record.headers) for record in records],
        [record.value for record in records],
    ]
    footer = {
        LAST_OFFSET: str(last.offset),
        LAST_TIMESTAMP_MS: str(last.timestamp_ms),
        ROWS: str(len(records)),
        SCHEMA: str(RAW_SCHEMA_VERSION),
    }
    table = pa.Table.from_arrays(
        [pa.array(column, field.type) for column, field in zip(columns, RAW_SCHEMA, strict=True)],
        schema=RAW_SCHEMA.with_metadata(footer),
    )
    sink = pa.BufferOutputStream()
    pq.write_table(
        table,
        sink,
        compression="zstd",
        row_group_size=len(records),
        use_dictionary=["topic", "partition", "key", "headers"],
        write_statistics=["offset", "timestamp_ms"],  # those of a value would carry it into the footer
        column_encoding={"offset": "DELTA_BINARY_PACKED", "timestamp_ms": "DELTA_BINARY_PACKED"},
    )
    data: bytes = sink.getvalue().to_pybytes()
    return data


@functools.lru_cache(maxsize=1024)
def shared_headers(headers: tuple[Header, ...]) -> tuple[Header, ...]:
    """Return the same object for equal headers: a buffer of records that look alike holds them once."""
    return headers


@functools.lru_cache(maxsize=1024)
def _headers_json(headers: tuple[Header, ...]) -> str:
    """Write headers as a JSON list of [name, base64 of the value], null for a header without one."""
    pairs = [[name, None if value is None else base64.b64encode(value).decode("ascii")] for name, value in headers]
    return json.dumps(pairs, separators=(",", ":"))


def read_footer(store: Store, key: str) -> ObjectFooter:
    """Read an object's footer from its tail; raises TerminalError where it isn't a raw object of ours."""
    tail = store.get_tail(key, TAIL_BYTES)
    length = int.from_bytes(tail[-8:-4], "little") + 8
    if tail[-4:] == MAGIC and length > len(tail) == TAIL_BYTES:
        tail = store.get_tail(key, length)
    try:
        parquet = pq.read_metadata(pa.BufferReader(tail))
        said = parquet.metadata or {}
        footer = ObjectFooter(*(int(said[name]) for name in (LAST_OFFSET, ROWS, SCHEMA, LAST_TIMESTAMP_MS)))
    except (pa.ArrowException, OSError, KeyError, ValueError) as error:
        message = f"{key} is no raw object: its footer can't be read ({error})"
        raise TerminalError(message) from error
    if parquet.num_rows != footer.rows:
        message = f"{key} holds {parquet.num_rows} rows, but its footer says {footer.rows}"
        raise TerminalError(message)
    return footer
