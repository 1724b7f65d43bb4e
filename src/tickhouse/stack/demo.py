"""Run the whole house on the synthetic market, under a state folder of its own."""

import random
import secrets
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
from filelock import FileLock, Timeout
from pydantic import SecretStr

from tickhouse.clock import SystemClock
from tickhouse.errors import LockBusy
from tickhouse.kafka import SINK_GROUP, committed, end_offsets, stop_broker
from tickhouse.settings import Settings
from tickhouse.stack import batch, services
from tickhouse.stack.runs import Runs
from tickhouse.stack.summary import Counts, Lags, measure_lags
from tickhouse.stack.supervisor import Supervisor

__all__ = ["DemoOptions", "Summary", "demo_home", "run_demo"]

FIRST_GOLD_WITHIN_S = 300.0
RESUME_FILE = "market.json"
MINUTE_US = 60_000_000
POLL_S = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    """Say how the demo runs; `history_min` is how much of the market before now it starts with."""

    once: bool = False
    reset: bool = False
    history_min: int = 180
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Summary:
    """What stands after a run."""

    counts: Counts
    lags: Lags
    run: batch.RunReport
    home: Path


class _Resume(msgspec.Struct, frozen=True):
    seed: int
    market_us: int


def demo_home(settings: Settings) -> Path:
    """Return the demo's own state folder."""
    return settings.home / "demo"


def run_demo(
    given: Settings,
    options: DemoOptions,
    stop: threading.Event,
    *,
    report: services.Report,
    stage: Callable[[str], None],
    done: Callable[[Summary], None],
) -> None:
    """Run until `stop` is set, or until a first gold stands with `once`; `done` gets a summary after each run.

    `report` gets the progress of the first download, `stage` a line per step.
    """
    home = demo_home(given)
    with _alone(home):
        if options.reset:
            _wipe(home)
        settings = _settings(given, home)
        services.stamp(settings)
        stage("Starting Apache Kafka")
        with services.kafka(settings, report) as bootstrap:
            services.prepare(settings, bootstrap)
            _Demo(settings, options, bootstrap, stop).run(stage, done)


class _Demo:
    def __init__(self, settings: Settings, options: DemoOptions, bootstrap: str, stop: threading.Event) -> None:
        self._options = options
        self._bootstrap = bootstrap
        self._stop = stop
        self._resume_path = settings.home / RESUME_FILE
        source = services.make_source((), options.seed, self._starts_us())
        key = SecretStr(secrets.token_hex(16))
        self._simulator = services.make_simulator(source, key.get_secret_value())
        self._settings = settings.model_copy(update={"finnhub_api_key": key, "symbols": tuple(source.symbols)[:50]})
        self._feed: services.Feed | None = None
        self._supervisor = Supervisor(random.Random(options.seed))  # noqa: S311  # spreads restarts, guards nothing

    def run(self, stage: Callable[[str], None], done: Callable[[Summary], None]) -> None:
        supervisor = self._supervisor
        try:
            stage("Starting the market")
            supervisor.start("simulator", self._simulator)
            self._wait(self._simulator.ready.is_set, "the simulator")
            settings = self._settings.model_copy(update={"finnhub_ws_url": self._simulator.url})
            self._feed = feed = services.make_feed(settings, self._bootstrap)
            supervisor.start("producer", feed)
            supervisor.start("sink", services.make_sink(settings, self._bootstrap))
            stage("Recording the market's last hours")
            self._wait(self._simulator.caught_up.is_set, "catching up with the market")
            self._wait(lambda: feed.stream.frames_received >= self._simulator.frames_sent, "reading the market")
            self._wait(feed.service.drained, "producing")
            so_far = end_offsets(self._bootstrap, settings.topic)
            self._wait(lambda: self._is_in_the_raw_zone(so_far), "writing the raw zone")
            stage("Building bronze, silver and gold")
            if not self._stop.is_set():
                done(self._sum_up(batch.run(settings)))
            if not self._options.once:
                self._live(settings, done)
        finally:
            self._end()

    def _live(self, settings: Settings, done: Callable[[Summary], None]) -> None:
        runs = Runs(settings, lambda report: done(self._sum_up(report)))
        self._stop.wait(settings.run_every_s)
        self._supervisor.start("runs", runs)
        while not self._stop.wait(POLL_S):
            self._supervisor.check()

    def _is_in_the_raw_zone(self, so_far: dict[int, int]) -> bool:
        """Tell whether the sink is past these ends; the market goes on meanwhile, so its lag is never nothing."""
        sunk = committed(self._bootstrap, SINK_GROUP, self._settings.topic)
        return all(sunk.get(partition, 0) >= end for partition, end in so_far.items())

    def _sum_up(self, report: batch.RunReport) -> Summary:
        lags = measure_lags(self._settings, self._bootstrap, report.loaded)
        return Summary(report.counts, lags, report, self._settings.home)

    def _wait(self, until: Callable[[], bool], what: str) -> None:
        self._supervisor.wait(lambda: self._stop.is_set() or until(), FIRST_GOLD_WITHIN_S, what, POLL_S)

    def _end(self) -> None:
        """Stop in the order of the data's way, so that nothing that was produced stays behind."""
        for name in ("runs", "producer", "sink", "simulator"):
            self._supervisor.stop(name)
        if self._feed is not None and self._feed.clock.now_us() > 0:
            resume = _Resume(self._options.seed, self._feed.clock.now_us())
            draft = self._resume_path.with_suffix(".draft")
            draft.write_bytes(msgspec.json.encode(resume))
            draft.replace(self._resume_path)

    def _starts_us(self) -> int:
        """Go on where an earlier demo with this seed ended, if that is within the history that was asked for."""
        now_us = SystemClock().now_us()
        earliest_us = (now_us - self._options.history_min * MINUTE_US) // MINUTE_US * MINUTE_US
        try:
            resume = msgspec.json.decode(self._resume_path.read_bytes(), type=_Resume)
        except (FileNotFoundError, msgspec.DecodeError):  # without it, what comes again is collapsed as repeats
            return earliest_us
        is_ours = resume.seed == self._options.seed and earliest_us <= resume.market_us <= now_us
        return resume.market_us if is_ours else earliest_us


def _settings(given: Settings, home: Path) -> Settings:
    """Leave out whatever would reach beyond the demo's folder."""
    return given.model_copy(
        update={
            "home": home,
            "source": "synthetic",
            "calendar": "24/7",
            "lake_url": None,
            "kafka_bootstrap_servers": None,
            "warehouse": "duckdb",
            "sink_flush_age_s": min(given.sink_flush_age_s, 5.0),
            "sink_flush_idle_s": min(given.sink_flush_idle_s, 1.0),
        }
    )


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    home.parent.mkdir(parents=True, exist_ok=True)
    path = home.parent / "demo.lock"
    try:
        with FileLock(path, timeout=0):
            yield
    except Timeout:
        raise LockBusy(path, 0) from None


def _wipe(home: Path) -> None:
    """Throw the demo's state away, with a broker that an earlier crash may have left in it."""
    stop_broker(home)
    if home.exists():
        shutil.rmtree(home)
