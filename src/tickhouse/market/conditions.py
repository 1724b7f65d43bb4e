"""Decide which print may set which field of a bar, by its condition codes."""

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import NoReturn

from tickhouse.errors import ConditionTableInvalid
from tickhouse.market.types import SessionName

__all__ = ["COLUMNS", "ConditionRow", "ConditionTable", "Flags", "load_default"]

COLUMNS = ("code", "name", "session", "updates_last", "updates_high_low", "updates_volume")
DEFAULT_NAME = "trade_conditions.csv"
CACHED_COMBINATIONS = 8_192  # a day of the whole tape has a few hundred
_HALVES = {"regular": "extended", "extended": "regular"}
_HALF_OF = {SessionName.REGULAR: "regular", SessionName.PRE: "extended", SessionName.POST: "extended"}


@dataclass(frozen=True, slots=True)
class Flags:
    """What one print may do: set open and close, set high and low, add volume."""

    last: bool
    high_low: bool
    volume: bool

    def __and__(self, other: "Flags") -> "Flags":
        """Combine two codes of one print: it may do only what both allow."""
        return Flags(self.last and other.last, self.high_low and other.high_low, self.volume and other.volume)

    @property
    def counts(self) -> bool:
        """Tell whether the print touches its bar at all."""
        return self.last or self.high_low or self.volume


UNRESTRICTED = Flags(last=True, high_low=True, volume=True)
VOLUME_ONLY = Flags(last=False, high_low=False, volume=True)
NOTHING = Flags(last=False, high_low=False, volume=False)


@dataclass(frozen=True, slots=True)
class ConditionRow:
    """One line of the table; `session` is any, regular or extended (pre and post)."""

    code: str
    name: str
    session: str
    updates_last: bool
    updates_high_low: bool
    updates_volume: bool

    @property
    def flags(self) -> Flags:
        """Return what a print with this code may do in this session."""
        return Flags(self.updates_last, self.updates_high_low, self.updates_volume)


class ConditionTable:
    """Say what a print's codes allow.

    `rows` is whole: a code has one `any` row, or a `regular` and an `extended` one. Where a file gives one half only,
    the other half doesn't restrict. Build it with `load_default`, `ConditionTable.read` or `ConditionTable.parse`.
    """

    def __init__(self, rows: Iterable[ConditionRow]) -> None:
        self.rows = tuple(_with_both_halves(rows))
        self._by_code = {(row.code, row.session): row.flags for row in self.rows}
        self._codes = frozenset(row.code for row in self.rows)
        self._combined = lru_cache(CACHED_COMBINATIONS)(self._combine)

    @classmethod
    def read(cls, path: Path) -> "ConditionTable":
        """Read a table from a CSV file; raise ConditionTableInvalid with line and column where it is bad."""
        try:
            content = path.read_bytes()
        except OSError as error:
            raise ConditionTableInvalid(str(path), 1, COLUMNS[0], f"can't be read: {error.strerror}") from error
        return cls.parse(content, str(path))

    @classmethod
    def parse(cls, content: bytes, path: str) -> "ConditionTable":
        """Read a table from the bytes of a CSV file; `path` is what errors call it."""
        return cls(_Reader(content, path).rows())

    def flags(self, codes: tuple[str, ...], session: SessionName) -> Flags:
        """Return what a print with these codes may do in its session; outside of all sessions that is nothing."""
        return self._combined(codes, session)

    def unknown(self, codes: Iterable[str]) -> tuple[str, ...]:
        """Return the codes that the table doesn't have."""
        return tuple(code for code in codes if code not in self._codes)

    def _combine(self, codes: tuple[str, ...], session: SessionName) -> Flags:
        half = _HALF_OF.get(session)
        if half is None:
            return NOTHING
        combined = UNRESTRICTED
        for code in codes:
            combined &= self._by_code.get((code, "any")) or self._by_code.get((code, half), VOLUME_ONLY)
        return combined


@lru_cache(1)
def load_default() -> ConditionTable:
    """Return the table that comes with Tickhouse."""
    return ConditionTable.parse((resources.files("tickhouse.market") / DEFAULT_NAME).read_bytes(), DEFAULT_NAME)


def _with_both_halves(rows: Iterable[ConditionRow]) -> Iterator[ConditionRow]:
    given = list(rows)
    present = {(row.code, row.session) for row in given}
    for row in given:
        yield row
        other = _HALVES.get(row.session)
        if other is not None and (row.code, other) not in present:
            yield ConditionRow(row.code, row.name, other, updates_last=True, updates_high_low=True, updates_volume=True)


class _Reader:
    """Check a table cell by cell, so that a person who edits it is told the line and the column."""

    def __init__(self, content: bytes, path: str) -> None:
        self._path = path
        self._line = 1
        self._records = csv.reader(io.StringIO(self._decoded(content), newline=""), strict=True)

    def rows(self) -> list[ConditionRow]:
        positions = self._header(self._next())
        rows: list[ConditionRow] = []
        seen: dict[str, set[str]] = {}
        while (cells := self._next()) is not None:
            row = self._row(cells, positions)
            self._check_unique(row, seen.setdefault(row.code, set()))
            rows.append(row)
        if not rows:
            self._refuse("code", "the table has no rows")
        return rows

    def _refuse(self, column: str, problem: str) -> NoReturn:
        raise ConditionTableInvalid(self._path, self._line, column, problem)

    def _decoded(self, content: bytes) -> str:
        try:
            return content.decode("utf-8-sig")  # spreadsheets write the byte order mark
        except UnicodeDecodeError as error:
            before = content[: error.start]
            self._line = before.count(b"\n") + 1
            cell = before.rpartition(b"\n")[2].count(b",")
            self._refuse(COLUMNS[min(cell, len(COLUMNS) - 1)], "is not UTF-8; save the file as UTF-8")

    def _next(self) -> list[str] | None:
        """Return the next record's stripped cells, without blank lines; None at the end."""
        while True:
            self._line = self._records.line_num + 1
            try:
                cells = next(self._records, None)
            except csv.Error as error:
                self._refuse("code", f"is not CSV: {error}")
            if cells is None or any(cell.strip() for cell in cells):
                return None if cells is None else [cell.strip() for cell in cells]

    def _header(self, cells: list[str] | None) -> dict[str, int]:
        expected = f"the header is {','.join(COLUMNS)}"
        if cells is None:
            self._refuse("code", f"the file is empty; {expected}")
        for name in cells:
            if name not in COLUMNS:
                self._refuse(name or "(no name)", f"is not a column of this table; {expected}")
            if cells.count(name) > 1:
                self._refuse(name, f"stands twice in the header; {expected}")
        for name in COLUMNS:
            if name not in cells:
                self._refuse(name, f"is missing; {expected}")
        return {name: cells.index(name) for name in COLUMNS}

    def _row(self, cells: list[str], positions: dict[str, int]) -> ConditionRow:
        if len(cells) > len(COLUMNS):
            self._refuse(str(len(COLUMNS) + 1), f"the line has {len(cells)} values, the header {len(COLUMNS)}")
        values = {name: cells[at] if at < len(cells) else "" for name, at in positions.items()}
        if not values["code"]:
            self._refuse("code", "is empty")
        if values["session"] not in {"any", *_HALVES}:
            self._refuse("session", f"{values['session']!r} is not one of any, regular, extended")
        last, high_low, volume = (self._boolean(name, values[name]) for name in COLUMNS[3:])
        if last and not high_low:
            self._refuse("updates_high_low", "must be true where updates_last is: a close never lies above the high")
        return ConditionRow(values["code"], values["name"], values["session"], last, high_low, volume)

    def _boolean(self, column: str, text: str) -> bool:
        if text.lower() not in {"true", "false"}:  # spreadsheets write them in capitals
            self._refuse(column, f"{text!r} is neither true nor false")
        return text.lower() == "true"

    def _check_unique(self, row: ConditionRow, sessions: set[str]) -> None:
        if row.session in sessions:
            self._refuse("session", f"code {row.code} has a line for {row.session} already")
        sessions.add(row.session)
        if "any" in sessions and len(sessions) > 1:
            self._refuse("session", f"code {row.code} has a line for any: give it that one, or regular and extended")
