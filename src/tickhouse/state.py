"""Stamp a state folder with what it holds, so that sources and schemas never mix."""

import os
from pathlib import Path
from typing import get_args

import msgspec

from tickhouse.errors import SettingInvalid, StateMismatch
from tickhouse.settings import Source

__all__ = ["SCHEMA_VERSION", "Stamp", "adopt_calendar", "check_calendar", "read_stamp", "stamp_state"]

SCHEMA_VERSION = 1
STAMP_FILE = "state.json"


class Stamp(msgspec.Struct, frozen=True):
    """What a state folder says of itself: the sources recorded into it, its schema version, its calendar."""

    sources: tuple[Source, ...]
    schema_version: int
    calendar: str


class _Versioned(msgspec.Struct, frozen=True):
    schema_version: int


def read_stamp(home: Path) -> Stamp | None:
    """Return the stamp of a state folder, None where it has none yet; refuse another schema version."""
    path = home / STAMP_FILE
    if not path.is_file():
        return None
    try:
        found = msgspec.json.decode(path.read_bytes(), type=_Versioned).schema_version
        if found == SCHEMA_VERSION:
            return msgspec.json.decode(path.read_bytes(), type=Stamp)
    except msgspec.DecodeError as error:
        raise StateMismatch(
            f"{path} can't be read ({error}); restore it, or set TICKHOUSE_HOME to a new folder"
        ) from None
    raise StateMismatch(
        f"{home} has schema version {found}, this tickhouse writes {SCHEMA_VERSION}: "
        "set TICKHOUSE_HOME to a new folder, or use the tickhouse that made it"
    )


def stamp_state(home: Path, source: Source, calendar: str, *, allow_mix: bool = False) -> Stamp:
    """Make the state folder `source`'s own; refuse another calendar, and another source unless `allow_mix`."""
    if source not in get_args(Source):
        raise SettingInvalid("TICKHOUSE_SOURCE", f"{source!r} is none of {', '.join(get_args(Source))}")
    stamp = read_stamp(home)
    check_calendar(home, calendar)
    known = () if stamp is None else stamp.sources
    if stamp is not None and source in known:
        return stamp
    if known and not allow_mix:
        raise StateMismatch(
            f"{home} holds {' and '.join(known)} data, and {source} data was about to be mixed in: "
            "set TICKHOUSE_HOME to a new folder, or say --mix-sources if that is what you want"
        )
    stamp = Stamp((*known, source), SCHEMA_VERSION, calendar)
    _write(home, stamp)
    return stamp


def check_calendar(home: Path, calendar: str) -> None:
    """Refuse a calendar other than the one by which the state folder's sessions and bars were made."""
    stamp = read_stamp(home)
    if stamp is not None and stamp.calendar != calendar:
        raise StateMismatch(
            f"{home} has its sessions by calendar {stamp.calendar}, and TICKHOUSE_CALENDAR is {calendar}: "
            f"set it to {stamp.calendar}, or make all bars anew by `tickhouse rebuild`"
        )


def adopt_calendar(home: Path, calendar: str) -> None:
    """Write down that the state folder's sessions follow `calendar` from now on."""
    stamp = read_stamp(home)
    if stamp is not None and stamp.calendar != calendar:
        _write(home, msgspec.structs.replace(stamp, calendar=calendar))


def _write(home: Path, stamp: Stamp) -> None:
    home.mkdir(parents=True, exist_ok=True)
    draft = home / f".{STAMP_FILE}.{os.getpid()}"
    draft.write_bytes(msgspec.json.encode(stamp) + b"\n")
    draft.replace(home / STAMP_FILE)
