"""Run several services in the threads of one process, and stop them in the order of the data's way."""

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from tickhouse.errors import ServiceFailed, TerminalError, TransientError
from tickhouse.log import get_logger

__all__ = ["Service", "Supervisor"]

log = get_logger("stack.supervisor")


class Service(Protocol):
    """Do one job until told to stop."""

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set and return soon after; raise a TickhouseError on failure."""
        ...


@dataclass(slots=True)
class _Supervised:
    name: str
    service: Service
    stop: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread | None = None
    restarts: int = 0


class Supervisor:
    """Keep services running: a transient failure restarts one after a jittered pause, a terminal one ends all.

    A service must stand another `run` after one that failed.
    """

    def __init__(self, rng: random.Random, *, pause_s: float = 0.5, pause_max_s: float = 30.0) -> None:
        self._rng = rng
        self._pause_s = pause_s
        self._pause_max_s = pause_max_s
        self._services: dict[str, _Supervised] = {}
        self._failure: BaseException | None = None

    def start(self, name: str, service: Service) -> None:
        """Start a service in a thread of its own."""
        entry = _Supervised(name, service)
        entry.thread = threading.Thread(target=self._keep_running, args=(entry,), name=name, daemon=True)
        self._services[name] = entry
        entry.thread.start()

    def check(self) -> None:
        """Raise the failure that ended a service for good, if one did."""
        if self._failure is not None:
            raise self._failure

    def wait(self, until: Callable[[], bool], timeout_s: float, what: str, poll_s: float = 0.05) -> None:
        """Return as soon as `until()` holds; raise what failed meanwhile, or ServiceFailed after `timeout_s`."""
        deadline = time.monotonic() + timeout_s
        while not until():
            self.check()
            if time.monotonic() > deadline:
                raise ServiceFailed(f"{what} took longer than {timeout_s:.0f} s; the log says why")
            time.sleep(poll_s)

    def stop(self, name: str, timeout_s: float = 60.0) -> None:
        """Stop one service and wait until it has ended; unknown and ended ones are fine."""
        entry = self._services.pop(name, None)
        if entry is None or entry.thread is None:
            return
        entry.stop.set()
        entry.thread.join(timeout_s)
        if entry.thread.is_alive():
            raise ServiceFailed(f"{name} did not stop within {timeout_s:.0f} s")

    def stop_all(self) -> None:
        """Stop what still runs, in the order in which it was started."""
        for name in list(self._services):
            self.stop(name)

    def _keep_running(self, entry: _Supervised) -> None:
        while not entry.stop.is_set():
            try:
                entry.service.run(entry.stop)
            except TransientError as error:
                self._pause(entry, str(error))
            except TerminalError as error:
                log.error("service.failed", service=entry.name, error=str(error))  # noqa: TRY400  # its message says all
                self._failure = error
                return
            except Exception as error:
                log.exception("service.crashed", service=entry.name)
                self._pause(entry, type(error).__name__)
            else:
                return

    def _pause(self, entry: _Supervised, reason: str) -> None:
        entry.restarts += 1
        bound = min(self._pause_s * 2 ** min(entry.restarts, 16), self._pause_max_s)
        pause_s = self._rng.uniform(self._pause_s, bound)
        log.warning("service.restarts", service=entry.name, restarts=entry.restarts, reason=reason, pause_s=pause_s)
        entry.stop.wait(pause_s)
