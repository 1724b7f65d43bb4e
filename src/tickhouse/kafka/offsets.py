"""Tell where a topic's log begins and ends and how far a consumer group is."""

import time

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from tickhouse.errors import KafkaAway
from tickhouse.kafka.admin import TIMEOUT_S, kafka_away, open_admin

__all__ = ["SINK_GROUP", "begin_offsets", "committed", "end_offsets", "lag"]

SINK_GROUP = "tickhouse-sink"
POLL_S = 0.05
LOADING = frozenset(
    {KafkaError.NOT_COORDINATOR, KafkaError.COORDINATOR_NOT_AVAILABLE, KafkaError.COORDINATOR_LOAD_IN_PROGRESS}
)


def begin_offsets(bootstrap: str, topic: str, timeout_s: float = TIMEOUT_S) -> dict[int, int]:
    """Return the first offset that each partition still holds; raises KafkaAway."""
    return _log_offsets(bootstrap, topic, OffsetSpec.earliest(), timeout_s)


def end_offsets(bootstrap: str, topic: str, timeout_s: float = TIMEOUT_S) -> dict[int, int]:
    """Return the offset that each partition's next record will have; raises KafkaAway."""
    return _log_offsets(bootstrap, topic, OffsetSpec.latest(), timeout_s)


def committed(bootstrap: str, group: str, topic: str, timeout_s: float = TIMEOUT_S) -> dict[int, int]:
    """Return the offset that a group goes on from, for those partitions that it has committed; raises KafkaAway."""
    admin = open_admin(bootstrap)
    # a consumer that never joins: the admin client's own call crashes the process while the group's coordinator
    # is loading, https://github.com/confluentinc/librdkafka/issues/5040
    client = Consumer({"bootstrap.servers": bootstrap, "group.id": group, "enable.auto.commit": False, "log_level": 2})
    try:
        with kafka_away(bootstrap):
            places = [TopicPartition(topic, each) for each in _partitions(admin, bootstrap, topic, timeout_s)]
            answer = _ask_coordinator(client, places, timeout_s)
    finally:
        client.close()
    return {item.partition: item.offset for item in answer if item.offset >= 0}


def _ask_coordinator(client: Consumer, places: list[TopicPartition], timeout_s: float) -> list[TopicPartition]:
    """Return the committed offsets; a coordinator that is only just loading is asked again."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            return client.committed(places, timeout=timeout_s)
        except KafkaException as error:
            if error.args[0].code() not in LOADING or time.monotonic() > deadline:
                raise
        time.sleep(POLL_S)


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
