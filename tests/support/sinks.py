"""Run a sink in a thread, and stores that fail on order."""

import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from obstore.store import LocalStore

from tickhouse.errors import StoreAway
from tickhouse.lake import Sink, SinkConfig, Store

__all__ = ["FaultyStore", "SlowStore", "quick", "run_until_it_ends", "running", "sink_of"]

NEVER_S = 3600.0
SETTLE_S = 2.0


class FaultyStore(Store):
    """Fail as many puts as told: before anything is written, or after, as a lost answer does."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        super().__init__(folder.as_uri(), LocalStore(folder), folder)
        self.folder = folder
        self.fail_before = 0
        self.fail_after = 0
        self.fail_looks = 0
        self.puts = 0

    def last_key(self, prefix: str) -> str | None:
        """Fail, or look where a chain ends."""
        if self.fail_looks > 0:
            self.fail_looks -= 1
            raise StoreAway("no connection")
        return super().last_key(prefix)

    def put_new(self, key: str, data: bytes) -> bool:
        """Fail, write, or both."""
        self.puts += 1
        if self.fail_before > 0:
            self.fail_before -= 1
            raise StoreAway("no connection")
        is_new = super().put_new(key, data)
        if self.fail_after > 0:
            self.fail_after -= 1
            raise StoreAway("no answer")
        return is_new


class SlowStore(Store):
    """Take up to `wait_s` before and after each put, so that a kill often falls between put and commit."""

    def __init__(self, folder: Path, wait_s: float, rng: random.Random) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        super().__init__(folder.as_uri(), LocalStore(folder), folder)
        self._wait_s = wait_s
        self._rng = rng

    def put_new(self, key: str, data: bytes) -> bool:
        """Write as the real one does, only slower."""
        time.sleep(self._rng.uniform(0, self._wait_s))
        is_new = super().put_new(key, data)
        time.sleep(self._rng.uniform(0, self._wait_s))
        return is_new


def quick(group: str, **changes: float | str) -> SinkConfig:
    """Return a configuration that flushes soon when idle and is quick in all else."""
    given: dict[str, object] = {"flush_idle_s": 0.2, "flush_age_s": NEVER_S, "session_timeout_s": 6.0}
    return SinkConfig(**(given | {"settle_s": SETTLE_S, "group": group} | changes))  # type: ignore[arg-type]  # by name


def sink_of(bootstrap: str, topic: str, store: Store, config: SinkConfig, topics: Sequence[str] = ()) -> Sink:
    """Return a sink whose chance is seeded."""
    return Sink(bootstrap, topics or [topic], store, config, rng=random.Random(7))  # noqa: S311  # it spreads retries


@contextmanager
def running(sink: Sink) -> Iterator[Callable[[], bool]]:
    """Run a sink until the block ends; yield what tells whether it still runs. Its error is raised at the end."""
    stop = threading.Event()
    errors: list[BaseException] = []

    def run() -> None:
        try:
            sink.run(stop)
        except BaseException as error:  # noqa: BLE001  # raised again in the test's own thread
            errors.append(error)

    thread = threading.Thread(target=run, name="sink")
    thread.start()
    try:
        yield thread.is_alive
    finally:
        stop.set()
        thread.join(60)
        assert not thread.is_alive()
    for error in errors:
        raise error


def run_until_it_ends(sink: Sink, timeout_s: float = 60.0) -> None:
    """Run a sink that has to fail; its error is raised."""
    with running(sink) as is_running:
        deadline = threading.Event()
        for _ in range(int(timeout_s / 0.05)):
            if not is_running():
                break
            deadline.wait(0.05)
        assert not is_running(), "the sink goes on as if nothing were wrong"
