"""The sink between a real Kafka and a real folder."""

import io
import json
import random
from base64 import b64encode
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient
from structlog.testing import capture_logs

from tests.support.raw_zone import RecordWriter, offsets_of, read_raw
from tests.support.sinks import NEVER_S, FaultyStore, SlowStore, quick, run_until_it_ends, running, sink_of
from tests.support.waiting import wait_until
from tickhouse.errors import ChainBroken, TerminalError, TopicRecreated, TopicReplaced
from tickhouse.kafka import BrokerHandle, TopicSpec, committed, ensure_topics, lag
from tickhouse.lake import Store, parse_raw_key, raw_prefix, read_footer, verify


@pytest.fixture
def bootstrap(kafka: BrokerHandle) -> str:
    """Return the address of the real Kafka."""
    return kafka.bootstrap_servers


@pytest.fixture
def store(tmp_path: Path) -> FaultyStore:
    """Return an empty store that fails on order."""
    return FaultyStore(tmp_path / "lake")


@pytest.fixture
def writer(bootstrap: str, topic: str) -> RecordWriter:
    """Return what writes to the test's topic."""
    return RecordWriter(bootstrap, topic)


def rows(store: Store, topic: str) -> int:
    """Return how many rows the raw zone holds of a topic."""
    return sum(chain.rows for chain in verify(store, topic).chains)


def sink_all(bootstrap: str, topic: str, store: Store, writer: RecordWriter) -> None:
    """Run a sink until all that was acknowledged is in the raw zone."""
    with running(sink_of(bootstrap, topic, store, quick(topic))):
        wait_until(lambda: rows(store, topic) >= len(writer.acked))


def assert_each_once(store: Store, topic: str, writer: RecordWriter) -> None:
    """Check that the raw zone holds what Kafka acknowledged, in whole chains."""
    assert verify(store, topic).problems == ()
    assert Counter(read_raw(store, topic)) == Counter(writer.acked)


def test_records_land_verbatim(bootstrap: str, topic: str, store: FaultyStore, writer: RecordWriter) -> None:
    """Poison, nothing and keyless records are rows like any other, under the name that the first one gives."""
    values = [b"\xff\xfe not JSON", b"", None, b'{"type":"trade"}']
    for value in values:
        writer.send_value(value, 1, None if value is None else b"\x00\xffkey")
    writer.flush()
    sink_all(bootstrap, topic, store, writer)

    (found,) = store.list(raw_prefix(topic))
    table = pq.read_table(io.BytesIO(store.get(found.key))).to_pylist()
    assert [row["value"] for row in table] == values
    assert [row["key"] for row in table] == [b"\x00\xffkey", b"\x00\xffkey", None, b"\x00\xffkey"]
    assert [row["offset"] for row in table] == [0, 1, 2, 3]
    assert {(row["topic"], row["partition"]) for row in table} == {(topic, 1)}
    headers = [["type", b64encode(b"trade").decode()], ["schema", b64encode(b"1").decode()]]
    assert json.loads(table[0]["headers"]) == headers
    assert parse_raw_key(found.key).hour.timestamp() == table[0]["timestamp_ms"] // 3_600_000 * 3_600
    assert read_footer(store, found.key).last_timestamp_ms == table[-1]["timestamp_ms"]


def test_what_is_durable_is_committed(bootstrap: str, topic: str, store: FaultyStore, writer: RecordWriter) -> None:
    """The group's offset follows, while the sink runs and after it."""
    for partition in range(3):
        writer.send(5, partition)
    with running(sink_of(bootstrap, topic, store, quick(topic))):
        wait_until(lambda: sum(lag(bootstrap, topic, topic).values()) == 0)
        assert rows(store, topic) == 15
    assert committed(bootstrap, topic, topic) == {0: 5, 1: 5, 2: 5}


def test_size_cuts_objects_exactly(bootstrap: str, topic: str, store: FaultyStore, writer: RecordWriter) -> None:
    """No object holds more rows than configured; the rest waits for its own cause."""
    writer.send(25, 0)
    config = quick(topic, flush_rows=10, flush_idle_s=NEVER_S)
    sink = sink_of(bootstrap, topic, store, config)
    with running(sink):
        wait_until(lambda: sink.stats.rows_written == 20 and sink.stats.rows_buffered == 5)
        assert offsets_of(store, topic, 0) == [0, 10]
    assert offsets_of(store, topic, 0) == [0, 10, 20]  # shutdown
    assert_each_once(store, topic, writer)
    assert (sink.stats.objects_written, sink.stats.rows_written) == (3, 25)
    assert sink.stats.last_flush_us is not None


def test_many_bytes_are_flushed(bootstrap: str, topic: str, store: FaultyStore, writer: RecordWriter) -> None:
    """Large records are no reason to wait for many."""
    config = quick(topic, flush_bytes=50_000, flush_idle_s=NEVER_S)
    with running(sink_of(bootstrap, topic, store, config)):
        for _ in range(2):
            writer.send_value(b"x" * 30_000, 0)
        wait_until(lambda: rows(store, topic) == 2)


def test_age_flushes_while_records_trickle(
    bootstrap: str, topic: str, store: FaultyStore, writer: RecordWriter
) -> None:
    """Records that never pause long enough to be idle land all the same."""
    config = quick(topic, flush_idle_s=NEVER_S, flush_age_s=0.3)
    with running(sink_of(bootstrap, topic, store, config)):
        for number in range(3):
            writer.send(1, 0)
            wait_until(lambda count=number + 1: rows(store, topic) == count)  # type: ignore[misc]  # a default binds it
    assert_each_once(store, topic, writer)


def test_several_topics_are_sunk_side_by_side(
    bootstrap: str, topic: str, store: FaultyStore, writer: RecordWriter
) -> None:
    """The dead letters have a chain of their own."""
    letters = f"{topic}-dlq"
    ensure_topics(bootstrap, [TopicSpec(letters, 1, 24)])
    letter_writer = RecordWriter(bootstrap, letters)
    writer.send(3, 0)
    letter_writer.send(2, 0)
    with running(sink_of(bootstrap, topic, store, quick(topic), [topic, letters])):
        wait_until(lambda: rows(store, topic) == 3 and rows(store, letters) == 2)
    assert_each_once(store, letters, letter_writer)
    assert [(chain.topic, chain.rows) for chain in verify(store).chains] == [(topic, 3), (letters, 2)]


def test_a_sink_goes_on_where_the_lake_ends(
    bootstrap: str, topic: str, store: FaultyStore, writer: RecordWriter
) -> None:
    """A group that never committed starts at the lake's tail, and says so to Kafka though nothing new comes."""
    writer.send(5, 0)
    sink_all(bootstrap, topic, store, writer)
    group = f"{topic}-other"
    sink = sink_of(bootstrap, topic, store, quick(group))
    with running(sink):
        wait_until(lambda: committed(bootstrap, group, topic).get(0) == 5)
        writer.send(5, 0)
        wait_until(lambda: rows(store, topic) == 10)
    assert (sink.stats.rows_written, sink.stats.rows_adopted) == (5, 0)
    assert_each_once(store, topic, writer)


def test_objects_that_were_lost_are_written_again(
    bootstrap: str, topic: str, store: FaultyStore, writer: RecordWriter
) -> None:
    """Where the group committed more than the lake holds, the lake is believed: there is no silent hole."""
    writer.send(5, 0)
    sink_all(bootstrap, topic, store, writer)
    writer.send(5, 0)
    sink_all(bootstrap, topic, store, writer)
    lost = store.last_key(raw_prefix(topic))
    assert lost is not None
    store.delete([lost])
    writer.send(1, 0)
    sink_all(bootstrap, topic, store, writer)
    assert_each_once(store, topic, writer)


def test_two_sinks_that_race_build_one_chain(
    bootstrap: str, topic: str, store: FaultyStore, writer: RecordWriter
) -> None:
    """Two groups read every record and cut differently, as an owner and a zombie would: each record lands once."""
    sinks = []
    for size in (17, 23):
        slow = SlowStore(store.folder, 0.1, random.Random(size))  # noqa: S311  # it only lets them take turns
        sinks.append(sink_of(bootstrap, topic, slow, quick(f"{topic}-{size}", flush_rows=size, flush_idle_s=0.1)))
    with ExitStack() as stack:
        for sink in sinks:
            stack.enter_context(running(sink))
        for _ in range(30):
            for partition in range(3):
                writer.send(17, partition)
        for sink in sinks:
            wait_until(lambda stats=sink.stats: stats.rows_written + stats.rows_adopted >= 1530, 60)  # type: ignore[misc]  # a default binds it
    assert_each_once(store, topic, writer)
    assert sum(sink.stats.rows_written for sink in sinks) == 1530
    assert sum(sink.stats.objects_adopted for sink in sinks) > 0


def test_a_second_sink_takes_over_its_share(
    bootstrap: str, topic: str, store: FaultyStore, writer: RecordWriter
) -> None:
    """What the first had buffered of a revoked partition is durable before the second goes on."""
    first = sink_of(bootstrap, topic, store, quick(topic, flush_idle_s=NEVER_S))
    second = sink_of(bootstrap, topic, store, quick(topic, flush_idle_s=0.1))
    with running(first):
        for partition in range(3):
            writer.send(10, partition)
        wait_until(lambda: first.stats.rows_buffered == 30)
        with running(second):
            wait_until(lambda: second.stats.partitions >= 1)
            assert rows(store, topic) == 10 * second.stats.partitions
            for partition in range(3):
                writer.send(10, partition)
            wait_until(lambda: second.stats.rows_written == 10 * second.stats.partitions)
    assert_each_once(store, topic, writer)


def test_a_store_that_was_away_gets_everything(
    bootstrap: str, topic: str, store: FaultyStore, writer: RecordWriter
) -> None:
    """Failed puts are tried again; one whose answer was lost is recognised as done."""
    store.fail_before, store.fail_after = 2, 1
    writer.send(10, 0)
    sink = sink_of(bootstrap, topic, store, quick(topic))
    with running(sink):
        wait_until(lambda: committed(bootstrap, topic, topic).get(0) == 10)
    assert_each_once(store, topic, writer)
    assert (store.puts, sink.stats.puts_failed) == (4, 3)


def test_a_sink_that_starts_while_the_store_is_away_waits_for_it(
    bootstrap: str, topic: str, store: FaultyStore, writer: RecordWriter
) -> None:
    """Where the chain ends is asked again; records fetched before that is known aren't taken."""
    store.fail_looks = 2
    writer.send(10, 0)
    sink_all(bootstrap, topic, store, writer)
    assert store.fail_looks == 0
    assert_each_once(store, topic, writer)


def test_a_sink_holds_while_the_store_is_away(
    bootstrap: str, topic: str, store: FaultyStore, writer: RecordWriter
) -> None:
    """Nothing is committed and memory is bounded; when the store is back, all of it lands."""
    store.fail_before = 10**9
    sink = sink_of(bootstrap, topic, store, quick(topic, buffer_bytes=20_000))
    with running(sink):
        for _ in range(40):
            writer.send_value(b"x" * 1_000, 0)
        wait_until(lambda: sink.stats.is_held)
        for _ in range(4_000):
            writer.send_value(b"y" * 1_000, 0)
        writer.flush()
        assert sink.stats.bytes_buffered < 1_000_000
        assert committed(bootstrap, topic, topic) == {}
        store.fail_before = 0
        wait_until(lambda: rows(store, topic) == len(writer.acked), 60)
        wait_until(lambda: not sink.stats.is_held)
    assert_each_once(store, topic, writer)


def test_a_sink_that_must_stop_leaves_the_rest_to_kafka(
    bootstrap: str, topic: str, store: FaultyStore, writer: RecordWriter
) -> None:
    """A store that stays away doesn't keep a sink from ending, and loses nothing."""
    store.fail_before = 10**9
    writer.send(10, 0)
    with running(sink_of(bootstrap, topic, store, quick(topic))):
        wait_until(lambda: store.puts > 0)
    store.fail_before = 0
    sink_all(bootstrap, topic, store, writer)
    assert_each_once(store, topic, writer)


def test_a_topic_made_anew_is_refused(bootstrap: str, topic: str, store: FaultyStore, writer: RecordWriter) -> None:
    """A lake ahead of the log stops the sink with the way out."""
    writer.send(5, 0)
    sink_all(bootstrap, topic, store, writer)
    recreate(bootstrap, topic)
    RecordWriter(bootstrap, topic).send(2, 0)
    with pytest.raises(TopicRecreated, match="TICKHOUSE_TOPIC"):
        run_until_it_ends(sink_of(bootstrap, topic, store, quick(f"{topic}-new")))


def test_a_topic_made_anew_and_grown_longer_is_refused(
    bootstrap: str, topic: str, store: FaultyStore, writer: RecordWriter
) -> None:
    """Other records at the offsets of the lake are noticed by the last one."""
    writer.send(5, 0)
    sink_all(bootstrap, topic, store, writer)
    recreate(bootstrap, topic)
    RecordWriter(bootstrap, topic).send(9, 0)
    with pytest.raises(TopicReplaced, match="another record"):
        run_until_it_ends(sink_of(bootstrap, topic, store, quick(f"{topic}-new")))
    assert rows(store, topic) == 5


def test_a_log_that_lost_records_leaves_no_silent_hole(
    bootstrap: str, topic: str, store: FaultyStore, writer: RecordWriter
) -> None:
    """Where retention outran the sink, the hole is named."""
    writer.send(5, 0)
    sink_all(bootstrap, topic, store, writer)
    writer.send(5, 0)
    forget(bootstrap, topic, before=8)
    with pytest.raises(ChainBroken, match="should go on at offset 5, but the topic's log starts at 8"):
        run_until_it_ends(sink_of(bootstrap, topic, store, quick(topic)))


def test_records_lost_while_the_sink_held_are_a_named_hole(
    bootstrap: str, topic: str, store: FaultyStore, writer: RecordWriter
) -> None:
    """Retention may outrun a sink that waits for its store."""
    store.fail_before = 10**9
    sink = sink_of(bootstrap, topic, store, quick(topic, buffer_bytes=20_000))
    with ExitStack() as stack:
        is_running = stack.enter_context(running(sink))
        for _ in range(40):
            writer.send_value(b"x" * 1_000, 0)
        wait_until(lambda: sink.stats.is_held)
        for _ in range(4_000):
            writer.send_value(b"y" * 1_000, 0)
        writer.flush()
        forget(bootstrap, topic, before=4_000)
        store.fail_before = 0
        wait_until(lambda: not is_running(), 60)
        with pytest.raises(ChainBroken, match="starts at 4000"):
            stack.close()
    assert verify(store, topic).is_whole


def test_a_second_sink_of_the_same_name_ends_the_first(
    bootstrap: str, topic: str, store: FaultyStore, writer: RecordWriter
) -> None:
    """Kafka fences a static member whose name was taken; the chain stays whole."""
    first, second = (sink_of(bootstrap, topic, store, quick(topic, instance_id="one")) for _ in range(2))
    with ExitStack() as stack:
        is_running = stack.enter_context(running(first))
        writer.send(5, 0)
        wait_until(lambda: rows(store, topic) == 5)
        with running(second):
            wait_until(lambda: not is_running(), 60)
            writer.send(5, 0)
            wait_until(lambda: rows(store, topic) == 10)
        with pytest.raises(TerminalError, match="same instance id"):
            stack.close()
    assert_each_once(store, topic, writer)


def test_a_sink_without_kafka_waits_and_can_be_stopped(store: FaultyStore, topic: str) -> None:
    """No broker at the address is no reason to end, nor not to."""
    sink = sink_of("127.0.0.1:1", topic, store, quick(topic))
    with capture_logs() as logs, running(sink) as is_running:
        wait_until(lambda: any(line["event"] == "sink.kafka_away" for line in logs))
        assert is_running()


def test_an_empty_lake_begins_where_the_log_does(
    bootstrap: str, topic: str, store: FaultyStore, writer: RecordWriter
) -> None:
    """A topic older than the lake is no broken chain."""
    writer.send(10, 0)
    forget(bootstrap, topic, before=8)
    with running(sink_of(bootstrap, topic, store, quick(topic))):
        wait_until(lambda: rows(store, topic) == 2)
    report = verify(store, topic)
    assert report.is_whole
    assert [(chain.first_offset, chain.last_offset) for chain in report.chains] == [(8, 9)]


def test_a_stranger_in_the_raw_zone_stops_the_sink(
    bootstrap: str, topic: str, store: FaultyStore, writer: RecordWriter
) -> None:
    """What isn't a raw object is not built upon."""
    store.put(f"{raw_prefix(topic, 0)}/notes.txt", b"hello")
    writer.send(1, 0)
    with pytest.raises(TerminalError, match=r"notes\.txt"):
        run_until_it_ends(sink_of(bootstrap, topic, store, quick(topic)))


def recreate(bootstrap: str, topic: str) -> None:
    """Delete a topic and create it again."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.delete_topics([topic])[topic].result(30)
    wait_until(lambda: topic not in admin.list_topics(timeout=10).topics)
    ensure_topics(bootstrap, [TopicSpec(topic, 3, 24)])


def forget(bootstrap: str, topic: str, before: int) -> None:
    """Delete the records of partition 0 before an offset, as retention does."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for future in admin.delete_records([TopicPartition(topic, 0, before)]).values():
        future.result(30)
