"""Find where a partition's chain of objects ends, and where a sink goes on."""

from dataclasses import dataclass
from datetime import timedelta

from tickhouse.errors import ChainBroken, TopicRecreated
from tickhouse.lake.layout import parse_raw_key, raw_key, raw_prefix
from tickhouse.lake.records import read_footer
from tickhouse.lake.store import Store

__all__ = ["LOG", "LogBounds", "Tail", "clean_partition", "find_tail", "start_offset"]

LOG = "the topic's log"
TEMPORARY_AGE = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Tail:
    """The last object of a partition and its last record."""

    key: str
    last_offset: int
    last_timestamp_ms: int


@dataclass(frozen=True, slots=True)
class LogBounds:
    """What Kafka holds of a partition: `first` is the oldest offset kept, `end` the one that the next record gets."""

    first: int
    end: int


def find_tail(store: Store, topic: str, partition: int, committed: int | None) -> Tail | None:
    """Return the partition's last object; None where the raw zone has none.

    Read the committed offset first: what was committed before is durable, so a tail behind it is no race. Such a tail
    is looked for once more among all names, because a broker's clock that was set back disturbs their order.
    """
    prefix = raw_prefix(topic, partition)
    key = store.last_key(prefix)
    if key is None:
        return None
    tail = _read(store, key)
    if committed is not None and committed > tail.last_offset + 1:
        last = max((found.key for found in store.list(prefix)), key=lambda name: parse_raw_key(name).first_offset)
        tail = _read(store, last)
    return tail


def _read(store: Store, key: str) -> Tail:
    parse_raw_key(key)  # a stranger's object is no tail
    footer = read_footer(store, key)
    return Tail(key, footer.last_offset, footer.last_timestamp_ms)


def start_offset(topic: str, partition: int, tail: Tail | None, log: LogBounds) -> int:
    """Return the offset that the raw zone needs next.

    An empty raw zone begins at the oldest record, otherwise it is the one after the tail; what the group committed
    doesn't matter: committed objects that are gone are written again while Kafka has them.
    Raises TopicRecreated where the lake is ahead of the log, ChainBroken where the log lost what comes next.
    """
    if tail is None:
        return log.first
    start = tail.last_offset + 1
    if start > log.end:
        raise TopicRecreated(topic, partition, start, log.end)
    if start < log.first:
        raise ChainBroken(topic, partition, start, log.first, LOG)
    return start


def clean_partition(store: Store, topic: str, partition: int, tail: Tail, now_us: int) -> int:
    """Delete the temporary files that killed sinks left since the day before the tail; return how many."""
    day_before = parse_raw_key(tail.key).hour - timedelta(days=1)
    after = raw_key(topic, partition, int(day_before.timestamp() * 1000), 0)
    before_s = now_us / 1_000_000 - TEMPORARY_AGE.total_seconds()
    return store.clean_temporary(raw_prefix(topic, partition), after, before_s)
