"""Make the services from the settings: the feed, the producer, the sink, the simulator and what they stand on."""

import random
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tickhouse.clock import Clock, MarketClock, SystemClock
from tickhouse.finnhub import (
    FaultPlan,
    FeedConfig,
    FeedStream,
    FrameSource,
    Recording,
    Simulator,
    SimulatorConfig,
    SyntheticMarket,
    hold_key,
)
from tickhouse.kafka import (
    DLQ_TOPIC,
    Codec,
    Producer,
    ProducerConfig,
    ProducerService,
    TopicSpec,
    ensure_topics,
    start_broker,
)
from tickhouse.lake import Sink, SinkConfig, Store
from tickhouse.settings import Settings, found_in, require_key
from tickhouse.stack.batch import init_warehouse
from tickhouse.stack.lake import open_lake
from tickhouse.state import stamp_state

__all__ = [
    "DLQ_PARTITIONS",
    "Feed",
    "Report",
    "kafka",
    "make_feed",
    "make_simulator",
    "make_sink",
    "make_source",
    "prepare",
    "prepare_all",
    "stamp",
]

DLQ_PARTITIONS = 1
MINUTE_US = 60_000_000

Report = Callable[[str, int, int], None]


@contextmanager
def kafka(settings: Settings, report: Report | None = None) -> Iterator[str]:
    """Give the configured Kafka's bootstrap servers, or those of the local one, which ends with us if we started it."""
    if settings.kafka_bootstrap_servers is not None:
        yield settings.kafka_bootstrap_servers
        return
    with start_broker(settings.home, settings.cache, attached=True, progress=report) as broker:
        yield broker.bootstrap_servers


def prepare(settings: Settings, bootstrap: str) -> list[str]:
    """Create the topics that are missing, and return their names."""
    hours = settings.topic_retention_hours
    return ensure_topics(
        bootstrap,
        [
            TopicSpec(settings.topic, settings.topic_partitions, hours),
            TopicSpec(DLQ_TOPIC, DLQ_PARTITIONS, hours),
        ],
    )


def stamp(settings: Settings, *, allow_mix: bool = False) -> None:
    """Make the state folder the configured source's own, or refuse it."""
    stamp_state(settings.home, settings.source, settings.calendar, allow_mix=allow_mix)


class Feed:
    """Carry Finnhub's feed into Kafka; it alone holds the key's connection on this machine."""

    def __init__(self, settings: Settings, bootstrap: str) -> None:
        self._cache = settings.cache
        self._key = require_key(settings)
        is_market = settings.source != "finnhub"
        self.clock: Clock = MarketClock() if is_market else SystemClock()
        config = FeedConfig(
            url=settings.finnhub_ws_url,
            symbols=settings.symbols,
            market_time=is_market,
            key_found_in=found_in("finnhub_api_key") or "the settings",
        )
        rng = random.Random()  # noqa: S311  # spreads reconnections, guards nothing
        self.stream = FeedStream(config, self._key, self.clock, rng)
        producer = Producer(
            ProducerConfig(bootstrap_servers=bootstrap, buffer_records=settings.producer_buffer_records)
        )
        self.service = ProducerService(self.stream, Codec(settings.topic, DLQ_TOPIC, settings.source), producer)

    def run(self, stop: threading.Event) -> None:
        """Record until `stop` is set; raise LockBusy where another process has the key's connection."""
        with hold_key(self._cache, self._key):
            self.service.run(stop)


def make_feed(settings: Settings, bootstrap: str) -> Feed:
    """Return the service that carries the feed into Kafka."""
    return Feed(settings, bootstrap)


def make_sink(settings: Settings, bootstrap: str, store: Store | None = None) -> Sink:
    """Return the service that writes both topics into the raw zone."""
    config = SinkConfig(
        flush_rows=settings.sink_flush_rows,
        flush_bytes=settings.sink_flush_bytes,
        flush_age_s=settings.sink_flush_age_s,
        flush_idle_s=settings.sink_flush_idle_s,
    )
    lake = open_lake(settings) if store is None else store
    return Sink(bootstrap, (settings.topic, DLQ_TOPIC), lake, config)


def make_source(recordings: Sequence[Path], seed: int, starts_us: int) -> FrameSource:
    """Return the recordings as one market, or the synthetic one from `starts_us` on."""
    return Recording(recordings) if recordings else SyntheticMarket(seed, starts_us)


def make_simulator(
    source: FrameSource, key: str, port: int = 0, speed: float | None = None, faults: FaultPlan | None = None
) -> Simulator:
    """Return the server that plays a source on loopback to whoever has `key`."""
    plan = FaultPlan() if faults is None else faults
    return Simulator(source, SimulatorConfig(port=port, keys=(key,), speed=speed, faults=plan))


def prepare_all(settings: Settings, report: Report) -> list[tuple[str, str]]:
    """Create topics and warehouse tables where they are missing; return what there is, and where."""
    with kafka(settings, report) as bootstrap:
        prepare(settings, bootstrap)
    path = init_warehouse(settings)
    return [
        (f"topic {settings.topic}", f"{settings.topic_partitions} partitions"),
        (f"topic {DLQ_TOPIC}", f"{DLQ_PARTITIONS} partition"),
        ("lake", open_lake(settings).url),
        ("warehouse", str(path)),
    ]
