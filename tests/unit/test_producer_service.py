"""What the producer does when Kafka takes no more: hold the feed back, then drop and tell."""

import asyncio
import json
import threading
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal

import pytest

from tests.support.waiting import wait_until
from tickhouse.errors import FeedLost, KafkaAway
from tickhouse.finnhub import FeedItem, StatusBatch, TradeFrame, Undecodable, WireTrade
from tickhouse.kafka import Codec, ProducerService, Record, ServiceConfig
from tickhouse.market import FeedState, FeedStatus

S = 1_000_000
CODEC = Codec("stocks-topic", "stocks-dlq", "synthetic")


class FakeOutbox:
    """Stand for `kafka.Producer`: takes `capacity` records, acknowledges them only while `is_open`."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.is_open = False
        self.opens_at_flush = False
        self.waiting: list[Record] = []
        self.taken: list[Record] = []
        self.refuses: Callable[[Record], bool] = lambda _: False
        self.problem: Exception | None = None
        self._lost: list[bytes] = []

    @property
    def queued(self) -> int:
        return len(self.waiting)

    @property
    def acked(self) -> int:
        return len(self.taken)

    def offer(self, record: Record) -> bool:
        if self.queued >= self.capacity:
            return False
        self.waiting.append(record)
        return True

    def serve(self) -> None:
        if self.problem is not None:
            raise self.problem
        if self.is_open:
            self._lost += [record.value for record in self.waiting if self.refuses(record)]
            self.taken += [record for record in self.waiting if not self.refuses(record)]
            self.waiting.clear()

    def take_lost(self) -> list[bytes]:
        lost, self._lost = self._lost, []
        return lost

    def flush(self, timeout_s: float) -> int:
        assert timeout_s > 0
        self.is_open = self.is_open or self.opens_at_flush
        self.serve()
        return self.queued


class ScriptedFeed:
    """Give items when the test says so; end at the stop."""

    def __init__(self, *items: FeedItem, last: tuple[FeedItem, ...] = ()) -> None:
        self.gates = [threading.Event() for _ in items]
        self._items = items
        self._last = last

    async def items(self, stop: asyncio.Event) -> AsyncGenerator[FeedItem, None]:
        for gate, item in zip(self.gates, self._items, strict=True):
            while not gate.is_set():  # noqa: ASYNC110  # set by another thread
                await asyncio.sleep(0.001)
            yield item
        await stop.wait()
        for item in self._last:
            yield item


@contextmanager
def running(feed: ScriptedFeed, outbox: FakeOutbox, stall_s: float = 60.0) -> Iterator[ProducerService]:
    """Run a service in a thread, as the supervisor does, and stop it at the end."""
    service = ProducerService(feed, CODEC, outbox, ServiceConfig(stall_s=stall_s))
    stop = threading.Event()
    thread = threading.Thread(target=service.run, args=(stop,))
    thread.start()
    try:
        yield service
    finally:
        stop.set()
        thread.join(timeout=10)
    assert not thread.is_alive()


def frame(second: int, *symbols: str) -> TradeFrame:
    """Make a frame of one print per symbol, received in the second of its print."""
    trades = tuple(WireTrade(symbol, Decimal(1), second * 1000, Decimal(1)) for symbol in symbols)
    return TradeFrame(trades, second * S)


def alive(from_s: int, to_s: int, symbol: str = "A") -> StatusBatch:
    """Make an alive status."""
    return StatusBatch((FeedStatus(symbol, FeedState.ALIVE, from_s * S, to_s * S),), to_s * S)


def shown(records: list[Record]) -> list[tuple[str, ...]]:
    """Show records as symbol and second of the print, or symbol, state and milliseconds."""
    rows: list[tuple[str, ...]] = []
    for record in records:
        event = json.loads(record.value)
        if event["type"] == "trade":
            rows.append((event["symbol"], str(event["ts_ms"] // 1000)))
        else:
            rows.append((event["symbol"], event["state"], f"{event['from_us'] // 1000}-{event['to_us'] // 1000}"))
    return rows


def test_all_that_the_feed_says_is_produced_in_order_and_counted() -> None:
    """Trades, statuses and dead letters pass; what the feed says at the stop is produced too."""
    outbox = FakeOutbox(capacity=100)
    outbox.is_open = True
    feed = ScriptedFeed(frame(1, "A", "B"), Undecodable(b"{", "malformed", 2 * S), last=(alive(0, 3),))
    with running(feed, outbox) as service:
        for gate in feed.gates:
            gate.set()
        wait_until(lambda: service.undecodable == 1 and service.drained())
    assert shown(outbox.taken[:2]) == [("A", "1"), ("B", "1")]
    assert (outbox.taken[2].topic, outbox.taken[2].value) == ("stocks-dlq", b"{")
    assert shown(outbox.taken[3:]) == [("A", "alive", "0-3000")]
    assert (service.frames, service.trades, service.statuses, service.undecodable) == (1, 2, 1, 1)
    assert (service.acked, service.dropped, service.queued) == (4, 0, 0)


def test_a_full_buffer_holds_the_feed_back_and_loses_nothing() -> None:
    """As long as the stall limit isn't reached the frame waits for room."""
    outbox = FakeOutbox(capacity=2)
    feed = ScriptedFeed(frame(1, "A", "A"), frame(2, "A"))
    with running(feed, outbox, stall_s=60) as service:
        for gate in feed.gates:
            gate.set()
        wait_until(lambda: service.frames == 1 and service.queued == 2)
        assert not service.drained()
        outbox.is_open = True
        wait_until(lambda: service.frames == 2 and service.drained())
    assert shown(outbox.taken) == [("A", "1"), ("A", "1"), ("A", "2")]
    assert service.dropped == 0


def test_what_is_dropped_is_told_per_symbol_before_anything_else() -> None:
    """After the stall limit records are lost, the rest of a frame too; one interval covers all that was."""
    outbox = FakeOutbox(capacity=2)
    feed = ScriptedFeed(frame(1, "A"), frame(2, "A", "A", "B"), alive(0, 3), frame(4, "A"), frame(5, "A"))
    with running(feed, outbox, stall_s=0.02) as service:
        for gate in feed.gates[:4]:
            gate.set()
        wait_until(lambda: service.frames == 3)
        assert service.dropped == 4
        outbox.is_open = True
        wait_until(service.drained)
        feed.gates[4].set()
        wait_until(lambda: service.frames == 4 and service.drained())
    assert shown(outbox.taken) == [
        ("A", "1"),
        ("A", "2"),
        ("A", "dropped", "0-4001"),
        ("B", "dropped", "2000-2001"),
        ("A", "5"),
    ]


def test_a_dropped_dead_letter_does_not_stop_the_rest() -> None:
    """A frame that concerns no symbol leaves no gap, and the service finds its way back."""
    outbox = FakeOutbox(capacity=1)
    feed = ScriptedFeed(frame(1, "A"), Undecodable(b"{", "malformed", 2 * S), frame(3, "A"))
    with running(feed, outbox, stall_s=0.02) as service:
        feed.gates[0].set()
        feed.gates[1].set()
        wait_until(lambda: service.dropped == 1)
        outbox.is_open = True
        feed.gates[2].set()
        wait_until(lambda: service.frames == 2 and service.drained())
    assert shown(outbox.taken) == [("A", "1"), ("A", "3")]


def test_a_record_that_kafka_refuses_is_told_as_dropped() -> None:
    """A refusal in the delivery report leaves a gap of that print's time."""
    outbox = FakeOutbox(capacity=10)
    outbox.refuses = lambda record: b'"ts_ms":2000' in record.value
    outbox.is_open = True
    feed = ScriptedFeed(frame(1, "A"), frame(2, "A"), frame(3, "A"))
    with running(feed, outbox) as service:
        for gate in feed.gates:
            gate.set()
        wait_until(lambda: service.frames == 3 and service.dropped == 1 and service.drained())
    assert ("A", "dropped", "2000-2001") in shown(outbox.taken)


def test_what_is_lost_at_the_stop_is_told_if_there_is_room_at_last() -> None:
    """The losses are the last thing that the service produces."""
    outbox = FakeOutbox(capacity=1)
    feed = ScriptedFeed(frame(1, "A"), frame(2, "A"))
    with running(feed, outbox, stall_s=60) as service:
        for gate in feed.gates:
            gate.set()
        wait_until(lambda: service.frames == 1 and service.queued == 1)
        outbox.opens_at_flush = True
    assert shown(outbox.taken) == [("A", "1"), ("A", "dropped", "2000-2001")]
    assert service.drained()


def test_what_kafka_cannot_recover_from_ends_the_service() -> None:
    """A fatal error is raised though the feed is idle."""
    outbox = FakeOutbox(capacity=1)
    outbox.problem = KafkaAway("the Kafka producer can't go on")
    service = ProducerService(ScriptedFeed(frame(1, "A")), CODEC, outbox)
    with pytest.raises(KafkaAway):
        service.run(threading.Event())


def test_an_error_of_the_feed_ends_the_service_after_a_last_delivery() -> None:
    """What was taken before the error is still delivered."""

    class Failing:
        async def items(self, stop: asyncio.Event) -> AsyncGenerator[FeedItem, None]:
            assert not stop.is_set()
            yield frame(1, "A")
            raise FeedLost("refused")

    outbox = FakeOutbox(capacity=1)
    outbox.is_open = True
    with pytest.raises(FeedLost):
        ProducerService(Failing(), CODEC, outbox).run(threading.Event())
    assert shown(outbox.taken) == [("A", "1")]
