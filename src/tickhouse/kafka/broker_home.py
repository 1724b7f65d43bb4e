"""Keep the local broker's folder: its lock, what runs there, its ports, configuration and logs."""

import fcntl
import itertools
import os
import shutil
import socket
import zlib
from dataclasses import dataclass
from pathlib import Path

import msgspec
import psutil

__all__ = ["BrokerHome", "BrokerState"]

# below the ephemeral ranges of Linux and macOS: a client that retries there can't connect to itself
FIRST_PORT, PORT_COUNT = 20_000, 12_000
GIST_LINES = 3
GIST_WIDTH = 300
GIST_BYTES = 64 * 1024

SERVER_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.quorum.bootstrap.servers=127.0.0.1:{controller_port}
log.dirs={log_dirs}
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
log.cleaner.dedupe.buffer.size=8388608
num.network.threads=2
num.io.threads=4
# how soon a broker that was killed may register again
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
"""

LOG4J2_PROPERTIES = """\
status=error
# the lines of Kafka's own shutdown are wanted too
shutdownHook=disable
appender.file.type=RollingFile
appender.file.name=file
appender.file.fileName=logs/broker.log
appender.file.filePattern=logs/broker.log.%i
appender.file.layout.type=PatternLayout
appender.file.layout.pattern=%d{ISO8601} %p %m (%c)%n
appender.file.policies.type=Policies
appender.file.policies.size.type=SizeBasedTriggeringPolicy
appender.file.policies.size.size=5MB
appender.file.strategy.type=DefaultRolloverStrategy
appender.file.strategy.max=2
rootLogger.level=info
rootLogger.appenderRef.file.ref=file
"""


class BrokerState(msgspec.Struct, frozen=True):
    """What `broker.json` says of the broker that was started last."""

    pid: int
    guardian_pid: int | None
    port: int
    controller_port: int
    cluster_id: str

    @property
    def bootstrap_servers(self) -> str:
        """Return the address that clients use."""
        return f"127.0.0.1:{self.port}"


@dataclass(frozen=True, slots=True)
class BrokerHome:
    """Name the files under `<state folder>/kafka` and read and write them."""

    folder: Path

    @property
    def marker(self) -> str:
        """Return the argument by which a process on this folder is told from any other."""
        return f"-Dtickhouse.kafka={self.folder}"

    @property
    def lock_path(self) -> Path:
        """Return the file that the broker process holds locked."""
        return self.folder / "broker.lock"

    @property
    def data(self) -> Path:
        """Return the folder of the topics; it exists once formatted, never half."""
        return self.folder / "data"

    @property
    def log_path(self) -> Path:
        """Return Kafka's own log."""
        return self.folder / "logs" / "broker.log"

    @property
    def output_path(self) -> Path:
        """Return what the Java process wrote to its standard streams."""
        return self.folder / "logs" / "java.log"

    def take_lock(self) -> int | None:
        """Return a file descriptor that holds the folder's lock, or None where another process has it."""
        descriptor = os.open(self.lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        return descriptor

    def read_state(self) -> BrokerState | None:
        """Return what was started last; None where that is unknown."""
        try:
            return msgspec.json.decode((self.folder / "broker.json").read_bytes(), type=BrokerState)
        except (FileNotFoundError, msgspec.DecodeError):
            return None

    def write_state(self, state: BrokerState) -> None:
        """Say what runs here, in one step."""
        temporary = self.folder / "broker.json.new"
        temporary.write_bytes(msgspec.json.encode(state))
        temporary.replace(self.folder / "broker.json")

    def process(self, pid: int) -> psutil.Process | None:
        """Return the broker's process, or None where `pid` is gone or by now another program's."""
        try:
            process = psutil.Process(pid)
            arguments = process.cmdline()
        except psutil.Error:
            return None
        is_starting = not arguments  # Linux shows none for a moment while a process becomes another program
        return process if is_starting or self.marker in arguments else None

    def running(self) -> psutil.Process | None:
        """Return the process of the broker that was started last, if it still runs."""
        state = self.read_state()
        return None if state is None else self.process(state.pid)

    def ports(self) -> tuple[int, int]:
        """Return two free loopback ports: those of the last time where they are free, else others."""
        state = self.read_state()
        last = [] if state is None else [state.port, state.controller_port]
        usual = zlib.crc32(os.fsencode(self.folder)) % PORT_COUNT
        others = (FIRST_PORT + (usual + step) % PORT_COUNT for step in range(PORT_COUNT))
        free: list[int] = []
        for candidate in itertools.chain(last, others):
            if candidate not in free and _is_free(candidate):
                free.append(candidate)
            if len(free) == 2:  # noqa: PLR2004  # one for clients, one for the controller
                break
        return free[0], free[1]

    def configure(self, port: int, controller_port: int) -> None:
        """Write Kafka's configuration, put the last log aside, and empty the folder of temporary files."""
        temporary = self.folder / "tmp"
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        self.log_path.parent.mkdir(exist_ok=True)
        if self.log_path.exists():
            self.log_path.replace(self.log_path.with_name("previous.log"))
        for name, log_dirs in (("server.properties", "data"), ("format.properties", "unformatted")):
            text = SERVER_PROPERTIES.format(port=port, controller_port=controller_port, log_dirs=log_dirs)
            (self.folder / name).write_text(text, encoding="utf-8")
        (self.folder / "log4j2.properties").write_text(LOG4J2_PROPERTIES, encoding="utf-8")

    def cluster_id(self) -> str | None:
        """Return the id that the storage was formatted with; None before."""
        try:
            text = (self.data / "meta.properties").read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)["cluster.id"]

    def gist(self) -> str:
        """Return the last lines of the logs that say what went wrong."""
        lines = [*_tail(self.log_path), *_tail(self.output_path)]
        telling = [line for line in lines if any(word in line for word in ("ERROR", "FATAL", "Error", "Exception"))]
        return " | ".join(line[:GIST_WIDTH] for line in (telling or lines)[-GIST_LINES:])


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as Kafka does: TIME_WAIT is no hindrance
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _tail(path: Path) -> list[str]:
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - GIST_BYTES))
            return [line.strip() for line in file.read().decode("utf-8", "replace").splitlines() if line.strip()]
    except FileNotFoundError:
        return []
