"""Carry one assigned partition from Kafka's records to objects: fill, flush, adopt, say what may be committed."""

import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from confluent_kafka import TopicPartition

from tickhouse.lake.partition_buffer import Cause, PartitionBuffer, SinkConfig
from tickhouse.lake.put import Landed, Put
from tickhouse.lake.store import Store
from tickhouse.log import get_logger

__all__ = ["OpenPartition", "PutContext", "SinkStats"]

log = get_logger("lake.sink")


@dataclass(slots=True)
class SinkStats:
    """What a sink has done and holds; written by its thread, readable by any other. Bytes are those of objects."""

    rows_written: int = 0
    objects_written: int = 0
    bytes_written: int = 0
    rows_adopted: int = 0
    objects_adopted: int = 0
    puts_failed: int = 0
    partitions: int = 0
    rows_buffered: int = 0
    bytes_buffered: int = 0
    is_held: bool = False
    last_flush_us: int | None = None


@dataclass(frozen=True, slots=True)
class PutContext:
    """What a put needs beside its records."""

    pool: ThreadPoolExecutor
    store: Store
    rng: random.Random
    stats: SinkStats


class OpenPartition:
    """Fill a buffer while at most one batch of it is on its way to the store."""

    def __init__(self, buffer: PartitionBuffer) -> None:
        self.buffer = buffer
        self.commit_due: int | None = None
        self.seek_due: int | None = None
        self._put: Put | None = None

    @property
    def is_settled(self) -> bool:
        """Tell whether all that was taken is durable."""
        return self._put is None and not len(self.buffer)

    @property
    def is_flushing(self) -> bool:
        """Tell whether a batch is on its way."""
        return self._put is not None

    @property
    def held(self) -> tuple[int, int]:
        """Return (rows, bytes) of keys and values that are in memory."""
        put = self._put
        if put is None:
            return len(self.buffer), self.buffer.bytes
        return len(self.buffer) + len(put.records), self.buffer.bytes + put.bytes

    def position(self, offset: int) -> TopicPartition:
        """Return an offset of this partition, to commit or to seek."""
        return TopicPartition(self.buffer.topic, self.buffer.partition, offset)

    def flush(self, cause: Cause, config: SinkConfig) -> None:
        """Send the buffer's first records on their way, unless a batch is already."""
        if self._put is None and len(self.buffer):
            before = self.buffer.bytes
            records = self.buffer.take(config.flush_rows)
            self._put = Put(records, before - self.buffer.bytes, cause)

    def drive(self, context: PutContext, now: float, now_us: int) -> None:
        """Look after the batch on its way; raises what no retry mends."""
        put = self._put
        if put is None:
            return
        attempts = put.attempts
        landed = put.drive(context.pool, context.store, context.rng, now)
        context.stats.puts_failed += put.attempts - attempts
        if landed is None:
            return
        self._land(put, landed, context.stats)
        context.stats.last_flush_us = now_us

    def _land(self, put: Put, landed: Landed, stats: SinkStats) -> None:
        first, last = put.records[0], landed.last_offset
        rows = last - first.offset + 1
        if landed.is_ours:
            stats.rows_written += rows
            stats.objects_written += 1
            stats.bytes_written += landed.bytes
        else:
            stats.rows_adopted += rows
            stats.objects_adopted += 1
        log.info(
            "sink.flushed" if landed.is_ours else "sink.adopted",
            topic=first.topic,
            partition=first.partition,
            first=first.offset,
            last=last,
            rows=rows,
            bytes=landed.bytes,
            ms=round(landed.ms, 1),
            cause=put.cause,
        )
        self.commit_due = last + 1
        rest = [record for record in put.records if record.offset > last]
        self._put = Put(rest, put.bytes, put.cause) if rest else None
        if self.buffer.skip_through(last):
            self.seek_due = last + 1
