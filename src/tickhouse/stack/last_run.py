"""Remember how the last batch went, for `tickhouse status`."""

import os
from pathlib import Path
from typing import Self

import msgspec

__all__ = ["LastRun", "read_last_run", "record_run"]

FILE = "last_run.json"


class LastRun(msgspec.Struct, frozen=True):
    """How the last batch ended, and when the last good one did; UTC epoch microseconds, seconds."""

    finished_us: int
    seconds: float
    error: str | None = None
    succeeded_us: int | None = None

    @classmethod
    def succeeded(cls, now_us: int, seconds: float) -> Self:
        """Return the record of a batch that ended well."""
        return cls(now_us, seconds, None, now_us)

    @classmethod
    def failed(cls, now_us: int, seconds: float, error: str) -> Self:
        """Return the record of a batch that failed."""
        return cls(now_us, seconds, error)


def read_last_run(home: Path) -> LastRun | None:
    """Return how the last batch went; None where there was none, or where its record can't be read."""
    try:
        return msgspec.json.decode((home / FILE).read_bytes(), type=LastRun)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def record_run(home: Path, run: LastRun) -> None:
    """Write down how a batch went; the time of the last good one is kept when one fails."""
    before = read_last_run(home)
    if run.succeeded_us is None and before is not None:
        run = msgspec.structs.replace(run, succeeded_us=before.succeeded_us)
    home.mkdir(parents=True, exist_ok=True)
    draft = home / f".{FILE}.{os.getpid()}"
    draft.write_bytes(msgspec.json.encode(run) + b"\n")
    draft.replace(home / FILE)
