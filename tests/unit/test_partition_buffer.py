"""When a partition is flushed, and which records it takes."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickhouse.errors import ChainBroken, TopicReplaced
from tickhouse.lake import RawRecord, SinkConfig, open_store
from tickhouse.lake.chain import Tail, find_tail
from tickhouse.lake.partition_buffer import PartitionBuffer
from tickhouse.lake.put import put_batch
from tickhouse.lake.records import read_footer

CONFIG = SinkConfig(flush_rows=10, flush_bytes=100, flush_age_s=20.0, flush_idle_s=5.0)


def record(offset: int, size: int = 1, timestamp_ms: int = 0) -> RawRecord:
    """Return a record of a size in bytes."""
    return RawRecord("t", 0, offset, timestamp_ms or offset, None, (), b"x" * size)


def filled(count: int, size: int = 1) -> PartitionBuffer:
    """Return a buffer with records from offset 0, all come at 100 s."""
    buffer = PartitionBuffer("t", 0, 0, None)
    for offset in range(count):
        buffer.append(record(offset, size), 100.0)
    return buffer


@pytest.mark.parametrize(
    ("count", "size", "now", "cause"),
    [
        (0, 0, 10_000.0, None),
        (9, 1, 104.9, None),
        (10, 1, 100.0, "size"),
        (2, 50, 100.0, "size"),
        (1, 1, 105.0, "idle"),
    ],
)
def test_the_first_cause_that_holds_flushes(count: int, size: int, now: float, cause: str | None) -> None:
    """Rows, bytes and silence each flush; an empty buffer never does."""
    assert filled(count, size).cause(CONFIG, now) == cause


def test_age_flushes_what_never_falls_silent() -> None:
    """The first record's age counts, not the last one's."""
    buffer = filled(1)
    for offset in range(1, 6):
        buffer.append(record(offset), 100.0 + 4 * offset)
    assert buffer.cause(CONFIG, 120.0) == "age"


def test_a_missing_offset_is_a_broken_chain() -> None:
    """What compaction or a transaction left out would be a hole."""
    with pytest.raises(ChainBroken, match="should go on at offset 3"):
        filled(3).append(record(4), 0.0)


def test_covered_records_are_let_go() -> None:
    """What is fetched again is no new record."""
    buffer = filled(3)
    buffer.append(record(1), 0.0)
    assert (len(buffer), buffer.next_offset, buffer.bytes) == (3, 3, 3)


def test_the_lakes_last_record_must_be_kafkas() -> None:
    """Another time at the tail's offset means another topic."""
    tail = Tail("raw/key", 4, 40)
    buffer = PartitionBuffer("t", 0, 5, tail)
    buffer.append(record(4, timestamp_ms=40), 0.0)
    assert len(buffer) == 0
    with pytest.raises(TopicReplaced, match="raw/key"):
        buffer.append(record(4, timestamp_ms=41), 0.0)


def test_what_another_sink_wrote_is_skipped() -> None:
    """Records not yet fetched may be covered too."""
    buffer = filled(5)
    assert not buffer.skip_through(2)
    assert (len(buffer), buffer.bytes, buffer.next_offset) == (2, 2, 5)
    assert buffer.skip_through(9)
    assert (len(buffer), buffer.bytes, buffer.next_offset) == (0, 0, 10)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.lists(st.integers(1, 9), min_size=1, max_size=6))
def test_two_ways_to_cut_build_one_chain(mine: list[int], theirs: list[int]) -> None:
    """Writers that cut one log differently take turns as they like: each record is held once."""
    store = open_store("memory:///")
    log = [record(offset) for offset in range(40)]
    ends = [0, 0]
    held: list[int] = []
    turns = 0
    while min(ends) < len(log):
        writer = turns % 2
        cuts = (mine, theirs)[writer]
        start, size = ends[writer], cuts[turns % len(cuts)]
        turns += 1
        if start < len(log):
            landed = put_batch(store, log[start : start + size])
            if landed.is_ours:
                held.extend(range(start, landed.last_offset + 1))
            ends[writer] = landed.last_offset + 1
    assert sorted(held) == list(range(40))
    assert sum(read_footer(store, found.key).rows for found in store.list("raw")) == 40


def test_an_object_of_other_records_is_no_adoption() -> None:
    """A name that holds another time at the same offset belongs to a topic that is gone."""
    store = open_store("memory:///")
    put_batch(store, [record(0, timestamp_ms=1), record(1, timestamp_ms=2)])
    with pytest.raises(TopicReplaced):
        put_batch(store, [record(0, timestamp_ms=1), record(1, timestamp_ms=3)])


def test_the_tail_is_found_behind_a_clock_that_was_set_back() -> None:
    """Where more was committed than the last name holds, all names are asked."""
    store = open_store("memory:///")
    put_batch(store, [record(0, timestamp_ms=9_000_000)])
    put_batch(store, [record(1, timestamp_ms=1_000)])
    ahead, behind = find_tail(store, "t", 0, 2), find_tail(store, "t", 0, None)
    assert ahead is not None
    assert behind is not None
    assert (ahead.last_offset, behind.last_offset) == (1, 0)
    assert find_tail(store, "t", 1, None) is None
