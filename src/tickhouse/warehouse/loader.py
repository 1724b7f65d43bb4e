"""Load the raw zone's new objects into schema RAW: each once, whole, or not at all."""

import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tickhouse.errors import ChainBroken, ObjectMissing, RawZoneShort, WarehouseFailed
from tickhouse.lake import Store, StoredObject, open_store, parse_raw_key, parse_raw_prefix, raw_prefix, read_footer
from tickhouse.log import get_logger
from tickhouse.warehouse.base import LoadedPartition, RawObject, Warehouse

__all__ = ["BatchLimits", "LoadResult", "load_new"]

log = get_logger("warehouse.loader")

READERS = 8


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """How much one transaction may load; the first object always fits."""

    objects: int = 500
    size: int = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What a run loaded; `load_id` is its newest load, None where nothing was new.

    `next_offsets` has for each partition the offset that the next load starts with.
    """

    load_id: int | None
    objects: int
    rows: int
    rejects: int
    next_offsets: Mapping[int, int]


DEFAULT_LIMITS = BatchLimits()


def load_new(
    store: Store, topic: str, warehouse: Warehouse, *, now_us: int, limits: BatchLimits = DEFAULT_LIMITS
) -> LoadResult:
    """Load what `topic` has in the raw zone past the ledger, a bounded transaction at a time.

    What lies before a hole or an overlap is loaded; then ChainBroken is raised. Where nothing is new, nothing is
    written. Raises RawZoneShort where a partition's last loaded object is not there as it was.
    """
    tails = warehouse.loaded(topic)
    for tail in tails.values():
        _refuse_gone(store, topic, tail)
    run = _Run(store, topic, warehouse, now_us, limits, tails)
    run.load(run.new_objects())
    if run.broken:
        run.load(run.all_objects())
    for error in run.broken.values():
        log.error("loader.chain_broken", topic=topic, partition=error.partition, expected=error.expected, key=error.key)
        raise error
    return run.result()


@dataclass
class _Run:
    """Follow each partition's chain over the batches of one run.

    `expected` has the offset that each partition goes on with; `broken` the partitions that don't.
    """

    store: Store
    topic: str
    warehouse: Warehouse
    now_us: int
    limits: BatchLimits
    tails: Mapping[int, LoadedPartition]
    expected: dict[int, int] = field(default_factory=dict)
    broken: dict[int, ChainBroken] = field(default_factory=dict)
    load_id: int | None = None
    objects: int = 0
    rows: int = 0
    rejects: int = 0

    def __post_init__(self) -> None:
        self.expected = {partition: tail.next_offset for partition, tail in self.tails.items()}

    def new_objects(self) -> Iterator[StoredObject]:
        """Yield what was written since the last load, in proportion to it: past each partition's last loaded key."""
        for folder in self.store.folders(raw_prefix(self.topic)):
            place = parse_raw_prefix(folder)
            if place is not None:
                tail = self.tails.get(place[1])
                yield from self.store.list(folder, after="" if tail is None else tail.last_key)

    def all_objects(self) -> Iterator[StoredObject]:
        """Yield all that partitions with a hole have from there on, by offset, and take them as whole again.

        A name that was missing may have been written since, or stand out of order after a broker's clock was set back.
        An overlap stays: no other name mends it.
        """
        holes = sorted(partition for partition, error in self.broken.items() if error.found > error.expected)
        self.broken = {partition: error for partition, error in self.broken.items() if partition not in holes}
        for partition in holes:
            named = [
                (parse_raw_key(found.key).first_offset, found)
                for found in self.store.list(raw_prefix(self.topic, partition))
            ]
            going_on = [pair for pair in named if pair[0] >= self.expected[partition]]
            yield from (found for _, found in sorted(going_on, key=lambda pair: pair[0]))

    def load(self, found: Iterable[StoredObject]) -> None:
        """Load objects in batches, leaving out what comes after a break."""
        for batch in _batches(found, self.limits):
            with _staged(self.store, batch) as staged:
                sound = [item for item in _described(staged, batch) if self._continues(item)]
                if sound:
                    self._load(sound)

    def result(self) -> LoadResult:
        """Say what was done."""
        return LoadResult(self.load_id, self.objects, self.rows, self.rejects, dict(sorted(self.expected.items())))

    def _continues(self, item: RawObject) -> bool:
        """Tell whether an object goes on where its partition's chain ends, and move that end behind it."""
        if item.partition in self.broken:
            return False
        expected = self.expected.get(item.partition, item.first_offset)
        if item.first_offset != expected:
            self.broken[item.partition] = ChainBroken(self.topic, item.partition, expected, item.first_offset, item.key)
            return False
        self.expected[item.partition] = item.last_offset + 1
        return True

    def _load(self, sound: Sequence[RawObject]) -> None:
        done = self.warehouse.load(self.topic, sound, self.now_us)
        self.load_id = done.load_id
        self.objects += done.objects
        self.rows += done.rows
        self.rejects += done.rejects
        log.info(
            "loader.loaded",
            topic=self.topic,
            load_id=done.load_id,
            objects=done.objects,
            rows=done.rows,
            rejects=done.rejects,
        )


def _refuse_gone(store: Store, topic: str, tail: LoadedPartition) -> None:
    """Refuse to go on from an object that isn't there as it was loaded: it would look as if nothing new had come."""
    try:
        last_offset = read_footer(store, tail.last_key).last_offset
    except ObjectMissing:
        raise RawZoneShort(store.url, topic, tail.partition, f"{tail.last_key} is gone") from None
    if last_offset != tail.next_offset - 1:
        lacking = f"{tail.last_key} ends at offset {last_offset}, not at {tail.next_offset - 1}"
        raise RawZoneShort(store.url, topic, tail.partition, lacking)


def _batches(found: Iterable[StoredObject], limits: BatchLimits) -> Iterator[list[StoredObject]]:
    batch: list[StoredObject] = []
    size = 0
    for item in found:
        if batch and (len(batch) == limits.objects or size + item.size > limits.size):
            yield batch
            batch, size = [], 0
        batch.append(item)
        size += item.size
    if batch:
        yield batch


@contextmanager
def _staged(store: Store, batch: Sequence[StoredObject]) -> Iterator[Store]:
    """Give a store that has the batch as local files: itself, or a temporary copy."""
    if store.local_path(batch[0].key) is not None:
        yield store
        return
    with tempfile.TemporaryDirectory(prefix="tickhouse-load-") as folder:
        copy = open_store(Path(folder).as_uri())
        with ThreadPoolExecutor(READERS) as pool:
            for _ in pool.map(lambda item: copy.put(item.key, store.get(item.key)), batch):
                pass
        yield copy


def _described(staged: Store, batch: Sequence[StoredObject]) -> list[RawObject]:
    with ThreadPoolExecutor(READERS) as pool:
        return list(pool.map(lambda item: _describe(staged, item), batch))


def _describe(staged: Store, item: StoredObject) -> RawObject:
    name, footer, path = parse_raw_key(item.key), read_footer(staged, item.key), staged.local_path(item.key)
    if path is None:
        message = f"{item.key} has no local file to load from"
        raise WarehouseFailed(message)
    return RawObject(item.key, name.partition, name.first_offset, footer.last_offset, footer.rows, item.size, path)
