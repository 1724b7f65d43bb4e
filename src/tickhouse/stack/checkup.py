"""Check what is configured: where each value was found, what is wrong with it, and the mend."""

import platform
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tickhouse.errors import TickhouseError
from tickhouse.kafka import DLQ_TOPIC, broker_status, end_offsets
from tickhouse.market import ConditionTable
from tickhouse.settings import Settings, found_in, require_key
from tickhouse.stack.lake import open_lake
from tickhouse.state import read_stamp

__all__ = ["Finding", "check_up"]

ENOUGH_DISK_GB = 5


@dataclass(frozen=True, slots=True)
class Finding:
    """What was checked, whether it is well, what was found, and where the setting came from."""

    check: str
    is_well: bool
    found: str
    origin: str


def check_up(settings: Settings) -> list[Finding]:
    """Check all that the services need; nothing is started or changed but a probe object in the lake."""
    checks: list[tuple[str, str, Callable[[Settings], str]]] = [
        ("python", "", lambda _: platform.python_version()),
        ("state folder", "home", _state),
        ("disk", "home", _disk),
        ("finnhub key", "finnhub_api_key", _key),
        ("symbols", "symbols", lambda given: f"{len(given.symbols)}: {', '.join(given.symbols)}"),
        ("calendar", "calendar", lambda given: given.calendar),
        ("trade conditions", "trade_conditions", _conditions),
        ("kafka", "kafka_bootstrap_servers", _kafka),
        ("lake", "lake_url", _lake),
        ("warehouse", "warehouse", lambda given: f"{given.warehouse} in {given.duckdb_path}"),
    ]
    return list(_findings(settings, checks))


def _findings(settings: Settings, checks: list[tuple[str, str, Callable[[Settings], str]]]) -> Iterator[Finding]:
    for name, field, check in checks:
        origin = (found_in(field) or "default") if field else "this machine"
        try:
            yield Finding(name, is_well=True, found=check(settings), origin=origin)
        except (TickhouseError, OSError) as error:
            yield Finding(name, is_well=False, found=str(error), origin=origin)


def _state(settings: Settings) -> str:
    stamp = read_stamp(settings.home)
    return f"{settings.home}, {'new' if stamp is None else 'holds ' + ' and '.join(stamp.sources)}"


def _disk(settings: Settings) -> str:
    folder = next(parent for parent in (settings.home, *settings.home.parents) if parent.exists())
    free_gb = shutil.disk_usage(folder).free / 1e9
    if free_gb < ENOUGH_DISK_GB:
        raise TickhouseError(f"{free_gb:.1f} GB free on {folder}: make room, or set TICKHOUSE_HOME to another disk")
    return f"{free_gb:.0f} GB free"


def _key(settings: Settings) -> str:
    if settings.source != "finnhub":
        return f"not needed for {settings.source} data"
    require_key(settings)
    return "set"


def _conditions(settings: Settings) -> str:
    if settings.trade_conditions is None:
        return "the table that comes with tickhouse"
    return f"{len(ConditionTable.read(settings.trade_conditions).rows)} rows in {settings.trade_conditions}"


def _kafka(settings: Settings) -> str:
    given = settings.kafka_bootstrap_servers
    bootstrap = given or broker_status(settings.home).bootstrap_servers
    if bootstrap is None:
        return "the local one, not running now; a service that needs it starts it"
    end_offsets(bootstrap, DLQ_TOPIC)
    return bootstrap


def _lake(settings: Settings) -> str:
    store = open_lake(settings)
    store.put("probe/doctor", b"tickhouse doctor was here")
    store.delete(["probe/doctor"])
    return f"{settings.lake} can be written"
