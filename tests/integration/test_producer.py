"""The producer against the real broker."""

import asyncio
import json
import os
import signal
import threading
import uuid
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from decimal import Decimal

import pytest
import structlog
from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from tests.support.waiting import wait_until
from tickhouse.errors import KafkaAway, TopicMismatch
from tickhouse.finnhub import FeedItem, StatusBatch, TradeFrame, Undecodable, WireTrade
from tickhouse.kafka import (
    BrokerHandle,
    Codec,
    Producer,
    ProducerConfig,
    ProducerService,
    Record,
    ServiceConfig,
    TopicSpec,
    end_offsets,
    ensure_topics,
)
from tickhouse.market import FeedState, FeedStatus

S = 1_000_000
BUFFER = 50


class ListFeed:
    """Give items one after the other, then wait for the stop; `pushed` is how many were taken."""

    def __init__(self) -> None:
        self.pushed = 0
        self._items: list[FeedItem] = []

    def push(self, *items: FeedItem) -> None:
        self._items.extend(items)

    async def items(self, stop: asyncio.Event) -> AsyncGenerator[FeedItem, None]:
        while not stop.is_set():
            while self.pushed < len(self._items):
                yield self._items[self.pushed]
                self.pushed += 1
            await asyncio.sleep(0.005)


@contextmanager
def running(service: ProducerService) -> Iterator[None]:
    """Run a service in a thread."""
    stop = threading.Event()
    thread = threading.Thread(target=service.run, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(timeout=60)
    assert not thread.is_alive()


def frame(number: int, *symbols: str) -> TradeFrame:
    """Make a frame whose number is its prints' time and price."""
    trades = tuple(WireTrade(symbol, Decimal(f"{number}.10"), number * 1000, Decimal(1), ("1",)) for symbol in symbols)
    return TradeFrame(trades, number * S)


def read_all(bootstrap: str, topic: str) -> list[Message]:
    """Read a topic from its start to its present end; partitions one after the other."""
    ends = end_offsets(bootstrap, topic)
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": uuid.uuid4().hex, "enable.auto.commit": False})
    messages: list[Message] = []
    try:
        consumer.assign([TopicPartition(topic, partition, 0) for partition in ends])
        while len(messages) < sum(ends.values()):
            batch = consumer.consume(min(1000, sum(ends.values()) - len(messages)), timeout=10)
            assert batch, f"{len(messages)} of {sum(ends.values())} records came"
            messages += batch
    finally:
        consumer.close()
    assert all(message.error() is None for message in messages)
    return messages


def values_of(messages: list[Message], symbol: str) -> list[bytes]:
    """Return the values of one key in the order of their offsets."""
    return [message.value() or b"" for message in messages if message.key() == symbol.encode()]


def test_records_arrive_once_in_order_per_symbol_with_their_headers(kafka: BrokerHandle, topic: str) -> None:
    """Each symbol's story is in one partition, in order; dead letters keep their bytes; all is acknowledged."""
    bootstrap, dlq = kafka.bootstrap_servers, f"dlq-{uuid.uuid4().hex[:8]}"
    ensure_topics(bootstrap, [TopicSpec(dlq, partitions=1, retention_hours=24)])
    codec = Codec(topic, dlq, "synthetic")
    status = StatusBatch(
        (FeedStatus("AAPL", FeedState.CONNECTED, 0, 0), FeedStatus("IBM", FeedState.CONNECTED, 0, 0)), 1
    )
    bad = Undecodable(bytes(range(256)), "malformed", 2)
    items: list[FeedItem] = [status, *(frame(number, "AAPL", "IBM", "AAPL") for number in range(1, 501)), bad]
    feed, producer = ListFeed(), Producer(ProducerConfig(bootstrap_servers=bootstrap))
    service = ProducerService(feed, codec, producer)
    with running(service):
        feed.push(*items)
        wait_until(lambda: feed.pushed == len(items) and service.drained())
    assert (service.acked, service.dropped, service.queued) == (2 + 1500 + 1, 0, 0)
    messages = read_all(bootstrap, topic)
    expected = [record for item in items[:-1] for record in codec.encode(item)]
    for symbol in ("AAPL", "IBM"):
        assert values_of(messages, symbol) == [record.value for record in expected if record.key == symbol.encode()]
        assert len({message.partition() for message in messages if message.key() == symbol.encode()}) == 1
    assert {tuple(message.headers() or ()) for message in messages} == {
        (("type", kind), ("schema", b"1"), ("source", b"synthetic")) for kind in (b"trade", b"status")
    }
    [dead] = read_all(bootstrap, dlq)
    assert (dead.key(), dead.value()) == (None, bytes(range(256)))
    assert dict(dead.headers() or ())["error"] == b"malformed"


def test_while_kafka_stands_still_the_buffer_fills_then_drops_are_told(kafka: BrokerHandle, topic: str) -> None:
    """What was acknowledged is in the topic once; what was dropped lies inside the interval that is told for it."""
    bootstrap = kafka.bootstrap_servers
    feed = ListFeed()
    producer = Producer(ProducerConfig(bootstrap_servers=bootstrap, buffer_records=BUFFER))
    service = ProducerService(feed, Codec(topic, "unused", "synthetic"), producer, ServiceConfig(stall_s=0.1))
    with running(service):
        feed.push(frame(1, "AAPL"))
        wait_until(lambda: service.acked == 1)
        os.kill(kafka.pid, signal.SIGSTOP)
        try:
            feed.push(*(frame(number, "AAPL") for number in range(2, 202)))
            wait_until(lambda: feed.pushed == 201)
            assert service.queued == BUFFER
            assert service.dropped == 200 - BUFFER
        finally:
            os.kill(kafka.pid, signal.SIGCONT)
        wait_until(service.drained)
        feed.push(frame(300, "AAPL"))
        wait_until(lambda: feed.pushed == 202 and service.drained())
    events = [json.loads(value) for value in values_of(read_all(bootstrap, topic), "AAPL")]
    assert len(events) == service.acked == 1 + BUFFER + 1 + 1
    assert [event.get("ts_ms", event.get("state")) for event in events] == [
        *(number * 1000 for number in range(1, BUFFER + 2)),
        "dropped",
        300_000,
    ]
    told = events[-2]
    assert (told["from_us"], told["to_us"]) == ((BUFFER + 2) * S, 201 * S + 1000)


def test_a_topic_that_is_missing_ends_the_service_with_the_mend(kafka: BrokerHandle) -> None:
    """Nobody waits for a topic that nobody will create."""
    feed = ListFeed()
    feed.push(frame(1, "AAPL"))
    producer = Producer(ProducerConfig(bootstrap_servers=kafka.bootstrap_servers, topic_wait_s=0.5))
    service = ProducerService(feed, Codec(f"none-{uuid.uuid4().hex}", "none", "synthetic"), producer)
    with pytest.raises(TopicMismatch, match="tickhouse init"):
        service.run(threading.Event())


def test_a_kafka_that_is_away_is_waited_for_and_the_stop_says_what_remains() -> None:
    """The buffer holds what came; a stop doesn't wait for ever."""
    feed = ListFeed()
    feed.push(frame(1, "AAPL", "IBM"))
    producer = Producer(ProducerConfig(bootstrap_servers="127.0.0.1:1"))
    service = ProducerService(feed, Codec("t", "d", "synthetic"), producer, ServiceConfig(flush_s=0.2))
    with structlog.testing.capture_logs() as logs:
        with running(service):
            wait_until(lambda: any(line["event"] == "producer.kafka_away" for line in logs))
            assert service.queued == 2
        assert logs[-1]["event"] == "producer.stopped"
        assert (logs[-1]["queued"], logs[-1]["acked"]) == (2, 0)


def test_a_record_too_large_for_kafka_is_counted_and_not_tried_again(kafka: BrokerHandle, topic: str) -> None:
    """What can never be sent is lost at once, and said so."""
    producer = Producer(ProducerConfig(bootstrap_servers=kafka.bootstrap_servers))
    assert producer.offer(Record(topic, b"A", b"x" * 2_000_000, []))
    assert (producer.failed, producer.queued, len(producer.take_lost())) == (1, 0, 1)
    assert producer.flush(1) == 0


def test_after_a_fatal_error_a_new_client_takes_over() -> None:
    """What was queued counts as refused, the error asks for a restart, and the producer works again."""
    producer = Producer(ProducerConfig(bootstrap_servers="127.0.0.1:1"))
    assert producer.offer(Record("t", b"A", b"1", []))
    assert producer.offer(Record("t", b"A", b"2", []))
    # librdkafka can't be brought to it from outside
    producer._erred(KafkaError(KafkaError._FATAL, "out of sequence", fatal=True))  # noqa: SLF001
    with pytest.raises(KafkaAway, match="out of sequence"):
        producer.serve()
    assert (producer.take_lost(), producer.failed, producer.queued) == ([b"1", b"2"], 2, 0)
    producer.serve()
    assert producer.offer(Record("t", b"A", b"3", []))
    assert producer.queued == 1
