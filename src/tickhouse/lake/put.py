"""Put one batch into the raw zone, exactly once."""

import random
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from tickhouse.errors import StoreAway, TopicReplaced
from tickhouse.lake.layout import raw_key
from tickhouse.lake.partition_buffer import Cause
from tickhouse.lake.records import RawRecord, encode_object, read_footer
from tickhouse.lake.store import Store
from tickhouse.log import get_logger

__all__ = ["Landed", "Put", "put_batch"]

log = get_logger("lake.sink")
BACKOFF_BASE_S, BACKOFF_MAX_S = 0.25, 15.0


@dataclass(frozen=True, slots=True)
class Landed:
    """An object that is durable; not `is_ours` where its name was taken, by an earlier try or by another sink."""

    key: str
    last_offset: int
    bytes: int
    ms: float
    is_ours: bool


def put_batch(store: Store, records: list[RawRecord]) -> Landed:
    """Write records under their own name, or adopt the object that has it.

    Raises StoreAway to be called again with the same records, TopicReplaced where the object holds other ones.
    """
    started = time.perf_counter()
    first = records[0]
    key = raw_key(first.topic, first.partition, first.timestamp_ms, first.offset)
    data = encode_object(records)
    is_ours = store.put_new(key, data)
    last_offset = records[-1].offset
    if not is_ours:
        footer = read_footer(store, key)
        last_offset = footer.last_offset
        same = records[last_offset - first.offset] if last_offset <= records[-1].offset else None
        if same is not None and same.timestamp_ms != footer.last_timestamp_ms:
            raise TopicReplaced(first.topic, first.partition, last_offset, key)
    return Landed(key, last_offset, len(data), (time.perf_counter() - started) * 1000, is_ours)


@dataclass(slots=True)
class Put:
    """A batch on its way: tried again, with jitter, until it has landed."""

    records: list[RawRecord]
    bytes: int
    cause: Cause
    attempts: int = 0
    _retry_at: float = 0.0
    _future: Future[Landed] | None = field(default=None, repr=False)

    def drive(self, pool: ThreadPoolExecutor, store: Store, rng: random.Random, now: float) -> Landed | None:
        """Start the put, or look after it; return what landed, None while it is on its way."""
        if self._future is None:
            if now >= self._retry_at:
                self._future = pool.submit(put_batch, store, self.records)
            return None
        if not self._future.done():
            return None
        done, self._future = self._future, None
        try:
            return done.result()
        except StoreAway as error:
            self.attempts += 1
            wait_s = min(BACKOFF_MAX_S, BACKOFF_BASE_S * 2 ** min(self.attempts, 10)) * rng.uniform(0.5, 1.0)
            self._retry_at = now + wait_s
            log.warning(
                "sink.put_failed",
                topic=self.records[0].topic,
                partition=self.records[0].partition,
                first=self.records[0].offset,
                attempt=self.attempts,
                retry_in_s=round(wait_s, 2),
                error=str(error),
            )
            return None
