"""Topics and offsets, against the real broker."""

import uuid

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, ResourceType

from tickhouse.errors import KafkaAway, TopicMismatch
from tickhouse.kafka import BrokerHandle, TopicSpec, begin_offsets, committed, end_offsets, ensure_topics, lag


def config_of(bootstrap: str, topic: str) -> dict[str, str]:
    """Return a topic's settings as the broker has them."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    resource = ConfigResource(ResourceType.TOPIC, topic)
    entries = admin.describe_configs([resource])[resource].result(10)
    return {name: entry.value for name, entry in entries.items()}


def fill(bootstrap: str, topic: str, partition: int, count: int) -> None:
    """Write acknowledged records to one partition."""
    producer = Producer({"bootstrap.servers": bootstrap, "acks": "all"})
    for i in range(count):
        producer.produce(topic, value=str(i).encode(), partition=partition)
    assert producer.flush(20) == 0


def fresh(word: str) -> str:
    """Return a topic name that no other test has."""
    return f"{word}-{uuid.uuid4().hex[:8]}"


def test_topics_are_created_once_with_the_shape_asked_for(kafka: BrokerHandle) -> None:
    """Creating is idempotent, and partitions, retention and timestamps are explicit."""
    specs = [TopicSpec(fresh("six"), 6, 168), TopicSpec(fresh("one"), 1, 24)]
    assert ensure_topics(kafka.bootstrap_servers, specs) == [spec.name for spec in specs]
    assert ensure_topics(kafka.bootstrap_servers, specs) == []
    for spec in specs:
        config = config_of(kafka.bootstrap_servers, spec.name)
        assert {name: config[name] for name in spec.config} == spec.config
        assert sorted(end_offsets(kafka.bootstrap_servers, spec.name)) == list(range(spec.partitions))


def test_another_partition_count_is_refused_with_both_numbers(kafka: BrokerHandle, topic: str) -> None:
    """A key's partition would change, so nothing is altered and the message names the mend."""
    with pytest.raises(TopicMismatch, match=r"has 3 partitions, .* ask for 5: .*TICKHOUSE_TOPIC_PARTITIONS=3"):
        ensure_topics(kafka.bootstrap_servers, [TopicSpec(topic, 5, 24)])
    assert len(end_offsets(kafka.bootstrap_servers, topic)) == 3


def test_a_changed_retention_is_applied_to_the_existing_topic(kafka: BrokerHandle, topic: str) -> None:
    """What the settings say now is what holds."""
    assert ensure_topics(kafka.bootstrap_servers, [TopicSpec(topic, 3, 48)]) == []
    config = config_of(kafka.bootstrap_servers, topic)
    assert config["retention.ms"] == str(48 * 3_600_000)
    assert config["message.timestamp.type"] == "LogAppendTime"


def test_a_compacted_topic_is_refused(kafka: BrokerHandle) -> None:
    """Compaction would put holes into the offset chain."""
    name = fresh("compacted")
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
    admin.create_topics([NewTopic(name, 1, 1, config={"cleanup.policy": "compact"})])[name].result(10)
    with pytest.raises(TopicMismatch, match=r"cleanup\.policy=compact"):
        ensure_topics(kafka.bootstrap_servers, [TopicSpec(name, 1, 24)])


def test_a_broker_that_is_not_there_is_named_within_the_bound() -> None:
    """Nobody listens on port 1: each question ends with KafkaAway."""
    with pytest.raises(KafkaAway, match=r"127\.0\.0\.1:1 does not answer"):
        ensure_topics("127.0.0.1:1", [TopicSpec("any", 1, 24)], timeout_s=0.5)
    with pytest.raises(KafkaAway):
        end_offsets("127.0.0.1:1", "any", timeout_s=0.5)
    with pytest.raises(KafkaAway):
        committed("127.0.0.1:1", "group", "any", timeout_s=0.5)


def test_lag_counts_what_a_group_has_not_committed(kafka: BrokerHandle, topic: str) -> None:
    """A partition without a commit lags by all it holds."""
    fill(kafka.bootstrap_servers, topic, 0, 10)
    fill(kafka.bootstrap_servers, topic, 2, 5)
    group = fresh("group")
    consumer = Consumer({"bootstrap.servers": kafka.bootstrap_servers, "group.id": group})
    consumer.commit(offsets=[TopicPartition(topic, 0, 7)], asynchronous=False)
    consumer.close()
    assert begin_offsets(kafka.bootstrap_servers, topic) == {0: 0, 1: 0, 2: 0}
    assert end_offsets(kafka.bootstrap_servers, topic) == {0: 10, 1: 0, 2: 5}
    assert committed(kafka.bootstrap_servers, group, topic) == {0: 7}
    assert lag(kafka.bootstrap_servers, group, topic) == {0: 3, 1: 0, 2: 5}


def test_asking_about_a_topic_that_is_not_there_says_how_to_create_it(kafka: BrokerHandle) -> None:
    """A question creates nothing."""
    name = fresh("absent")
    with pytest.raises(KafkaAway, match=f"no topic {name}"):
        end_offsets(kafka.bootstrap_servers, name)
    with pytest.raises(KafkaAway, match=f"no topic {name}"):
        end_offsets(kafka.bootstrap_servers, name)
