"""Run Apache Kafka itself: one node on this machine, its data durable under the state folder."""

import os
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from tickhouse.errors import BrokerFailed, LockBusy
from tickhouse.kafka.broker_home import BrokerHome, BrokerState
from tickhouse.kafka.jars import Progress, fetch_jars
from tickhouse.kafka.launch import STOP_GRACE_S, Launched, answers, launch
from tickhouse.log import get_logger

__all__ = ["BrokerHandle", "BrokerStatus", "broker_status", "start_broker", "stop_broker"]

START_TIMEOUT_S = 90.0
POLL_S = 0.05

log = get_logger("kafka.broker")


@dataclass(frozen=True, slots=True)
class BrokerStatus:
    """Whether the local broker runs and answers, and where; address and pid are None where it doesn't run."""

    is_running: bool
    is_answering: bool
    bootstrap_servers: str | None
    pid: int | None
    cluster_id: str | None
    log_path: Path


class BrokerHandle:
    """A running broker; as a context manager, it ends on leaving if it was started here."""

    def __init__(self, home: BrokerHome, state: BrokerState, launched: Launched | None = None) -> None:
        self.bootstrap_servers = state.bootstrap_servers
        self.pid = state.pid
        self.started_here = launched is not None
        self._home = home
        self._launched = launched

    def is_alive(self) -> bool:
        """Say whether the broker's process is still there."""
        return self._home.process(self.pid) is not None

    def stop(self) -> None:
        """End the broker cleanly if it was started here; one that was found belongs to whoever started it."""
        if self._launched is not None:
            launched, self._launched = self._launched, None
            stop_broker(self._home.folder.parent)
            launched.channel.close()
            launched.guardian.wait()

    def __enter__(self) -> Self:
        """Return the handle itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop what was started here."""
        self.stop()


def start_broker(
    home: Path,
    cache: Path,
    *,
    attached: bool,
    progress: Progress | None = None,
    timeout_s: float = START_TIMEOUT_S,
) -> BrokerHandle:
    """Start Kafka on `home`/kafka and wait until it answers, or find the one that runs there already.

    An attached broker ends when this process does, however that happens; one that isn't stays until `stop_broker`.
    `timeout_s` bounds the start, not the first download of the jars into `cache`. Raises BrokerFailed.
    """
    broker_home = _home(home)
    report = progress or _quiet
    jars = fetch_jars(cache, report)
    try:
        broker_home.folder.mkdir(parents=True, exist_ok=True)
        report("starting Apache Kafka", 0, 1)
        handle = _start_or_find(broker_home, jars, timeout_s, attached=attached)
        report("starting Apache Kafka", 1, 1)
    except OSError as error:
        raise BrokerFailed(
            f"the state folder {broker_home.folder} can't be used: {error}; mend that, or set TICKHOUSE_HOME to another"
        ) from error
    return handle


def stop_broker(home: Path, grace_s: float = STOP_GRACE_S) -> bool:
    """End the broker of a state folder, whoever started it, and return when it is gone; False if none ran.

    Kills it after `grace_s`. Raises LockBusy if the folder stays locked even so.
    """
    broker_home = _home(home)
    if not broker_home.folder.is_dir():
        return False
    started = time.monotonic()
    told: set[int] = set()
    while (lock := broker_home.take_lock()) is None:
        waited_s = time.monotonic() - started
        if waited_s > 2 * grace_s:
            raise LockBusy(broker_home.lock_path, waited_s)
        if (process := broker_home.running()) is not None:
            _end(process, told, is_overdue=waited_s > grace_s)
        time.sleep(POLL_S)
    os.close(lock)
    if told:
        waited_ms = round((time.monotonic() - started) * 1000)
        log.info("broker.stopped", folder=str(broker_home.folder), pid=max(told), ms=waited_ms)
    return bool(told)


def broker_status(home: Path) -> BrokerStatus:
    """Say whether the broker of a state folder runs and answers."""
    broker_home = _home(home)
    running = broker_home.running()
    state = None if running is None else broker_home.read_state()
    return BrokerStatus(
        is_running=state is not None,
        is_answering=state is not None and answers(state),
        bootstrap_servers=None if state is None else state.bootstrap_servers,
        pid=None if state is None else state.pid,
        cluster_id=broker_home.cluster_id(),
        log_path=broker_home.log_path,
    )


def _home(home: Path) -> BrokerHome:
    return BrokerHome(home.resolve() / "kafka")


def _quiet(_what: str, _done: int, _of: int) -> None:
    return


def _start_or_find(home: BrokerHome, jars: Sequence[Path], timeout_s: float, *, attached: bool) -> BrokerHandle:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if (lock := home.take_lock()) is not None:
            try:
                return _start(home, jars, lock, deadline, attached=attached)
            finally:
                os.close(lock)  # guardian and Java have it too: it is held until both are gone
        if (found := _find(home)) is not None:
            return found
        time.sleep(POLL_S)
    raise BrokerFailed(
        f"another process holds {home.lock_path}, but no broker of it answered within {timeout_s:.0f} s; end it with "
        "`tickhouse kafka stop` and start again"
    )


def _start(home: BrokerHome, jars: Sequence[Path], lock: int, deadline: float, *, attached: bool) -> BrokerHandle:
    started = time.monotonic()
    launched = launch(home, jars, lock, deadline, attached=attached)
    log.info(
        "broker.started",
        bootstrap_servers=launched.state.bootstrap_servers,
        pid=launched.state.pid,
        folder=str(home.folder),
        ms=round((time.monotonic() - started) * 1000),
    )
    return BrokerHandle(home, launched.state, launched)


def _find(home: BrokerHome) -> BrokerHandle | None:
    state, process = home.read_state(), home.running()
    if state is None or process is None:
        return None
    with suppress(psutil.NoSuchProcess):
        if state.guardian_pid is not None and process.ppid() != state.guardian_pid:
            process.terminate()  # its parent and its guardian were killed together: nobody would ever end it
            return None
    if not answers(state):
        return None
    log.info("broker.found", bootstrap_servers=state.bootstrap_servers, pid=state.pid, folder=str(home.folder))
    return BrokerHandle(home, state)


def _end(process: psutil.Process, told: set[int], *, is_overdue: bool) -> None:
    with suppress(psutil.NoSuchProcess):
        if is_overdue:
            process.kill()
        elif process.pid not in told:
            process.terminate()
            told.add(process.pid)
