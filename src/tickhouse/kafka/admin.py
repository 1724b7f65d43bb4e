"""Ask a Kafka cluster, each question bounded in time."""

from collections.abc import Iterator
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import contextmanager

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from tickhouse.errors import KafkaAway

__all__ = ["TIMEOUT_S", "kafka_away", "open_admin"]

TIMEOUT_S = 10.0
CRITICAL = 2  # syslog level: librdkafka would print each refused connection to standard error


def open_admin(bootstrap: str) -> AdminClient:
    """Return an admin client; keep it in a variable while its futures are awaited, else they fail."""
    return AdminClient(
        {"bootstrap.servers": bootstrap, "log_level": CRITICAL, "socket.connection.setup.timeout.ms": 5000}
    )


@contextmanager
def kafka_away(bootstrap: str) -> Iterator[None]:
    """Raise KafkaAway where the client library says that nobody answered."""
    try:
        yield
    except (KafkaException, FutureTimeoutError) as error:
        raise KafkaAway(
            f"Kafka at {bootstrap} does not answer ({error}); check KAFKA_BOOTSTRAP_SERVERS, or "
            "`tickhouse kafka status` for the local one"
        ) from error
