"""Be a member of the sinks' group: the consumer's settings, and which of its errors no retry mends."""

from confluent_kafka import KafkaError

from tickhouse.errors import ChainBroken, TerminalError, TopicRecreated
from tickhouse.lake.chain import LOG, LogBounds
from tickhouse.lake.partition_buffer import SinkConfig

__all__ = ["check", "consumer_config", "raise_gone"]

CRITICAL = 2  # syslog level: what the client library has to say comes through its error callback
REFUSALS = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError._AUTHENTICATION,  # noqa: SLF001  # its public name
    }
)


def consumer_config(bootstrap: str, config: SinkConfig) -> dict[str, str | int | bool]:
    """Return the settings of a sink's consumer."""
    session_ms = int(config.session_timeout_s * 1000)
    settings: dict[str, str | int | bool] = {
        "bootstrap.servers": bootstrap,
        "client.id": "tickhouse-sink",
        "group.id": config.group,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "error",  # the lake says where to go on; a reset would make a hole
        "allow.auto.create.topics": False,
        "partition.assignment.strategy": "cooperative-sticky",
        "session.timeout.ms": session_ms,
        "heartbeat.interval.ms": session_ms // 4,
        "max.poll.interval.ms": 300_000,
        "topic.metadata.refresh.interval.ms": 10_000,
        "reconnect.backoff.max.ms": 2_000,
        "fetch.wait.max.ms": 100,  # a broker answers a connection in order: log bounds wait behind a fetch that waits
        "fetch.message.max.bytes": 4 * 1024 * 1024,
        "queued.min.messages": 50_000,
        "queued.max.messages.kbytes": 64 * 1024,
        "log_level": CRITICAL,
    }
    if config.instance_id is not None:
        settings["group.instance.id"] = config.instance_id
    return settings


def check(error: KafkaError) -> None:
    """Raise TerminalError for an error that no retry mends."""
    if error.code() in REFUSALS:
        message = f"Kafka refused the sink: {error.str()}; check KAFKA_BOOTSTRAP_SERVERS and what this user may read"
        raise TerminalError(message)
    if error.fatal() or error.code() == KafkaError._FATAL:  # noqa: SLF001  # its public name
        message = f"Kafka ended the sink's membership: {error.str()}; another sink may run with the same instance id"
        raise TerminalError(message)


def raise_gone(topic: str, partition: int, next_offset: int, log: LogBounds) -> None:
    """Raise for a position that the log no longer has, ChainBroken before its begin, TopicRecreated past its end."""
    if next_offset < log.first:
        raise ChainBroken(topic, partition, next_offset, log.first, LOG)
    if next_offset > log.end:
        raise TopicRecreated(topic, partition, next_offset, log.end)
