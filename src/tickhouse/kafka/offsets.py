"""Tell where a topic's log begins and ends and how far a consumer group is."""

from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from tickhouse.errors import KafkaAway
from tickhouse.kafka.admin import TIMEOUT_S, kafka_away, open_admin

__all__ = ["SINK_GROUP", "begin_offsets", "committed", "end_offsets", "lag"]

SINK_GROUP = "tickhouse-sink"


def begin_offsets(bootstrap: str, topic: str, timeout_s: float = TIMEOUT_S) -> dict[int, int]:
    """Return the first offset that each partition still holds; raises KafkaAway."""
    return _log_offsets(bootstrap, topic, OffsetSpec.earliest(), timeout_s)


def end_offsets(bootstrap: str, topic: str, timeout_s: float = TIMEOUT_S) -> dict[int, int]:
    """Return the offset that each partition's next record will have; raises KafkaAway."""
    return _log_offsets(bootstrap, topic, OffsetSpec.latest(), timeout_s)


def committed(bootstrap: str, group: str, topic: str, timeout_s: float = TIMEOUT_S) -> dict[int, int]:
    """Return the offset that a group goes on from, for those partitions that it has committed; raises KafkaAway."""
    admin = open_admin(bootstrap)
    with kafka_away(bootstrap):
        partitions = [TopicPartition(topic, partition) for partition in _partitions(admin, bootstrap, topic, timeout_s)]
        request = ConsumerGroupTopicPartitions(group, partitions)
        future = admin.list_consumer_group_offsets([request], request_timeout=timeout_s)[group]
        answer = future.result(timeout_s).topic_partitions
    return {item.partition: item.offset for item in answer if item.offset >= 0}


def lag(bootstrap: str, group: str, topic: str, timeout_s: float = TIMEOUT_S) -> dict[int, int]:
    """Return how many records of each partition a group has still to commit; raises KafkaAway."""
    ends = end_offsets(bootstrap, topic, timeout_s)
    begins = begin_offsets(bootstrap, topic, timeout_s)
    done = committed(bootstrap, group, topic, timeout_s)
    return {partition: max(0, end - max(done.get(partition, 0), begins[partition])) for partition, end in ends.items()}


def _log_offsets(bootstrap: str, topic: str, spec: OffsetSpec, timeout_s: float) -> dict[int, int]:
    admin = open_admin(bootstrap)
    with kafka_away(bootstrap):
        request = {
            TopicPartition(topic, partition): spec for partition in _partitions(admin, bootstrap, topic, timeout_s)
        }
        futures = admin.list_offsets(request, request_timeout=timeout_s)
        return {item.partition: future.result(timeout_s).offset for item, future in futures.items()}


def _partitions(admin: AdminClient, bootstrap: str, topic: str, timeout_s: float) -> list[int]:
    found = admin.list_topics(topic, timeout=timeout_s).topics[topic]
    if found.error is not None:
        raise KafkaAway(f"Kafka at {bootstrap} has no topic {topic} ({found.error}); `tickhouse init` creates it")
    return sorted(found.partitions)
