"""Create topics as an explicit step of the start, and refuse those that have another shape."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ClusterMetadata,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from tickhouse.errors import KafkaAway, TopicMismatch
from tickhouse.kafka.admin import TIMEOUT_S, kafka_away, open_admin
from tickhouse.log import get_logger
from tickhouse.settings import DLQ_TOPIC

__all__ = ["DLQ_TOPIC", "TopicSpec", "ensure_topics"]

BROKER_DEFAULT = -1
POLL_S = 0.05

log = get_logger("kafka.topics")


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """The shape that a topic must have."""

    name: str
    partitions: int
    retention_hours: int

    @property
    def config(self) -> dict[str, str]:
        """Return the topic's settings: log-append time, and no compaction, which would put holes into its offsets."""
        return {
            "cleanup.policy": "delete",
            "message.timestamp.type": "LogAppendTime",
            "retention.ms": str(self.retention_hours * 3_600_000),
        }


def ensure_topics(bootstrap: str, topics: Sequence[TopicSpec], timeout_s: float = TIMEOUT_S) -> list[str]:
    """Create those topics that are missing, bring settings of the others in line, and return the names created.

    Raises TopicMismatch where a topic has another number of partitions or is compacted, KafkaAway where nobody answers.
    """
    admin = open_admin(bootstrap)
    with kafka_away(bootstrap):
        cluster = admin.list_topics(timeout=timeout_s)
        existing = [spec for spec in topics if spec.name in cluster.topics]
        for spec in existing:
            _refuse_other_count(cluster, spec)
        created = _create(admin, [spec for spec in topics if spec.name not in cluster.topics], timeout_s)
        _wait_for_leaders(admin, bootstrap, topics, timeout_s)
        _align(admin, existing, timeout_s)
    return created


def _create(admin: AdminClient, specs: Sequence[TopicSpec], timeout_s: float) -> list[str]:
    if not specs:
        return []
    wanted = [
        NewTopic(spec.name, num_partitions=spec.partitions, replication_factor=BROKER_DEFAULT, config=spec.config)
        for spec in specs
    ]
    created = []
    futures = admin.create_topics(wanted, operation_timeout=timeout_s)
    for spec in specs:
        try:
            futures[spec.name].result(timeout_s)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:  # another process was first: as good
                raise
        else:
            created.append(spec.name)
            log.info("topic.created", topic=spec.name, partitions=spec.partitions, retention_hours=spec.retention_hours)
    return created


def _wait_for_leaders(admin: AdminClient, bootstrap: str, specs: Sequence[TopicSpec], timeout_s: float) -> None:
    """Return once each partition can be written to; a topic that was just created takes a moment."""
    deadline = time.monotonic() + timeout_s
    while True:
        cluster = admin.list_topics(timeout=timeout_s)
        waiting = [spec.name for spec in specs if not _is_ready(cluster, spec)]
        if not waiting:
            return
        if time.monotonic() > deadline:
            raise KafkaAway(f"Kafka at {bootstrap} has no leader for {', '.join(waiting)}; see its log")
        time.sleep(POLL_S)


def _is_ready(cluster: ClusterMetadata, spec: TopicSpec) -> bool:
    topic = cluster.topics.get(spec.name)
    if topic is None or topic.error is not None or not topic.partitions:
        return False
    _refuse_other_count(cluster, spec)
    return all(partition.leader >= 0 for partition in topic.partitions.values())


def _refuse_other_count(cluster: ClusterMetadata, spec: TopicSpec) -> None:
    count = len(cluster.topics[spec.name].partitions)
    if count not in {0, spec.partitions}:
        raise TopicMismatch(
            f"topic {spec.name} has {count} partitions, the settings ask for {spec.partitions}: symbols would change "
            f"partition and lose their order; set TICKHOUSE_TOPIC_PARTITIONS={count}, or TICKHOUSE_TOPIC to a new name"
        )


def _align(admin: AdminClient, specs: Sequence[TopicSpec], timeout_s: float) -> None:
    resources = {spec.name: ConfigResource(ResourceType.TOPIC, spec.name) for spec in specs}
    if not resources:
        return
    described = admin.describe_configs(list(resources.values()), request_timeout=timeout_s)
    changed = []
    for spec in specs:
        resource = resources[spec.name]
        actual = {name: entry.value for name, entry in described[resource].result(timeout_s).items()}
        if actual["cleanup.policy"] != "delete":
            raise TopicMismatch(
                f"topic {spec.name} has cleanup.policy={actual['cleanup.policy']}, which would remove records from the "
                "middle of the log: set it to delete, or TICKHOUSE_TOPIC to a new name"
            )
        wrong = {name: value for name, value in spec.config.items() if actual[name] != value}
        for name, value in wrong.items():
            entry = ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
            resource.add_incremental_config(entry)
        if wrong:
            changed.append(resource)
            log.info(
                "topic.configured", topic=spec.name, **{name.replace(".", "_"): value for name, value in wrong.items()}
            )
    if changed:
        for future in admin.incremental_alter_configs(changed, request_timeout=timeout_s).values():
            future.result(timeout_s)
