"""What is printed is whole, in every format."""

import csv
import io
import json
import sys
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from tickhouse.cli.output import (
    DataFormat,
    TextFormat,
    err,
    out,
    print_table,
    show_json,
    show_record,
    show_rows,
    table_of,
    write_arrow,
)
from tickhouse.errors import SettingInvalid

LONG = "a value that is longer than a terminal is wide, " * 5
OPENED = datetime(2026, 11, 23, 14, 30, tzinfo=UTC)
DATA = pa.table(
    {
        "symbol": ["IBM", "BINANCE:BTCUSDT"],
        "opened_at": pa.array([OPENED, None], pa.timestamp("us", "UTC")),
        "loaded_at": pa.array([OPENED.replace(tzinfo=None)] * 2, pa.timestamp("us")),
        "trading_date": pa.array([OPENED.date(), None], pa.date32()),
        "open": [182.25, 0.00001234],
        "vwap": [None, 64_123.456789],
        "trades": [1_234_567, 0],
        "is_complete": [True, False],
    }
)


class Terminal(io.TextIOWrapper):
    """A terminal of 80 columns."""

    def __init__(self) -> None:
        super().__init__(io.BytesIO(), encoding="utf-8")

    def isatty(self) -> bool:
        """Say so."""
        return True


@pytest.fixture(autouse=True)
def _narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("FORCE_COLOR", raising=False)


def _cells(printed: str) -> list[list[str]]:
    """Return the cells of each line of a table."""
    lines = (line for line in printed.splitlines() if line.strip() and not line.strip().startswith("─"))
    return [line.split() for line in lines]


def test_a_table_has_every_value_whole_on_a_narrow_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Print what is wider than 80 columns, to a terminal and to a pipe."""
    many = {f"column_{number}": number * 1_000 for number in range(30)} | {"detail": LONG * 30}
    terminal = io.StringIO()
    print_table(table_of([many], list(many)), Console(file=terminal, width=80, force_terminal=True, color_system=None))
    show_rows([many], list(many), TextFormat.TABLE)
    for printed in (terminal.getvalue(), capsys.readouterr().out):
        assert "…" not in printed
        assert (LONG * 30).strip() in printed
        assert all(f"{number},000" in printed for number in range(1, 30))


def test_a_table_shows_values_as_people_read_them(capsys: pytest.CaptureFixture[str]) -> None:
    """Print each kind of value: nothing is '-', booleans are words, fractions stand in line."""
    write_arrow(DATA, DataFormat.TABLE, None)
    assert _cells(capsys.readouterr().out) == [
        ["symbol", "opened_at", "loaded_at", "trading_date", "open", "vwap", "trades", "is_complete"],
        [
            "IBM",
            "2026-11-23",
            "14:30:00",
            "2026-11-23",
            "14:30:00",
            "2026-11-23",
            "182.25000000",
            "-",
            "1,234,567",
            "yes",
        ],
        ["BINANCE:BTCUSDT", "-", "2026-11-23", "14:30:00", "-", "0.00001234", "64,123.4568", "0", "no"],
    ]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0, "0"),
        (100.0, "100"),
        (1.5, "1.5"),
        (-2.25, "-2.25"),
        (0.1, "0.1"),
        (1e-8, "0.00000001"),
        (-0.00012345, "-0.00012345"),
        (1_234_567.891, "1,234,567.891"),
        (7, "7"),
        (1_000, "1,000"),
        (False, "no"),
        (None, "-"),
        ("[red]", "[red]"),
        (date(2026, 11, 23), "2026-11-23"),
    ],
)
def test_a_cell_loses_no_digit_that_matters(value: object, shown: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Print small and large numbers, and text that looks like markup."""
    show_rows([{"value": value}], ["value"], TextFormat.TABLE)
    assert _cells(capsys.readouterr().out) == [["value"], [shown]]


def test_numbers_stand_right_and_words_left() -> None:
    """Look at the columns: a number that is missing leaves them right, booleans are words."""
    rows: list[dict[str, Any]] = [
        {"count": 1, "share": None, "is_well": False, "name": "a"},
        {"count": 2, "share": 0.5, "is_well": False, "name": None},
    ]
    table = table_of(rows, list(rows[0]))
    assert [column.justify for column in table.columns] == ["right", "right", "left", "left"]
    assert [column.justify for column in table_of([], ["count"]).columns] == ["left"]


def test_csv_reads_back_as_it_was(capsys: pytest.CaptureFixture[str]) -> None:
    """Write CSV: no value is nothing, times are ISO 8601 with their zone, numbers keep all digits."""
    write_arrow(DATA, DataFormat.CSV, None)
    first, second = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert first == {
        "symbol": "IBM",
        "opened_at": "2026-11-23T14:30:00Z",
        "loaded_at": "2026-11-23T14:30:00",
        "trading_date": "2026-11-23",
        "open": "182.25",
        "vwap": "",
        "trades": "1234567",
        "is_complete": "true",
    }
    assert (second["opened_at"], second["is_complete"], second["open"]) == ("", "false", "1.234e-05")


def test_json_reads_back_as_it_was(capsys: pytest.CaptureFixture[str]) -> None:
    """Write JSON: null, true and numbers as such, times as ISO 8601."""
    write_arrow(DATA, DataFormat.JSON, None)
    first, second = json.loads(capsys.readouterr().out)
    assert (first["opened_at"], first["trading_date"]) == ("2026-11-23T14:30:00Z", "2026-11-23")
    assert (first["vwap"], first["is_complete"], first["trades"]) == (None, True, 1_234_567)
    assert (second["opened_at"], second["open"]) == (None, 0.00001234)


def test_json_has_other_zones_and_paths_as_text_and_refuses_the_rest(capsys: pytest.CaptureFixture[str]) -> None:
    """Write what isn't JSON's own."""
    there = OPENED.astimezone(timezone(timedelta(hours=-5)))
    show_json({"at": there, "path": Path("a/b")})
    assert json.loads(capsys.readouterr().out) == {"at": "2026-11-23T09:30:00-05:00", "path": "a/b"}
    with pytest.raises(TypeError, match="Decimal"):
        show_json(Decimal(1))


def test_a_record_is_a_line_per_field_or_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    """Print one record for people and for a pipe, each value whole."""
    record = {"rows": 1_000, "is_full": True, "build": None, "detail": "[b]" + LONG * 3}
    show_record(record, TextFormat.TABLE)
    printed = capsys.readouterr().out
    assert _cells(printed)[:3] == [["rows", "1,000"], ["is_full", "yes"], ["build", "-"]]
    assert str(record["detail"]).strip() in printed
    show_record(record, TextFormat.JSON)
    assert json.loads(capsys.readouterr().out) == record


def test_json_rows_have_the_columns_that_were_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    """Leave a column out."""
    show_rows([{"a": 1, "b": 2}], ["b"], TextFormat.JSON)
    assert json.loads(capsys.readouterr().out) == [{"b": 2}]


@pytest.mark.parametrize("fmt", [DataFormat.TABLE, DataFormat.CSV, DataFormat.JSON])
def test_a_file_gets_what_standard_output_would(
    fmt: DataFormat, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Write to both."""
    write_arrow(DATA, fmt, tmp_path / "data")
    assert not capsys.readouterr().out
    write_arrow(DATA, fmt, None)
    assert (tmp_path / "data").read_text(encoding="utf-8") == capsys.readouterr().out


def test_parquet_goes_into_a_file_or_a_pipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write Parquet to both and read it back."""
    write_arrow(DATA, DataFormat.PARQUET, tmp_path / "data.parquet")
    pipe = io.TextIOWrapper(io.BytesIO())
    monkeypatch.setattr(sys, "stdout", pipe)
    write_arrow(DATA, DataFormat.PARQUET, None)
    assert pq.read_table(tmp_path / "data.parquet").equals(DATA)
    assert pq.read_table(pa.BufferReader(pipe.buffer.getvalue())).equals(DATA)


def test_parquet_is_not_thrown_at_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask for Parquet on a terminal: the message says what to do instead."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    with pytest.raises(SettingInvalid, match="--format parquet: is binary; say --output FILE"):
        write_arrow(DATA, DataFormat.PARQUET, None)
    terminal.flush()
    assert terminal.buffer.getvalue() == b""  # type: ignore[attr-defined]  # it is a BytesIO


def test_data_and_complaints_go_to_different_streams(capsys: pytest.CaptureFixture[str]) -> None:
    """Print on both consoles."""
    out.print("data")
    err.print("complaint")
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("data\n", "complaint\n")
