"""Hand records to Kafka and count what it acknowledged."""

from dataclasses import dataclass

from confluent_kafka import KafkaError, KafkaException, Message
from confluent_kafka import Producer as ConfluentProducer

from tickhouse.errors import KafkaAway, TickhouseError, TopicMismatch
from tickhouse.kafka.client_log import client_logger
from tickhouse.kafka.codec import Record
from tickhouse.log import get_logger

__all__ = ["Producer", "ProducerConfig"]

BUFFER_KIB_PER_RECORD = 1
MIN_BUFFER_KIB = 65_536
PURGE_WITHIN_S = 5.0
MISSING_TOPIC = frozenset({KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC})  # noqa: SLF001  # public constant

log = get_logger("kafka.producer")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProducerConfig:
    """Say where Kafka is and how much to hold while it is away; a topic may be `topic_wait_s` late."""

    bootstrap_servers: str
    buffer_records: int = 200_000
    linger_ms: int = 10
    topic_wait_s: float = 30.0


class Producer:
    """Queue records, idempotently and without ever expiring one; counters may be read from any thread."""

    def __init__(self, config: ProducerConfig) -> None:
        self._config = config
        self.capacity = config.buffer_records
        self.produced = 0
        self.acked = 0
        self.failed = 0
        self._is_away = False
        self._is_dead = False
        self._refused = 0
        self._error = ""
        self._lost: list[bytes] = []
        self._problem: TickhouseError | None = None
        self._client = self._open(config)

    @property
    def queued(self) -> int:
        """Return how many records Kafka has still to acknowledge."""
        return self.produced - self.acked - self.failed

    def offer(self, record: Record) -> bool:
        """Queue a record; return False when the buffer is full. One that can never be sent counts as failed."""
        try:
            self._client.produce(record.topic, record.value, record.key, headers=record.headers)
        except BufferError:
            return False
        except KafkaException as error:
            self.produced += 1
            self._fail(error.args[0], record.value)
        else:
            self.produced += 1
        return True

    def serve(self) -> None:
        """Take delivery reports without waiting; raise what only a person or a restart can mend.

        After a fatal error what was queued counts as refused, and a new client takes over from the old one.
        """
        self._client.poll(0)
        if self._is_dead:
            self._client.purge()
            self._client.flush(PURGE_WITHIN_S)
            self._client, self._is_dead = self._open(self._config), False
        if self._refused:
            log.error("producer.refused", records=self._refused, error=self._error)
            self._refused = 0
        if self._problem is not None:
            problem, self._problem = self._problem, None
            raise problem

    def take_lost(self) -> list[bytes]:
        """Return the values of records that Kafka refused since the last call."""
        lost, self._lost = self._lost, []
        return lost

    def flush(self, timeout_s: float) -> int:
        """Wait until all is delivered, `timeout_s` at most; return how many records are not."""
        self._client.flush(timeout_s)
        return self.queued

    def _open(self, config: ProducerConfig) -> ConfluentProducer:
        return ConfluentProducer(
            {
                "bootstrap.servers": config.bootstrap_servers,
                "client.id": "tickhouse-producer",
                "enable.idempotence": True,
                "acks": "all",
                "compression.type": "zstd",
                "partitioner": "murmur2_random",  # as the Java client: both may write the same topic
                "linger.ms": config.linger_ms,
                "message.timeout.ms": 0,  # a record waits for Kafka as long as it takes
                "queue.buffering.max.messages": config.buffer_records,
                "queue.buffering.max.kbytes": max(MIN_BUFFER_KIB, BUFFER_KIB_PER_RECORD * config.buffer_records),
                "topic.metadata.propagation.max.ms": round(config.topic_wait_s * 1000),
                "reconnect.backoff.max.ms": 2_000,
                "socket.keepalive.enable": True,
                "log.connection.close": False,
                "on_delivery": self._delivered,
                "error_cb": self._erred,
            },
            logger=client_logger("kafka.producer"),
        )

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self._fail(error, message.value() or b"")
            return
        self.acked += 1
        if self._is_away:
            self._is_away = False
            log.info("producer.kafka_back", queued=self.queued)

    def _fail(self, error: KafkaError, value: bytes) -> None:
        self.failed += 1
        self._refused += 1
        self._error = error.str()
        self._lost.append(value)
        if error.code() in MISSING_TOPIC:
            self._problem = TopicMismatch(
                f"Kafka at {self._config.bootstrap_servers} lacks a topic ({error.str()}); `tickhouse init` creates it"
            )

    def _erred(self, error: KafkaError) -> None:
        """Note what befell the client as a whole; only a fatal error ends it."""
        if error.fatal():
            self._is_dead = True
            self._problem = KafkaAway(f"the Kafka producer can't go on: {error.str()}")
        elif error.code() == KafkaError._ALL_BROKERS_DOWN and not self._is_away:  # noqa: SLF001  # public constant
            self._is_away = True
            log.warning("producer.kafka_away", bootstrap=self._config.bootstrap_servers, queued=self.queued)
