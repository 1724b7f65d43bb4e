"""The local Apache Kafka: how it starts, is found, ends, and what a crash leaves."""

import fcntl
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition

from tests.support.waiting import wait_until
from tickhouse.errors import BrokerFailed
from tickhouse.kafka import (
    BrokerHandle,
    TopicSpec,
    broker_status,
    end_offsets,
    ensure_topics,
    start_broker,
    stop_broker,
)

Start = Callable[[], BrokerHandle]

STARTER = """
import sys
from pathlib import Path
from tickhouse.kafka import start_broker
from tickhouse.log import configure
configure("error", "json")
handle = start_broker(Path(sys.argv[1]), Path(sys.argv[2]), attached=sys.argv[3] == "attached")
print(handle.pid, handle.bootstrap_servers, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """Return a state folder and leave no broker on it."""
    yield tmp_path / "state"
    stop_broker(tmp_path / "state")


@pytest.fixture
def start(home: Path, jar_cache: Path) -> Iterator[Start]:
    """Return a function that starts the broker of `home`, and stop what was started."""
    handles: list[BrokerHandle] = []

    def _start() -> BrokerHandle:
        handles.append(start_broker(home, jar_cache, attached=True))
        return handles[-1]

    yield _start
    for handle in handles:
        handle.stop()


@pytest.fixture
def parent(home: Path, jar_cache: Path, request: pytest.FixtureRequest) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Run another process that starts the broker, and return it with the broker's pid."""
    arguments = [sys.executable, "-c", STARTER, str(home), str(jar_cache), request.param]
    with subprocess.Popen(  # noqa: S603  # our own script
        arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        yield process, int(process.stdout.readline().split()[0])
        process.kill()


def is_gone(pid: int) -> bool:
    """Say whether no process, zombies aside, has this id."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def read_all(bootstrap: str, topic: str, count: int) -> list[bytes]:
    """Read the first `count` values of partition 0."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "reader", "enable.auto.commit": False})
    consumer.assign([TopicPartition(topic, 0, 0)])
    values: list[bytes] = []

    def has_all() -> bool:
        values.extend(message.value() or b"" for message in consumer.consume(count, 0.2))
        return len(values) >= count

    wait_until(has_all)
    consumer.close()
    return values


def test_a_second_start_finds_the_first_and_a_stop_leaves_no_process(home: Path, jar_cache: Path, start: Start) -> None:
    """One folder has one broker; it has a session of its own, so that Ctrl-C of a terminal doesn't reach it."""
    first = start()
    (home.parent / "other-name").symlink_to(home)
    second = start_broker(home.parent / "other-name", jar_cache, attached=True)
    assert (first.started_here, second.started_here) == (True, False)
    assert (first.pid, first.bootstrap_servers) == (second.pid, second.bootstrap_servers)
    assert os.getsid(first.pid) != os.getsid(0)
    status = broker_status(home)
    assert (status.is_answering, status.pid) == (True, first.pid)
    second.stop()
    assert first.is_alive()
    first.stop()
    assert is_gone(first.pid)
    assert not broker_status(home).is_running
    assert "shut down completed" in status.log_path.read_text(encoding="utf-8")


def test_a_restart_has_the_same_address_unless_that_is_taken(start: Start) -> None:
    """Another program's listener on the port is neither disturbed nor taken for ours."""
    first = start()
    first.stop()
    again = start()
    assert again.bootstrap_servers == first.bootstrap_servers
    again.stop()
    with socket.create_server(("127.0.0.1", int(first.bootstrap_servers.rpartition(":")[2]))):
        elsewhere = start()
        assert elsewhere.bootstrap_servers != first.bootstrap_servers


@pytest.mark.parametrize("parent", ["attached"], indirect=True)
def test_no_broker_outlives_a_killed_parent(home: Path, parent: tuple[subprocess.Popen[str], int]) -> None:
    """The parent's SIGKILL reaches the broker through the guardian's pipe, as a clean stop."""
    process, pid = parent
    process.kill()
    wait_until(lambda: is_gone(pid), timeout_s=25)
    assert (home / "kafka" / "data" / ".kafka_cleanshutdown").exists()
    assert "shut down completed" in broker_status(home).log_path.read_text(encoding="utf-8")


@pytest.mark.parametrize("parent", ["attached"], indirect=True)
def test_a_broker_whose_parent_and_guardian_were_killed_is_replaced(
    start: Start, parent: tuple[subprocess.Popen[str], int]
) -> None:
    """Nobody would ever end such an orphan, so the next start does."""
    process, pid = parent
    guardian = psutil.Process(pid).parent()
    assert guardian is not None
    process.send_signal(signal.SIGSTOP)  # so that it can't end the guardian in its own way
    guardian.kill()
    process.kill()
    handle = start()
    assert handle.started_here
    assert is_gone(pid)


@pytest.mark.parametrize("parent", ["detached"], indirect=True)
def test_a_detached_broker_stays_until_it_is_stopped(home: Path, parent: tuple[subprocess.Popen[str], int]) -> None:
    """`tickhouse kafka start` ends, its broker doesn't; `tickhouse kafka stop` ends that."""
    process, pid = parent
    process.kill()
    process.wait()
    assert broker_status(home).is_answering
    assert stop_broker(home)
    assert is_gone(pid)
    assert not stop_broker(home)


def test_a_killed_broker_comes_back_with_every_acknowledged_record(start: Start) -> None:
    """SIGKILL while a producer writes: what was acknowledged is there once and in order."""
    first = start()
    ensure_topics(first.bootstrap_servers, [TopicSpec("ticks", 1, 24)])
    acknowledged: list[bytes] = []

    def note(error: KafkaError | None, message: Message) -> None:
        if error is None:
            acknowledged.append(message.value() or b"")

    producer = Producer(
        {"bootstrap.servers": first.bootstrap_servers, "enable.idempotence": True, "linger.ms": 1, "log_level": 2}
    )
    sent = 0
    while len(acknowledged) < 2_000:
        for _ in range(100):
            producer.produce("ticks", b"%d" % sent, on_delivery=note)
            sent += 1
        producer.poll(0.005)
    os.kill(first.pid, signal.SIGKILL)
    producer.purge()
    producer.flush(10)
    wait_until(lambda: not first.is_alive())
    second = start()
    assert second.started_here
    assert end_offsets(second.bootstrap_servers, "ticks")[0] >= len(acknowledged)
    assert read_all(second.bootstrap_servers, "ticks", len(acknowledged))[: len(acknowledged)] == acknowledged


def test_two_racing_starts_make_one_broker(home: Path, jar_cache: Path) -> None:
    """Whoever has the lock starts it, the other waits and finds it."""
    handles: list[BrokerHandle] = []
    racers = [
        threading.Thread(target=lambda: handles.append(start_broker(home, jar_cache, attached=True))) for _ in range(2)
    ]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join(60)
    assert sorted(handle.started_here for handle in handles) == [False, True]
    assert len({handle.pid for handle in handles}) == 1
    for handle in handles:
        handle.stop()


def test_the_lock_lives_as_long_as_the_broker_process(home: Path, start: Start) -> None:
    """Even with its guardian killed, a running broker keeps others off its data."""
    handle = start()
    guardian = psutil.Process(handle.pid).parent()
    assert guardian is not None
    guardian.kill()
    wait_until(lambda: is_gone(guardian.pid))
    assert broker_status(home).is_answering
    with pytest.raises(BlockingIOError):
        lock(home / "kafka" / "broker.lock")
    handle.stop()
    lock(home / "kafka" / "broker.lock")


def lock(path: Path) -> None:
    """Take and release a file's lock; raises BlockingIOError where another has it."""
    with path.open("rb+") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_jar_with_other_bytes_is_refused_before_anything_starts(home: Path, jar_cache: Path, tmp_path: Path) -> None:
    """The message names the jar and says to delete it."""
    folder = tmp_path / "cache" / "kafka-4.3.1"
    folder.mkdir(parents=True)
    for jar in (jar_cache / "kafka-4.3.1").glob("*.jar"):
        (folder / jar.name).symlink_to(jar)
    bad = folder / "kafka-clients-4.3.1.jar"
    bad.unlink()
    bad.write_bytes(b"not what Apache released")
    with pytest.raises(BrokerFailed, match=r"kafka-clients-4\.3\.1\.jar .* delete it"):
        start_broker(home, tmp_path / "cache", attached=True)
    assert not home.exists()


def test_a_start_that_fails_says_why_and_where_the_log_is(home: Path, jar_cache: Path) -> None:
    """Storage of another node: Kafka ends by itself, and nothing of it is left."""
    data = home / "kafka" / "data"
    data.mkdir(parents=True)
    (data / "meta.properties").write_text("version=1\ncluster.id=other\nnode.id=7\n", encoding="utf-8")
    with pytest.raises(BrokerFailed, match=r"ended while starting: .*node.*broker\.log"):
        start_broker(home, jar_cache, attached=True)
    assert not broker_status(home).is_running
    assert not stop_broker(home)


def test_a_state_folder_that_can_not_be_written_is_named(home: Path, jar_cache: Path) -> None:
    """The operating system's reason and the setting to change are in the message."""
    home.write_text("a file, not a folder")
    with pytest.raises(BrokerFailed, match=r"can't be used: .*TICKHOUSE_HOME"):
        start_broker(home, jar_cache, attached=True)


@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_every_compression_is_understood(kafka: BrokerHandle, topic: str, codec: str) -> None:
    """The broker's native libraries load from its own temporary folder."""
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers, "acks": "all", "compression.type": codec})
    errors: list[KafkaError] = []
    for _ in range(100):
        producer.produce(topic, b"tick " * 100, partition=0, on_delivery=lambda e, _: errors.append(e) if e else None)
    assert producer.flush(20) == 0
    assert not errors
    assert read_all(kafka.bootstrap_servers, topic, 100) == [b"tick " * 100] * 100
