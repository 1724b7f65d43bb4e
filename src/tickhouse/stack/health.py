"""Say how each layer is: how far it is behind, how old, and how the last batch went."""

from dataclasses import dataclass

from tickhouse.clock import SystemClock
from tickhouse.errors import TransientError
from tickhouse.kafka import SINK_GROUP, broker_status, end_offsets, lag
from tickhouse.settings import Settings
from tickhouse.stack.lake import open_lake
from tickhouse.stack.last_run import read_last_run
from tickhouse.state import read_stamp
from tickhouse.warehouse import Manifest, read_manifest

__all__ = ["Layer", "status"]


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer's health; `behind` is in records, `age_s` the time since it last moved, None where it isn't known."""

    layer: str
    is_well: bool
    behind: int | None
    age_s: float | None
    detail: str


def status(settings: Settings) -> list[Layer]:
    """Look at each layer without waking or locking any of them."""
    now_us = SystemClock().now_us()
    manifest = read_manifest(open_lake(settings))
    bootstrap = settings.kafka_bootstrap_servers or broker_status(settings.home).bootstrap_servers
    return [_state(settings), *_kafka(settings, bootstrap, manifest), _gold(manifest, now_us), _runs(settings, now_us)]


def _state(settings: Settings) -> Layer:
    stamp = read_stamp(settings.home)
    held = "nothing yet" if stamp is None else " and ".join(stamp.sources)
    return Layer("state", is_well=True, behind=None, age_s=None, detail=f"{settings.home} holds {held}")


def _kafka(settings: Settings, bootstrap: str | None, manifest: Manifest | None) -> list[Layer]:
    if bootstrap is None:
        return [Layer("kafka", is_well=False, behind=None, age_s=None, detail="not running; `tickhouse kafka start`")]
    try:
        ends = end_offsets(bootstrap, settings.topic)
        behind = sum(lag(bootstrap, SINK_GROUP, settings.topic).values())
    except TransientError as error:
        return [Layer("kafka", is_well=False, behind=None, age_s=None, detail=str(error))]
    loaded = {} if manifest is None else manifest.next_offsets.get(settings.topic, {})
    unpublished = sum(max(end - loaded.get(partition, 0), 0) for partition, end in ends.items())
    return [
        Layer("kafka", is_well=True, behind=None, age_s=None, detail=f"{sum(ends.values()):,} records at {bootstrap}"),
        Layer("raw zone", is_well=True, behind=behind, age_s=None, detail=settings.lake),
        Layer("warehouse", is_well=True, behind=unpublished, age_s=None, detail="records that gold doesn't have yet"),
    ]


def _gold(manifest: Manifest | None, now_us: int) -> Layer:
    if manifest is None:
        return Layer("gold", is_well=False, behind=None, age_s=None, detail="no snapshot yet; `tickhouse run`")
    age_s = (now_us - manifest.published_us) / 1e6
    return Layer("gold", is_well=True, behind=None, age_s=age_s, detail=f"snapshot {manifest.publish_id}")


def _runs(settings: Settings, now_us: int) -> Layer:
    last = read_last_run(settings.home)
    if last is None:
        return Layer("runs", is_well=False, behind=None, age_s=None, detail="none yet; `tickhouse run`")
    age_s = None if last.succeeded_us is None else (now_us - last.succeeded_us) / 1e6
    detail = last.error or f"the last took {last.seconds:.1f} s"
    return Layer("runs", is_well=last.error is None, behind=None, age_s=age_s, detail=detail)
