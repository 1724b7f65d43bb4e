"""The supervisor restarts what may come back, ends with what can't, and stops in order."""

import io
import random
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
import structlog

from tests.support.waiting import wait_until
from tickhouse.errors import FeedLost, KeyRefused, ServiceFailed
from tickhouse.log import configure
from tickhouse.stack.supervisor import Supervisor


@dataclass
class Scripted:
    """A service that fails as it is told at each run, and works after that until it is stopped."""

    failures: list[BaseException] = field(default_factory=list)
    on_end: Callable[[], None] = lambda: None
    obeys: bool = True
    runs: int = 0

    def run(self, stop: threading.Event) -> None:
        """Fail, or wait to be stopped."""
        self.runs += 1
        if self.failures:
            raise self.failures.pop(0)
        if self.obeys:
            stop.wait()
        self.on_end()


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """Collect the log."""
    stream = io.StringIO()
    configure("info", "json", stream)
    yield stream
    structlog.reset_defaults()


@pytest.fixture
def supervisor(log: io.StringIO) -> Iterator[Supervisor]:  # noqa: ARG001  # its lines go there
    """Return a supervisor whose pauses are short."""
    made = Supervisor(random.Random(1), pause_s=0.001, pause_max_s=0.01)  # noqa: S311  # spreads restarts
    yield made
    made.stop_all()


def test_a_transient_failure_restarts_the_service_after_a_pause(supervisor: Supervisor, log: io.StringIO) -> None:
    """Lose the feed three times: the fourth run stays, each restart is logged, and nothing is raised."""
    service = Scripted([FeedLost("closed") for _ in range(3)])
    supervisor.start("producer", service)
    wait_until(lambda: service.runs == 4)
    supervisor.check()
    lines = [line for line in log.getvalue().splitlines() if "service.restarts" in line]
    assert len(lines) == 3
    assert all('"reason": "closed"' in line and '"pause_s": 0.0' in line for line in lines)


def test_a_crash_is_logged_with_its_traceback_and_the_service_restarted(
    supervisor: Supervisor, log: io.StringIO
) -> None:
    """Raise what nobody expected."""
    service = Scripted([ZeroDivisionError("by nought")])
    supervisor.start("sink", service)
    wait_until(lambda: service.runs == 2)
    supervisor.check()
    assert "service.crashed" in log.getvalue()
    assert "Traceback" in log.getvalue()


def test_a_terminal_failure_ends_the_service_and_is_raised_by_check(supervisor: Supervisor) -> None:
    """Refuse the key: no second run, and whoever waits gets the error itself."""
    error = KeyRefused(401, "API_KEY in .env")
    service = Scripted([error])
    supervisor.start("producer", service)
    with pytest.raises(KeyRefused) as raised:
        supervisor.wait(lambda: False, 30, "nothing")
    assert raised.value is error
    with pytest.raises(KeyRefused):
        supervisor.check()
    supervisor.stop("producer")
    assert service.runs == 1


def test_pauses_grow_and_stay_within_their_bound(log: io.StringIO) -> None:
    """Fail twenty times, with pauses that a stopped service doesn't wait for."""
    pauses: list[float] = []

    class Rng(random.Random):
        """Take the longest pause and remember it."""

        def uniform(self, a: float, b: float) -> float:
            """Return none at all, so that the test needn't wait."""
            pauses.append(b)
            return a * 0

    service = Scripted([FeedLost("closed") for _ in range(20)])
    supervisor = Supervisor(Rng(1), pause_s=0.5, pause_max_s=30)
    supervisor.start("producer", service)
    wait_until(lambda: service.runs == 21)
    supervisor.stop_all()
    assert pauses[:6] == [1, 2, 4, 8, 16, 30]
    assert set(pauses[6:]) == {30}
    assert log.getvalue().count("service.restarts") == 20


def test_a_stop_does_not_wait_for_a_pause_to_end(log: io.StringIO) -> None:
    """Stop a service that is to be restarted in an hour."""
    service = Scripted([FeedLost("closed")])
    supervisor = Supervisor(random.Random(1), pause_s=3_600, pause_max_s=7_200)  # noqa: S311  # spreads restarts
    supervisor.start("producer", service)
    wait_until(lambda: "service.restarts" in log.getvalue())
    supervisor.stop("producer", timeout_s=20)
    assert service.runs == 1


def test_services_stop_one_after_the_other_in_the_order_of_their_start(supervisor: Supervisor) -> None:
    """Start three and stop all: each has ended before the next one is told to."""
    ended: list[str] = []
    names = ["simulator", "producer", "sink"]
    for name in names:
        supervisor.start(name, Scripted(on_end=lambda name=name: ended.append(name)))  # type: ignore[misc]  # mypy infers no default
    supervisor.stop_all()
    assert ended == names
    supervisor.stop_all()
    supervisor.stop("unknown")
    assert ended == names


def test_a_service_that_ended_by_itself_is_not_run_again(supervisor: Supervisor) -> None:
    """Return without being told to: that is no failure."""
    ended = threading.Event()
    service = Scripted(obeys=False, on_end=ended.set)
    supervisor.start("replay", service)
    supervisor.wait(ended.is_set, 30, "the replay")
    supervisor.stop("replay")
    supervisor.check()
    assert service.runs == 1


def test_waiting_ends_with_an_error_that_names_what_was_waited_for(supervisor: Supervisor) -> None:
    """Wait for what never comes."""
    with pytest.raises(ServiceFailed, match="catching up took longer than 0 s; the log says why"):
        supervisor.wait(lambda: False, 0, "catching up", poll_s=0.001)


def test_a_service_that_does_not_stop_is_named(supervisor: Supervisor) -> None:
    """Stop a service that doesn't listen."""
    release = threading.Event()
    supervisor.start("deaf", Scripted(obeys=False, on_end=lambda: wait_until(release.is_set)))
    with pytest.raises(ServiceFailed, match="deaf did not stop within 0 s"):
        supervisor.stop("deaf", timeout_s=0.01)
    release.set()
