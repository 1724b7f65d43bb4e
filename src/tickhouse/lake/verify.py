"""Prove the chains of the raw zone: every record once, from names and footers alone."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

from tickhouse.errors import TerminalError
from tickhouse.lake.layout import RAW, parse_raw_key, parse_raw_prefix, raw_prefix
from tickhouse.lake.records import RAW_SCHEMA_VERSION, ObjectFooter, read_footer
from tickhouse.lake.store import Store, StoredObject

__all__ = ["PartitionChain", "VerifyReport", "verify"]

READERS = 8
READ_AHEAD = 512


@dataclass(frozen=True, slots=True)
class PartitionChain:
    """What one partition of the raw zone holds; `problems` says in words what is wrong with it.

    The offsets are None and the counts zero where it holds nothing readable.
    """

    topic: str
    partition: int
    objects: int
    rows: int
    bytes: int
    first_offset: int | None
    last_offset: int | None
    problems: tuple[str, ...]

    @property
    def is_whole(self) -> bool:
        """Tell whether each record from the first to the last offset is held once."""
        return not self.problems


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """The chains of all partitions, by topic and partition, and what lies in the raw zone beside them."""

    chains: tuple[PartitionChain, ...]
    strays: tuple[str, ...]

    @property
    def is_whole(self) -> bool:
        """Tell whether every chain is whole and nothing else is there."""
        return not self.problems

    @property
    def problems(self) -> tuple[str, ...]:
        """Return all that is wrong, in words."""
        return (*self.strays, *(problem for chain in self.chains for problem in chain.problems))


def verify(store: Store, topic: str | None = None) -> VerifyReport:
    """Read every name and footer of a topic, or of all; a broken chain is reported, not raised.

    Raises StoreAway where the store doesn't answer.
    """
    topics = store.folders(RAW) if topic is None else (raw_prefix(topic),)
    folders = [folder for each in topics for folder in store.folders(each)]
    places = {folder: parse_raw_prefix(folder) for folder in folders}
    strays = tuple(f"{folder} is no partition of a topic" for folder, place in places.items() if place is None)
    with ThreadPoolExecutor(READERS, thread_name_prefix="verify") as pool:
        chains = tuple(_verify_partition(store, pool, *place) for place in places.values() if place is not None)
    return VerifyReport(chains, strays)


def _verify_partition(store: Store, pool: ThreadPoolExecutor, topic: str, partition: int) -> PartitionChain:
    problems: list[str] = []
    objects = rows = size = 0
    links: list[tuple[int, int, str]] = []
    for found, footer in _read_all(store, pool, raw_prefix(topic, partition)):
        objects += 1
        size += found.size
        if isinstance(footer, str):
            problems.append(footer)
            continue
        first = parse_raw_key(found.key).first_offset
        rows += footer.rows
        links.append((first, footer.last_offset, found.key))
        problems.extend(_object_problems(found.key, first, footer))
    links.sort()  # a broker's clock that was set back puts names out of order, and breaks no chain
    problems.extend(_chain_problems(links))
    last = max((each for _, each, _ in links), default=None)
    first_offset = links[0][0] if links else None
    return PartitionChain(topic, partition, objects, rows, size, first_offset, last, tuple(problems))


def _read_all(store: Store, pool: ThreadPoolExecutor, prefix: str) -> Iterator[tuple[StoredObject, ObjectFooter | str]]:
    listing = store.list(prefix)
    while found := list(islice(listing, READ_AHEAD)):
        yield from zip(found, pool.map(lambda each: _read(store, each.key), found), strict=True)


def _read(store: Store, key: str) -> ObjectFooter | str:
    """Return an object's footer, or what is wrong with the object."""
    try:
        parse_raw_key(key)
        return read_footer(store, key)
    except TerminalError as error:
        return str(error)


def _object_problems(key: str, first: int, footer: ObjectFooter) -> Iterator[str]:
    expected = footer.last_offset - first + 1
    if footer.rows != expected:
        yield f"{key} holds {footer.rows} rows, but offsets {first} to {footer.last_offset} are {expected}"
    if footer.schema > RAW_SCHEMA_VERSION:
        yield f"{key} has schema {footer.schema}, newer than this program's {RAW_SCHEMA_VERSION}"


def _chain_problems(links: list[tuple[int, int, str]]) -> Iterator[str]:
    if not links:
        return
    next_offset = links[0][0]
    for first, last, key in links:
        if first > next_offset:
            yield f"hole: offsets {next_offset} to {first - 1} are missing before {key}"
        elif first < next_offset:
            yield f"overlap: {key} starts at {first}, but offsets up to {next_offset - 1} are held already"
        next_offset = max(next_offset, last + 1)
