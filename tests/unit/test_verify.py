"""The proof of the raw zone's chains."""

import pytest
from msgspec.structs import replace

from tickhouse.lake import PartitionChain, RawRecord, Store, encode_object, open_store, raw_key, verify

HOUR_MS = 3_600_000


@pytest.fixture
def store() -> Store:
    """Return an empty store."""
    return open_store("memory:///")


def records(first: int, last: int, topic: str = "t", partition: int = 0) -> list[RawRecord]:
    """Return records of contiguous offsets, both ends included, an hour apart."""
    return [RawRecord(topic, partition, offset, offset * HOUR_MS, None, (), b"") for offset in range(first, last + 1)]


def add(store: Store, kept: list[RawRecord]) -> str:
    """Put records under the name of the first one, and return it."""
    key = raw_key(kept[0].topic, kept[0].partition, kept[0].timestamp_ms, kept[0].offset)
    store.put(key, encode_object(kept))
    return key


def test_whole_chains_are_counted(store: Store) -> None:
    """Each partition tells its objects, rows and ends; a chain may begin anywhere."""
    for first, last in ((7, 9), (10, 10), (11, 30)):
        add(store, records(first, last))
    size = sum(found.size for found in store.list("raw"))
    add(store, records(0, 4, "u", 12))
    report = verify(store)
    assert report.is_whole
    assert report.chains[0] == PartitionChain("t", 0, 3, 24, size, 7, 30, ())
    assert [(chain.topic, chain.partition, chain.rows) for chain in report.chains] == [("t", 0, 24), ("u", 12, 5)]
    assert verify(store, "u").chains == report.chains[1:]
    assert verify(store, "nothing").chains == ()


def test_a_hole_is_named(store: Store) -> None:
    """The missing offsets are said, and the object that comes after them."""
    add(store, records(0, 4))
    after = add(store, records(8, 9))
    report = verify(store)
    assert report.problems == (f"hole: offsets 5 to 7 are missing before {after}",)
    assert not report.is_whole
    assert not report.chains[0].is_whole


def test_an_overlap_is_named(store: Store) -> None:
    """A record that is held twice is no chain, even where nothing is missing."""
    add(store, records(0, 9))
    inside = add(store, records(5, 7))
    add(store, records(10, 11))
    assert verify(store).problems == (f"overlap: {inside} starts at 5, but offsets up to 9 are held already",)


def test_rows_that_are_fewer_than_offsets_are_named(store: Store) -> None:
    """An object that left a record out inside is found by its count."""
    kept = records(0, 9)
    key = add(store, kept[:4] + kept[5:])
    assert verify(store).problems == (f"{key} holds 9 rows, but offsets 0 to 9 are 10",)


def test_names_out_of_order_are_a_chain_all_the_same(store: Store) -> None:
    """A broker's clock that was set back disturbs the order of names, but loses nothing."""
    add(store, records(100, 101))
    back = [replace(record, timestamp_ms=0) for record in records(102, 103)]
    add(store, back)
    assert verify(store).is_whole


def test_what_can_not_be_read_is_named(store: Store) -> None:
    """Foreign and torn objects are problems, not the end of the proof."""
    key = add(store, records(0, 4))
    store.put(raw_key("t", 0, 5 * HOUR_MS, 5), store.get(key)[:-9])
    store.put("raw/t/00000/9999.txt", b"hello")
    store.put("raw/t/notes/x", b"")
    problems = verify(store).problems
    assert len(problems) == 3
    assert "raw/t/notes is no partition" in problems[0]
    assert any("its footer can't be read" in problem for problem in problems)
    assert any("9999.txt" in problem for problem in problems)


def test_a_partition_without_readable_objects_has_no_ends(store: Store) -> None:
    """Nothing is made up where nothing can be read."""
    store.put(raw_key("t", 0, 0, 0), b"torn")
    (chain,) = verify(store).chains
    assert (chain.objects, chain.rows, chain.first_offset, chain.last_offset) == (1, 0, None, None)
    assert not chain.is_whole
