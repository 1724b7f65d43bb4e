"""Write rows the way a caller wants them: a table for people, CSV and JSON for pipes, Parquet for tools."""

import csv
import json
import sys
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, TextIO, TypeGuard

import pyarrow as pa
import pyarrow.parquet as pq
from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from tickhouse.errors import SettingInvalid

__all__ = [
    "DataFormat",
    "TextFormat",
    "err",
    "out",
    "print_table",
    "show_json",
    "show_record",
    "show_rows",
    "table_of",
    "write_arrow",
]

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

WIDEST = 100_000
COARSE_DIGITS, FINE_DIGITS = 4, 8  # a coin may be traded at a hundred-millionth

Row = Mapping[str, Any]


class TextFormat(StrEnum):
    """How a report is written."""

    TABLE = "table"
    JSON = "json"


class DataFormat(StrEnum):
    """How rows of data are written."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"
    PARQUET = "parquet"


def table_of(rows: Sequence[Row], columns: Sequence[str], title: str | None = None) -> Table:
    """Return a table for people; numbers stand right."""
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        numeric = bool(rows) and all(_is_number(row[column]) for row in rows)
        table.add_column(column, justify="right" if numeric else "left", no_wrap=True)
    cells = [_aligned([row[column] for row in rows]) for column in columns]
    for row in zip(*cells, strict=True):
        table.add_row(*(Text(cell) for cell in row))  # as text, brackets are no markup
    return table


def show_rows(rows: Sequence[Row], columns: Sequence[str], fmt: TextFormat, title: str | None = None) -> None:
    """Print rows as a table or as JSON."""
    if fmt is TextFormat.JSON:
        show_json([{column: row[column] for column in columns} for row in rows])
    else:
        print_table(table_of(rows, columns, title), out)


def show_record(record: Row, fmt: TextFormat) -> None:
    """Print one record: a line per field for people, an object in JSON."""
    if fmt is TextFormat.JSON:
        show_json(record)
        return
    table = Table(box=None, show_header=False, pad_edge=False)
    for name, value in record.items():
        table.add_row(name, Text(_cell(value)))
    print_table(table)


def print_table(table: Table, console: Console = out) -> None:
    """Print a table as wide as it is: a terminal may wrap its lines, but no value is cut."""
    width = Measurement.get(console, console.options.update_width(WIDEST), table).maximum
    Console(file=console.file, width=width, force_terminal=console.is_terminal, highlight=False).print(table)


def show_json(value: object) -> None:
    """Print a value as indented JSON, times as ISO 8601 in UTC."""
    sys.stdout.write(json.dumps(value, indent=2, default=_plain) + "\n")


def write_arrow(data: pa.Table, fmt: DataFormat, path: Path | None) -> None:
    """Write an Arrow table to `path`, or to standard output where there is none."""
    if fmt is DataFormat.PARQUET:
        _write_parquet(data, path)
    elif path is None:
        _write_text(data, fmt, sys.stdout)
    else:
        with path.open("w", encoding="utf-8", newline="") as file:
            _write_text(data, fmt, file)


def _write_text(data: pa.Table, fmt: DataFormat, file: TextIO) -> None:
    rows = data.to_pylist()
    if fmt is DataFormat.TABLE:
        console = out if file is sys.stdout else Console(file=file, highlight=False)
        print_table(table_of(rows, data.column_names), console)
    elif fmt is DataFormat.JSON:
        file.write(json.dumps(rows, indent=2, default=_plain) + "\n")
    else:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(data.column_names)
        writer.writerows([_csv_value(value) for value in row.values()] for row in rows)


def _is_number(value: object) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _write_parquet(data: pa.Table, path: Path | None) -> None:
    if path is not None:
        pq.write_table(data, path, compression="zstd")
    elif sys.stdout.isatty():
        raise SettingInvalid("--format parquet", "is binary; say --output FILE, or send it into a pipe")
    else:
        pq.write_table(data, pa.PythonFile(sys.stdout.buffer, mode="w"), compression="zstd")


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, date | Path):
        return str(value)
    raise TypeError(type(value).__name__)


def _csv_value(value: object) -> object:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return _plain(value) if isinstance(value, datetime | date) else value


def _aligned(values: Sequence[object]) -> list[str]:
    """Return the cells of one column; fractions all get as many digits as the longest of them needs."""
    cells = [_cell(value) for value in values]
    digits = max(
        (len(cell.partition(".")[2]) for cell, value in zip(cells, values, strict=True) if _is_float(value)), default=0
    )
    return [f"{value:,.{digits}f}" if _is_float(value) else cell for cell, value in zip(cells, values, strict=True)]


def _is_float(value: object) -> TypeGuard[float]:
    return isinstance(value, float)


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, float):
        return f"{value:,.{COARSE_DIGITS if abs(value) >= 1 else FINE_DIGITS}f}".rstrip("0").rstrip(".")
    return f"{value:,}" if isinstance(value, int) else str(value)
