"""Put objects into a raw zone without a Kafka."""

from collections.abc import Sequence
from datetime import UTC, datetime

from tickhouse.lake import RawRecord, Store, encode_object, raw_key

__all__ = ["NOON_MS", "TOPIC", "put_object", "put_values"]

TOPIC = "stocks-topic"
NOON_MS = int(datetime(2026, 11, 23, 12, tzinfo=UTC).timestamp()) * 1000


def put_object(store: Store, partition: int, first: int, rows: int, *, timestamp_ms: int = NOON_MS) -> str:
    """Write one object of small trades that starts at offset `first`; return its key."""
    values = [b'{"type":"trade","symbol":"IBM","ts_ms":%d}' % (timestamp_ms + number) for number in range(rows)]
    return put_values(store, partition, first, values, timestamp_ms=timestamp_ms)


def put_values(
    store: Store, partition: int, first: int, values: Sequence[bytes | None], *, timestamp_ms: int = NOON_MS
) -> str:
    """Write one object with these values; return its key."""
    headers = (("type", b"trade"), ("schema", b"1"))
    records = [
        RawRecord(TOPIC, partition, first + number, timestamp_ms, b"IBM", headers, value)
        for number, value in enumerate(values)
    ]
    key = raw_key(TOPIC, partition, timestamp_ms, first)
    assert store.put_new(key, encode_object(records))
    return key
