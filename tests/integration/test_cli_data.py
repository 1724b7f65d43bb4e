"""The commands that make gold and read it say what is there, in every format."""

import csv
import io
import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.support.command_line import CommandLine
from tests.support.recorded import add_minute
from tickhouse.lake import open_store
from tickhouse.warehouse import open_snapshot

OPENED = ["14:30", "14:31", "14:32", "14:33", "14:34", "14:35"]


def test_candles_are_the_same_in_every_format(gold: CommandLine, tmp_path: Path) -> None:
    """Print six minutes as table, CSV, JSON and Parquet, and into a file."""
    table = gold("candles", "ibm").out
    assert re.findall(r"2026-11-23 (\d\d:\d\d):00", table) == OPENED
    rows = gold("candles", "IBM", "--format", "json").json()
    assert [row["opened_at"] for row in rows] == [f"2026-11-23T{time}:00Z" for time in OPENED]
    first = {"open": 100.01, "high": 100.4, "low": 100.01, "close": 100.4, "volume": 30.0, "trades": 3}
    assert {name: rows[0][name] for name in first} == first
    printed = gold("candles", "IBM", "--format", "csv").out
    assert [float(row["close"]) for row in csv.DictReader(io.StringIO(printed))] == [row["close"] for row in rows]
    piped = pq.read_table(io.BytesIO(gold("candles", "IBM", "--format", "parquet").raw))
    assert piped.column("close").to_pylist() == [row["close"] for row in rows]
    for fmt in ("table", "csv", "json", "parquet"):
        said = gold("candles", "IBM", "--format", fmt, "--output", tmp_path / fmt)
        assert (said.out, said.err) == ("", "")
    assert (tmp_path / "csv").read_text(encoding="utf-8") == printed
    assert pq.read_table(tmp_path / "parquet").equals(piped)


@pytest.mark.parametrize(
    ("words", "opened"),
    [
        ("--last 2", OPENED[-2:]),
        ("--last 99", OPENED),
        ("--from 2026-11-23T14:34", OPENED[4:]),
        ("--from 2026-11-23T09:34-05:00 --to 2026-11-23T14:35Z", OPENED[4:5]),
        ("--to 2026-11-23", []),
        ("--from 20261124", []),
        ("--interval 5m --session all", ["14:30", "14:35"]),
        ("--interval 1d", ["14:30"]),
        ("--session pre", []),
    ],
)
def test_candles_can_be_narrowed(words: str, opened: list[str], gold: CommandLine) -> None:
    """Ask for a part of them; times without a zone are UTC."""
    rows = gold("candles", "IBM", "--format", "json", *words.split()).json()
    assert [row["opened_at"][11:16] for row in rows] == opened


def test_a_symbol_without_bars_is_told_which_have_some(gold: CommandLine) -> None:
    """Ask for a symbol that was never recorded: no row, exit 0, and a hint beside the data."""
    said = gold("candles", "[red]x", "--format", "json")
    assert said.json() == []
    assert said.complaint() == "no regular 1m bars of [RED]X in that time; symbols with bars: AAPL, IBM"


def test_parquet_is_not_thrown_at_a_terminal(gold: CommandLine) -> None:
    """Ask for a binary format on a terminal."""
    said = gold("candles", "IBM", "--format", "parquet", expect=1, on_terminal=True)
    assert said.complaint() == "error: --format parquet: is binary; say --output FILE, or send it into a pipe"


def test_a_file_that_cannot_be_written_is_one_line(gold: CommandLine, tmp_path: Path) -> None:
    """Write into a folder that isn't there."""
    missing = tmp_path / "missing" / "bars"
    for fmt in ("csv", "parquet"):
        complaint = gold("candles", "IBM", "--format", fmt, "--output", missing, expect=1).complaint()
        assert complaint.startswith("error: ")
        assert str(missing) in complaint


def test_gaps_say_when_and_why(gold: CommandLine, tmp_path: Path) -> None:
    """Find the minute in which AAPL's feed said nothing, and none for IBM."""
    (gap,) = gold("gaps", "--format", "json").json()
    assert (gap["symbol"], gap["from_at"], gap["to_at"], gap["seconds"]) == (
        "AAPL",
        "2026-11-23T14:33:00Z",
        "2026-11-23T14:34:00Z",
        60.0,
    )
    assert gold("gaps", "aapl", "--from", "2026-11-23T14:34", "--format", "csv").out.count("\n") == 1
    said = gold("gaps", "IBM", "--output", tmp_path / "gaps")
    assert said.complaint() == "no gaps: the feed was recorded without a break in that time"
    assert "no sign of life" in gold("gaps").out


def test_steps_with_nothing_to_do_say_so(empty: CommandLine) -> None:
    """Load, publish and look where nothing was ever recorded."""
    loaded = empty("load", "--format", "json").json()
    assert (loaded["load_id"], loaded["objects"], loaded["rows"]) == (None, 0, 0)
    assert not empty("publish", "--format", "json").json()["is_new"]
    assert "no gold snapshot" in empty("candles", "IBM", expect=1).complaint()


def test_steps_alone_carry_a_new_object_into_the_snapshot(changing: CommandLine) -> None:
    """Record one more minute, then load, transform and publish it by hand."""
    add_minute(changing.home)
    loaded = changing("load", "--format", "json").json()
    assert (loaded["objects"], loaded["rows"], loaded["rejects"]) == (1, 4, 0)
    nodes = {row["name"]: row for row in changing("transform", "--format", "json").json()}
    assert nodes["silver_trades"]["rows"] == 3
    assert changing("transform", "--format", "json").json() == []
    assert changing("publish", "--format", "json").json()["is_new"]
    assert not changing("publish", "--format", "json").json()["is_new"]
    rows = changing("candles", "IBM", "--format", "json").json()
    assert [row["opened_at"][11:16] for row in rows] == [*OPENED, "14:36"]
    assert "objects" in changing("run").out


def test_a_hole_in_the_raw_zone_is_found_by_verify_and_stops_a_run(changing: CommandLine) -> None:
    """Prove the lake whole, lose an object, and prove it again."""
    assert [row["is_whole"] for row in changing("lake", "verify", "--format", "json").json()] == [True, True]
    store = open_store((changing.home / "lake").as_uri())
    lost = sorted(found.key for found in store.list("raw/"))[1]
    store.delete([lost])
    said = changing("lake", "verify", expect=1)
    assert said.complaint().startswith("hole: offsets 4 to 7 are missing before raw/stocks-topic/00000/")
    complaint = changing("rebuild", expect=1).err.splitlines()[-1]
    assert complaint.startswith("error: hole in the raw zone: stocks-topic partition 0 should go on at offset 4")
    assert open_snapshot(store).symbols() == ("AAPL", "IBM")


def test_a_rebuild_reports_as_a_run_does(changing: CommandLine) -> None:
    """Rebuild from the raw zone."""
    row = changing("rebuild", "--format", "json").json()
    assert (row["is_full"], row["objects"], row["rows"]) == (True, 11, 44)


def test_an_empty_lake_is_whole(empty: CommandLine) -> None:
    """Verify where nothing was recorded."""
    said = empty("lake", "verify", "--format", "json")
    assert said.json() == []
    assert said.complaint() == "the raw zone holds nothing yet"
