"""Produce records to be sunk, and read the raw zone back."""

import io
from collections.abc import Iterator

import pyarrow.parquet as pq
from confluent_kafka import KafkaError, Message, Producer

from tickhouse.lake import Store, raw_prefix

__all__ = ["Acked", "RecordWriter", "offsets_of", "read_raw"]

Acked = tuple[int, int, bytes | None]


class RecordWriter:
    """Write records and remember each that Kafka acknowledged, as (partition, offset, value)."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self.acked: list[Acked] = []
        self._topic = topic
        self._producer = Producer(
            {"bootstrap.servers": bootstrap, "enable.idempotence": True, "linger.ms": 2, "log_level": 0}
        )

    def send(self, count: int, partition: int, label: str = "record") -> None:
        """Send records to one partition and wait until each is acknowledged."""
        for number in range(count):
            value = f"{label} {partition} {number}".encode()
            self.send_value(value, partition)
        self.flush()

    def send_value(self, value: bytes | None, partition: int, key: bytes | None = b"IBM") -> None:
        """Send one record without waiting."""
        headers: list[tuple[str, str | bytes | None]] = [("type", b"trade"), ("schema", b"1")]
        self._producer.produce(
            self._topic, value, key, partition=partition, headers=headers, on_delivery=self._on_delivery
        )
        self._producer.poll(0)

    def flush(self) -> None:
        """Wait until all is acknowledged."""
        assert self._producer.flush(30) == 0

    def _on_delivery(self, error: KafkaError | None, message: Message) -> None:
        assert error is None, error
        partition, offset = message.partition(), message.offset()
        assert partition is not None
        assert offset is not None
        self.acked.append((partition, offset, message.value()))


def read_raw(store: Store, topic: str) -> Iterator[Acked]:
    """Yield each record of the raw zone as (partition, offset, value), objects in name order."""
    for found in store.list(raw_prefix(topic)):
        table = pq.read_table(io.BytesIO(store.get(found.key)))
        columns = [table.column(name).to_pylist() for name in ("partition", "offset", "value")]
        yield from zip(*columns, strict=True)


def offsets_of(store: Store, topic: str, partition: int) -> list[int]:
    """Return the first offsets of a partition's objects, in name order."""
    keys = (found.key for found in store.list(raw_prefix(topic, partition)))
    return [int(key.rpartition("/")[2].removesuffix(".parquet")) for key in keys]
