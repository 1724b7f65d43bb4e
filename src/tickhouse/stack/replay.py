"""Send recordings through the whole real path until all of them is in gold."""

import random
import secrets
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from tickhouse.errors import SettingInvalid
from tickhouse.finnhub import FaultPlan, Recording, Simulator
from tickhouse.kafka import SINK_GROUP, lag
from tickhouse.settings import MAX_SYMBOLS, Settings
from tickhouse.stack import batch, services
from tickhouse.stack.supervisor import Supervisor

__all__ = ["ReplayOptions", "replay"]

STEP_WITHIN_S = 3600.0
DRAIN_WITHIN_S = 300.0
POLL_S = 0.2

Show = Callable[[str, int, int | None], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayOptions:
    """Say how to play: `speed` times market time (None: as fast as it is read), and which faults to inject."""

    speed: float | None = None
    faults: FaultPlan | None = None
    allow_mix: bool = False


def replay(
    given: Settings,
    files: Sequence[Path],
    options: ReplayOptions,
    stop: threading.Event,
    show: Show,
    report: services.Report,
) -> dict[str, Any]:
    """Play `files` and return what became of them; `show` gets the stage, the frames sent and their total."""
    recording = Recording(files)
    if len(recording.symbols) > MAX_SYMBOLS:
        raise SettingInvalid("FILE…", f"{len(recording.symbols)} symbols; one connection takes 1 to {MAX_SYMBOLS}")
    settings = given.model_copy(update={"source": "recording", "symbols": recording.symbols})
    services.stamp(settings, allow_mix=options.allow_mix)
    show("Starting Apache Kafka", 0, None)
    with services.kafka(settings, report) as bootstrap:
        services.prepare(settings, bootstrap)
        _play(settings, bootstrap, recording, options, stop, show)
    if stop.is_set():
        raise KeyboardInterrupt
    show("Building bronze, silver and gold", recording.frame_count, None)
    result = batch.run(settings)
    return {
        "files": len(files),
        "frames_sent": recording.frame_count,
        "trades_sent": recording.trade_count,
        **result.row(),
    }


def _play(
    settings: Settings,
    bootstrap: str,
    recording: Recording,
    options: ReplayOptions,
    stop: threading.Event,
    show: Show,
) -> None:
    supervisor = Supervisor(random.Random())  # noqa: S311  # spreads restarts, guards nothing
    key = SecretStr(secrets.token_hex(16))
    simulator: Simulator = services.make_simulator(
        recording, key.get_secret_value(), speed=options.speed, faults=options.faults
    )

    def wait(until: Callable[[], bool], within_s: float, what: str) -> None:
        supervisor.wait(lambda: stop.is_set() or until(), within_s, what, POLL_S)

    def is_played() -> bool:
        show("Replaying", simulator.frames_sent, recording.frame_count)
        return simulator.caught_up.is_set()

    try:
        supervisor.start("simulator", simulator)
        wait(simulator.ready.is_set, DRAIN_WITHIN_S, "the simulator")
        feed = services.make_feed(
            settings.model_copy(update={"finnhub_ws_url": simulator.url, "finnhub_api_key": key}), bootstrap
        )
        supervisor.start("producer", feed)
        supervisor.start("sink", services.make_sink(settings, bootstrap))
        wait(is_played, STEP_WITHIN_S if options.speed is None else float("inf"), "replaying")
        wait(lambda: feed.stream.frames_received >= simulator.frames_sent, DRAIN_WITHIN_S, "reading the last frames")
        wait(feed.service.drained, DRAIN_WITHIN_S, "producing")
        supervisor.stop("producer")
        wait(lambda: sum(lag(bootstrap, SINK_GROUP, settings.topic).values()) == 0, DRAIN_WITHIN_S, "sinking")
    finally:
        for name in ("producer", "sink", "simulator"):
            supervisor.stop(name)
