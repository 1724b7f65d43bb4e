"""Stamp a state folder with what it holds, so that sources and schemas never mix."""

import os
from pathlib import Path
from typing import get_args

import msgspec

from tickhouse.errors import SettingInvalid, StateMismatch
from tickhouse.settings import Source

__all__ = ["SCHEMA_VERSION", "Stamp", "read_stamp", "stamp_state"]

SCHEMA_VERSION = 1
STAMP_FILE = "state.json"


class Stamp(msgspec.Struct, frozen=True):
    """What a state folder says of itself: the sources that were recorded into it, and its schema version."""

    sources: tuple[Source, ...]
    schema_version: int


def read_stamp(home: Path) -> Stamp | None:
    """Return the stamp of a state folder; None where it has none yet."""
    path = home / STAMP_FILE
    if not path.is_file():
        return None
    try:
        return msgspec.json.decode(path.read_bytes(), type=Stamp)
    except msgspec.DecodeError as error:
        raise StateMismatch(
            f"{path} can't be read ({error}); restore it, or set TICKHOUSE_HOME to a new folder"
        ) from None


def stamp_state(home: Path, source: Source, *, allow_mix: bool = False) -> Stamp:
    """Make the state folder `source`'s own, or refuse it: another schema, or another source without `allow_mix`."""
    if source not in get_args(Source):
        raise SettingInvalid("TICKHOUSE_SOURCE", f"{source!r} is none of {', '.join(get_args(Source))}")
    stamp = read_stamp(home)
    if stamp is not None and stamp.schema_version != SCHEMA_VERSION:
        raise StateMismatch(
            f"{home} has schema version {stamp.schema_version}, this tickhouse writes {SCHEMA_VERSION}: "
            "set TICKHOUSE_HOME to a new folder, or use the tickhouse that made it"
        )
    known = () if stamp is None else stamp.sources
    if source in known:
        return Stamp(known, SCHEMA_VERSION)
    if known and not allow_mix:
        raise StateMismatch(
            f"{home} holds {' and '.join(known)} data, and {source} data was about to be mixed in: "
            "set TICKHOUSE_HOME to a new folder, or say --mix-sources if that is what you want"
        )
    stamp = Stamp((*known, source), SCHEMA_VERSION)
    _write(home, stamp)
    return stamp


def _write(home: Path, stamp: Stamp) -> None:
    home.mkdir(parents=True, exist_ok=True)
    draft = home / f".{STAMP_FILE}.{os.getpid()}"
    draft.write_bytes(msgspec.json.encode(stamp) + b"\n")
    draft.replace(home / STAMP_FILE)
