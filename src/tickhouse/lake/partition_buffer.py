"""Hold one partition's records until it is time to flush them."""

from dataclasses import dataclass
from typing import Literal

from tickhouse.errors import ChainBroken, TopicReplaced
from tickhouse.kafka import SINK_GROUP
from tickhouse.lake.chain import Tail
from tickhouse.lake.records import RawRecord

__all__ = ["Cause", "PartitionBuffer", "SinkConfig"]

Cause = Literal["size", "age", "idle", "pressure", "revoke", "shutdown"]


@dataclass(frozen=True, slots=True)
class SinkConfig:
    """When a partition is flushed, and how the sink is a member of its group.

    `flush_rows` is also the most that one object holds; `buffer_bytes` bounds keys and values over all partitions. With
    an `instance_id` (unique and the same after a restart) a restarted sink gets its partitions back at once.
    """

    flush_rows: int = 50_000
    flush_bytes: int = 16 * 1024 * 1024
    flush_age_s: float = 20.0
    flush_idle_s: float = 5.0
    buffer_bytes: int = 256 * 1024 * 1024
    group: str = SINK_GROUP
    instance_id: str | None = None
    session_timeout_s: float = 10.0
    settle_s: float = 10.0


class PartitionBuffer:
    """Keep a run of contiguous offsets; `next_offset` is the one that has to come, `tail` what the lake ended with."""

    def __init__(self, topic: str, partition: int, next_offset: int, tail: Tail | None) -> None:
        self.topic = topic
        self.partition = partition
        self.next_offset = next_offset
        self.bytes = 0
        self.first_at = 0.0
        self._last_at = 0.0
        self._tail = tail
        self._records: list[RawRecord] = []

    def __len__(self) -> int:
        """Return the number of records."""
        return len(self._records)

    def append(self, record: RawRecord, now: float) -> None:
        """Take a record; one that the lake holds already is compared with it and let go.

        Raises ChainBroken where an offset is missing before the record, TopicReplaced where the lake's last record is
        another one.
        """
        tail = self._tail
        if tail is not None and record.offset == tail.last_offset and record.timestamp_ms != tail.last_timestamp_ms:
            raise TopicReplaced(self.topic, self.partition, record.offset, tail.key)
        if record.offset < self.next_offset:
            return
        if record.offset > self.next_offset:
            raise ChainBroken(self.topic, self.partition, self.next_offset, record.offset, "the next record in Kafka")
        if not self._records:
            self.first_at = now
        self._last_at = now
        self._records.append(record)
        self.bytes += _size(record)
        self.next_offset += 1

    def cause(self, config: SinkConfig, now: float) -> Cause | None:
        """Say why the buffer should be flushed now; None to wait."""
        if not self._records:
            return None
        if len(self._records) >= config.flush_rows or self.bytes >= config.flush_bytes:
            return "size"
        if now - self._last_at >= config.flush_idle_s:
            return "idle"
        return "age" if now - self.first_at >= config.flush_age_s else None

    def take(self, limit: int) -> list[RawRecord]:
        """Remove and return the first records, at most `limit`."""
        taken, self._records = self._records[:limit], self._records[limit:]
        self.bytes -= sum(map(_size, taken))
        self.first_at = self._last_at  # of what is left, as good as exact: it came in the same batch
        return taken

    def skip_through(self, offset: int) -> bool:
        """Drop what another sink made durable; return whether records not yet fetched are covered too."""
        self.take(sum(record.offset <= offset for record in self._records))
        if offset < self.next_offset:
            return False
        self.next_offset = offset + 1
        return True


def _size(record: RawRecord) -> int:
    return len(record.key or b"") + len(record.value or b"")
