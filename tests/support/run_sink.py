"""Run one sink in a process of its own, to be killed: `python -m tests.support.run_sink '{"bootstrap": …}'`."""

import json
import random
import signal
import sys
import threading
from pathlib import Path

from tests.support.sinks import SlowStore
from tickhouse.lake import Sink, SinkConfig
from tickhouse.log import configure

__all__ = ["main"]


def main(argument: str) -> None:
    """Run a sink until SIGTERM."""
    given = json.loads(argument)
    configure("info", "json")
    rng = random.Random(given["seed"])  # noqa: S311  # it only stretches time
    store = SlowStore(Path(given["lake"]), given["wait_s"], rng)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    Sink(given["bootstrap"], given["topics"], store, SinkConfig(**given["config"])).run(stop)


if __name__ == "__main__":
    main(sys.argv[1])
