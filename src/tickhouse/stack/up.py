"""Run producer, sink and the minute runs together."""

import random
import threading

from tickhouse.settings import Settings
from tickhouse.stack import services
from tickhouse.stack.runs import Runs
from tickhouse.stack.supervisor import Supervisor

__all__ = ["run_stack"]

POLL_S = 0.2


def run_stack(settings: Settings, bootstrap: str, stop: threading.Event, *, with_runs: bool) -> None:
    """Run the services until `stop` is set; raise what ended one of them for good."""
    services.prepare(settings, bootstrap)
    supervisor = Supervisor(random.Random())  # noqa: S311  # spreads restarts, guards nothing
    try:
        supervisor.start("producer", services.make_feed(settings, bootstrap))
        supervisor.start("sink", services.make_sink(settings, bootstrap))
        if with_runs:
            supervisor.start("runs", Runs(settings))
        while not stop.wait(POLL_S):
            supervisor.check()
    finally:
        supervisor.stop_all()
