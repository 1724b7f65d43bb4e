"""Kill sinks without a word, at random points, while messages flow."""

import json
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.raw_zone import RecordWriter, read_raw
from tests.support.waiting import wait_until
from tickhouse.kafka import BrokerHandle
from tickhouse.lake import open_store, verify

KILLS = 44
SEED = 20261123
BOTH = 0.15
ROOT = Path(__file__).parents[2]


class KillableSink:
    """One sink in its own process, started again after each kill under the same name.

    Each process cuts its objects at another size: a batch that is tried again never ends where the first one did.
    """

    def __init__(self, name: str, folder: Path, given: dict[str, object], config: dict[str, object]) -> None:
        self._rng = random.Random(name)  # noqa: S311  # sizes must repeat
        self._config = config | {"instance_id": name}
        self._name = name
        self._log = folder / f"{name}.log"
        self._given = given
        self._starts = 0
        self._seen = 0
        self.start()

    def start(self) -> None:
        """Start the process; its log goes on in the same file."""
        self._starts += 1
        self._seen = self._log.stat().st_size if self._log.exists() else 0
        config = self._config | {"flush_rows": self._rng.randrange(20, 200)}
        argument = json.dumps(self._given | {"seed": self._starts, "config": config})
        with self._log.open("ab") as out:
            self.process = subprocess.Popen(  # noqa: S603  # our own module
                [sys.executable, "-m", "tests.support.run_sink", argument], cwd=ROOT, stderr=out, stdout=out
            )

    def events(self, *names: str) -> int:
        """Count what the process that runs now has logged."""
        with self._log.open("rb") as lines:
            lines.seek(self._seen)
            said = lines.read().decode()
        return sum(said.count(f'"event": "{name}"') for name in names)

    def kill(self) -> None:
        """End the process as a power button would."""
        assert self.process.poll() is None, self._log.read_text()[-3000:]
        self.process.kill()
        self.process.wait(10)

    def terminate(self) -> int:
        """Ask the process to end and return its exit code."""
        self.process.terminate()
        return self.process.wait(30)

    def has_done(self, progress: int) -> bool:
        """Tell whether the process has opened partitions and written objects so many times."""
        return self.events("sink.opened", "sink.flushed", "sink.adopted") >= progress


@contextmanager
def two_sinks(folder: Path, given: dict[str, object], config: dict[str, object]) -> Iterator[list[KillableSink]]:
    """Run two sinks of one group; leave none behind."""
    sinks = [KillableSink(name, folder, given, config) for name in ("one", "two")]
    try:
        yield sinks
    finally:
        for sink in sinks:
            if sink.process.poll() is None:
                sink.kill()


def stall(victim: KillableSink, other: KillableSink) -> None:
    """Stop one sink until the group gives its partitions to the other, then let it go on as if nothing had been."""
    wait_until(lambda: victim.has_done(3), 60)
    opened = other.events("sink.opened")
    victim.process.send_signal(signal.SIGSTOP)
    try:
        wait_until(lambda: other.events("sink.opened") > opened, 60)
    finally:
        victim.process.send_signal(signal.SIGCONT)


def kill_at_random(sinks: list[KillableSink], rng: random.Random) -> int:
    """Kill one sink, now and then both, as far on as chance says, and start anew; return how many were killed."""
    victims = sinks if rng.random() < BOTH else [rng.choice(sinks)]
    progress, pause_s = rng.randrange(7), rng.uniform(0, 0.08)
    wait_until(lambda: all(victim.has_done(progress) for victim in victims) or not progress, 60)
    time.sleep(pause_s)  # the random point itself
    for victim in victims:
        victim.kill()
    for victim in victims:
        victim.start()
    return len(victims)


@contextmanager
def flowing(bootstrap: str, topic: str, seed: int) -> Iterator[RecordWriter]:
    """Write records without end from another thread."""
    writer = RecordWriter(bootstrap, topic)
    stop = threading.Event()
    rng = random.Random(seed)  # noqa: S311  # a test's load

    def write() -> None:
        number = 0
        while not stop.wait(0.04):
            for _ in range(rng.randrange(40)):
                number += 1
                writer.send_value(b"%d %d" % (number, rng.getrandbits(64)), rng.randrange(3))
        writer.flush()

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield writer
    finally:
        stop.set()
        thread.join(60)


@pytest.mark.timeout(280)
def test_killed_sinks_hold_each_acknowledged_record_once(kafka: BrokerHandle, topic: str, tmp_path: Path) -> None:
    """Kill two sinks at 44 seeded random points and stall one: the raw zone holds each acknowledged record once."""
    started = time.monotonic()
    rng = random.Random(SEED)  # noqa: S311  # kill points must repeat
    lake = tmp_path / "lake"
    store = open_store(lake.as_uri())
    config: dict[str, object] = {
        "flush_age_s": 0.3,
        "flush_idle_s": 0.15,
        "session_timeout_s": 6.0,
        "group": topic,
    }
    given: dict[str, object] = {
        "bootstrap": kafka.bootstrap_servers,
        "topics": [topic],
        "lake": str(lake),
        "wait_s": 0.02,
    }
    kills = 0
    with two_sinks(tmp_path, given, config) as sinks:
        with flowing(kafka.bootstrap_servers, topic, SEED) as writer:
            while kills < KILLS // 2:
                kills += kill_at_random(sinks, rng)
            stall(*sinks)
            while kills < KILLS:
                kills += kill_at_random(sinks, rng)
        killing_s = time.monotonic() - started
        wait_until(lambda: sum(chain.rows for chain in verify(store, topic).chains) >= len(writer.acked), 60, 0.5)
        assert [sink.terminate() for sink in sinks] == [0, 0]

    report = verify(store, topic)
    assert report.problems == ()
    assert Counter(read_raw(store, topic)) == Counter(writer.acked)
    objects = sum(chain.objects for chain in report.chains)
    adopted = sum(path.read_text().count("sink.adopted") for path in tmp_path.glob("*.log"))
    print(  # noqa: T201  # the figures of this promise
        f"{kills} kills in {killing_s:.0f} s, {len(writer.acked)} records once in {objects} objects, {adopted} adopted"
    )
