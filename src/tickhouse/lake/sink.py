"""Carry Kafka's records into the raw zone, each exactly once, whatever dies."""

import random
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import cast

from confluent_kafka import OFFSET_END, Consumer, KafkaError, KafkaException, Message, TopicPartition

from tickhouse.clock import Clock, SystemClock
from tickhouse.errors import TerminalError, TickhouseError, TransientError
from tickhouse.lake.chain import LogBounds, clean_partition, find_tail, start_offset
from tickhouse.lake.membership import check, consumer_config, raise_gone
from tickhouse.lake.partition import OpenPartition, PutContext, SinkStats
from tickhouse.lake.partition_buffer import Cause, PartitionBuffer, SinkConfig
from tickhouse.lake.records import Header, RawRecord, shared_headers
from tickhouse.lake.store import Store
from tickhouse.log import get_logger

__all__ = ["Sink"]

log = get_logger("lake.sink")
FETCH_ROWS, FETCH_S = 10_000, 0.1
ASK_S = 10.0
RETRY_S = 1.0
PUT_THREADS = 4
Place = tuple[str, int]


class Sink:
    """Read topics as a member of a group and write what they hold.

    `run` returns soon after `stop` is set, with all that was read durable and committed. While Kafka or the store is
    away it waits; it raises TerminalError where a person has to act. `stats` may be read from any thread.
    """

    def __init__(  # noqa: PLR0913  # two services, what to do, and the three sources of time and chance
        self,
        bootstrap: str,
        topics: Sequence[str],
        store: Store,
        config: SinkConfig | None = None,
        *,
        clock: Clock | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        rng: random.Random | None = None,
    ) -> None:
        self.stats = SinkStats()
        self._topics = list(topics)
        self._store = store
        self._config = SinkConfig() if config is None else config
        self._clock = SystemClock() if clock is None else clock
        self._monotonic = monotonic
        self._rng = random.Random() if rng is None else rng  # noqa: S311  # it spreads retries
        self._settings = consumer_config(bootstrap, self._config) | {
            "error_cb": self._on_error,
            "on_commit": self._on_commit,
        }
        self._open: dict[Place, OpenPartition] = {}
        self._unopened: set[Place] = set()
        self._open_at = self._commit_at = 0.0
        self._paused: list[TopicPartition] = []
        self._is_away = False
        self._failure: TickhouseError | None = None

    def run(self, stop: threading.Event) -> None:
        """Sink until `stop` is set."""
        self._consumer = Consumer(self._settings)
        with ThreadPoolExecutor(PUT_THREADS, thread_name_prefix="put") as pool:
            self._context = PutContext(pool, self._store, self._rng, self.stats)
            try:
                self._consumer.subscribe(
                    self._topics, on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
                )
                while not stop.is_set():
                    self._turn()
                self._settle(list(self._open.values()), "shutdown")
                self._check()
            finally:
                self._forget(list(self._open))  # what isn't durable by now stays in Kafka
                self._consumer.close()

    def _turn(self) -> None:
        """Take what came, and do all that is due."""
        messages = self._consumer.consume(FETCH_ROWS, FETCH_S)
        self._check()
        now = self._monotonic()
        for message in messages:
            self._take(message, now)
        self._open_assigned(now)
        for partition in self._open.values():
            cause = partition.buffer.cause(self._config, now)
            if cause is not None:
                partition.flush(cause, self._config)
            partition.drive(self._context, now, self._clock.now_us())
        self._seek_past_adopted()
        self._commit(list(self._open.values()), wait=False)
        self._bound()

    def _take(self, message: Message, now: float) -> None:
        place = cast("Place", (message.topic(), message.partition()))
        error = message.error()
        if error is not None:
            self._take_error(error, place)
            return
        self._is_away = False
        partition = self._open.get(place)
        if partition is None:  # fetched before the place to go on from was known, or after a revoke
            return
        offset, (_, timestamp_ms) = cast("int", message.offset()), message.timestamp()
        headers = shared_headers(cast("tuple[Header, ...]", tuple(message.headers() or ())))
        record = RawRecord(*place, offset, timestamp_ms, message.key(), headers, message.value())
        partition.buffer.append(record, now)

    def _take_error(self, error: KafkaError, place: Place) -> None:
        check(error)
        partition = self._open.get(place)
        if error.code() == KafkaError._AUTO_OFFSET_RESET and partition is not None:  # noqa: SLF001  # its public name
            first, end = self._consumer.get_watermark_offsets(TopicPartition(*place), timeout=ASK_S, cached=False)
            raise_gone(*place, partition.buffer.next_offset, LogBounds(first, end))
            partition.seek_due = partition.buffer.next_offset
        log.warning("sink.kafka_error", topic=place[0], partition=place[1], error=error.str())

    def _open_assigned(self, now: float) -> None:
        """Find where newly assigned partitions go on; later once more where Kafka or the store is away."""
        if not self._unopened or now < self._open_at or self.stats.is_held:
            return
        try:
            asked = [TopicPartition(*place) for place in sorted(self._unopened)]
            for answer in self._consumer.committed(asked, timeout=ASK_S):
                self._open_one(answer.topic, answer.partition, answer.offset if answer.offset >= 0 else None)
        except (KafkaException, TransientError) as error:
            self._open_at = now + RETRY_S * self._rng.uniform(1.0, 2.0)
            log.warning("sink.open_failed", partitions=len(self._unopened), error=str(error))

    def _open_one(self, topic: str, number: int, committed: int | None) -> None:
        tail = find_tail(self._store, topic, number, committed)
        place = TopicPartition(topic, number)
        first, end = self._consumer.get_watermark_offsets(place, timeout=ASK_S, cached=False)
        start = start_offset(topic, number, tail, LogBounds(first, end))
        # the lake's last record is read again, to see that it is still the same topic
        is_kept = tail is not None and first <= tail.last_offset
        self._consumer.seek(TopicPartition(topic, number, start - 1 if is_kept else start))
        partition = OpenPartition(PartitionBuffer(topic, number, start, tail))
        if tail is not None:
            clean_partition(self._store, topic, number, tail, self._clock.now_us())
            partition.commit_due = None if committed == start else start
        self._unopened.discard((topic, number))
        self._open[topic, number] = partition
        log.info("sink.opened", topic=topic, partition=number, start=start, committed=committed, log_end=end)

    def _seek_past_adopted(self) -> None:
        for partition in self._open.values():
            if partition.seek_due is not None:
                self._consumer.seek(partition.position(partition.seek_due))
                partition.seek_due = None

    def _commit(self, partitions: Sequence[OpenPartition], *, wait: bool) -> None:
        """Commit what is durable; a failure is tried again and else harmless: the raw zone tells where to go on."""
        due = [each for each in partitions if each.commit_due is not None]
        if not due or (not wait and self._monotonic() < self._commit_at):
            return
        offsets = [each.position(each.commit_due) for each in due if each.commit_due is not None]
        try:
            if wait:
                self._consumer.commit(offsets=offsets, asynchronous=False)
            else:
                self._consumer.commit(offsets=offsets, asynchronous=True)
        except KafkaException as error:
            self._commit_at = self._monotonic() + RETRY_S
            log.warning("sink.commit_failed", partitions=len(due), error=str(error))
            return
        for each in due:
            each.commit_due = None

    def _on_commit(self, error: KafkaError | None, committed: list[TopicPartition]) -> None:
        for each in committed:
            failed = error if error is not None else each.error
            partition = self._open.get((each.topic, each.partition))
            if failed is None or partition is None:
                continue
            log.warning("sink.commit_failed", topic=each.topic, partition=each.partition, error=failed.str())
            self._commit_at = self._monotonic() + RETRY_S
            if partition.commit_due is None:
                partition.commit_due = each.offset

    def _bound(self) -> None:
        """Flush all and stop fetching while too much is held; fetch again from half of it."""
        held = [partition.held for partition in self._open.values()]
        self.stats.rows_buffered, self.stats.bytes_buffered = (
            sum(rows for rows, _ in held),
            sum(size for _, size in held),
        )
        self.stats.partitions = len(self._open)
        if self.stats.bytes_buffered >= self._config.buffer_bytes:
            for partition in sorted(self._open.values(), key=lambda each: each.buffer.first_at):
                partition.flush("pressure", self._config)
            if not self.stats.is_held:
                self._paused = self._consumer.assignment()
                self._consumer.pause(self._paused)
                self.stats.is_held = True
                log.warning("sink.held", bytes=self.stats.bytes_buffered, bound=self._config.buffer_bytes)
        elif self.stats.is_held and self.stats.bytes_buffered <= self._config.buffer_bytes // 2:
            self._consumer.resume([place for place in self._paused if place in self._consumer.assignment()])
            self.stats.is_held = False
            log.info("sink.resumed", bytes=self.stats.bytes_buffered)

    def _settle(self, partitions: Sequence[OpenPartition], cause: Cause) -> None:
        """Make all that is buffered durable and commit it, in bounded time."""
        deadline = self._monotonic() + self._config.settle_s
        tick = threading.Event()
        while not all(partition.is_settled for partition in partitions):
            now = self._monotonic()
            if now > deadline:
                log.warning("sink.thrown_away", cause=cause, partitions=len(partitions), waited_s=self._config.settle_s)
                break
            for partition in partitions:
                partition.flush(cause, self._config)
                partition.drive(self._context, now, self._clock.now_us())
            tick.wait(0.005)
        self._commit(partitions, wait=True)

    def _forget(self, places: Sequence[Place]) -> None:
        for place in places:
            self._open.pop(place, None)
            self._unopened.discard(place)

    def _on_assign(self, consumer: Consumer, assigned: list[TopicPartition]) -> None:
        self._unopened |= {(each.topic, each.partition) for each in assigned}
        self._open_at = 0.0
        # nothing is fetched from the end of a log: fetching starts with the seek that opens the partition
        consumer.incremental_assign([TopicPartition(each.topic, each.partition, OFFSET_END) for each in assigned])

    def _on_revoke(self, _: Consumer, revoked: list[TopicPartition]) -> None:
        places = [(each.topic, each.partition) for each in revoked]
        try:
            self._settle([self._open[place] for place in places if place in self._open], "revoke")
        except TickhouseError as error:  # an exception can't leave a callback of the client library
            self._failure = error
        self._forget(places)

    def _on_lost(self, _: Consumer, lost: list[TopicPartition]) -> None:
        """Throw away what was buffered: another member has these partitions already."""
        log.warning("sink.lost", partitions=len(lost))
        self._forget([(each.topic, each.partition) for each in lost])

    def _on_error(self, error: KafkaError) -> None:
        try:
            check(error)
        except TerminalError as failure:
            self._failure = failure
        else:
            if error.code() == KafkaError._ALL_BROKERS_DOWN and not self._is_away:  # noqa: SLF001  # its public name
                log.warning("sink.kafka_away", error=error.str())
                self._is_away = True

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure
