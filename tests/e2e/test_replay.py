"""Send real ticks through the whole path by the command line, and hold the result against the vendor's bars."""

import csv
import io
import json
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest

from tests.support.commands import start, tickhouse
from tests.support.conditions import write_vendor_2013
from tests.support.gold import ask, gold_rows
from tests.support.recordings import NAMES, read_trades, read_vendor_bars
from tests.support.waiting import wait_until
from tickhouse.market import market_calendar

EACH, OVERALL = 0.985, 0.99


@dataclass(frozen=True, slots=True)
class Replayed:
    """A state folder into which recordings were replayed, and the environment that it was done in."""

    home: Path
    files: tuple[Path, ...]
    extra: dict[str, str]


@pytest.fixture(scope="module")
def all_five(recordings: Path, tmp_path_factory: pytest.TempPathFactory) -> Replayed:
    """Replay all recordings at once, with the condition table that fits their vendor."""
    root = tmp_path_factory.mktemp("replay")
    files = tuple(recordings / f"{name}.frames.jsonl.gz" for name in NAMES)
    extra = {"TICKHOUSE_TRADE_CONDITIONS": str(write_vendor_2013(root))}
    tickhouse("replay", *files, home=root / "state", extra=extra, timeout_s=600)
    return Replayed(root / "state", files, extra)


def test_every_distinct_trade_of_the_recordings_is_in_silver_once(all_five: Replayed) -> None:
    """Count prints by identity in the files and in silver: none lost, none doubled."""
    recorded = Counter(
        (trade.symbol, trade.ts_ms, trade.price, trade.volume, ",".join(sorted(trade.conditions)), trade.occurrence)
        for path in all_five.files
        for trade in read_trades(path)
    )
    silver = ask(all_five.home, "select symbol, count(*), sum(volume) from silver.silver_trades group by symbol")
    by_symbol = Counter(identity[0] for identity in recorded)
    volumes = {name: sum(identity[3] for identity in recorded if identity[0] == name) for name in by_symbol}
    assert {symbol: count for symbol, count, _ in silver} == by_symbol
    assert {symbol: volume for symbol, _, volume in silver} == volumes
    assert ask(all_five.home, "select count(*) from silver.silver_rejects") == [(0,)]
    print(f"\n{len(recorded):,} distinct trades in the files, as many in silver")  # noqa: T201  # the figure is asked for


def test_minute_bars_agree_with_the_vendors(all_five: Replayed, recordings: Path) -> None:
    """Compare all five fields of each regular-session minute with the vendor's own bars, as the CLI prints ours."""
    calendar = market_calendar("XNYS")
    agreed = Counter[str]()
    expected = Counter[str]()
    ours = {symbol: _printed_bars(all_five, symbol) for symbol in ("AIG", "IBM", "SPY")}
    for name in NAMES:
        bars = read_vendor_bars(recordings / f"{name}.minute-bars.csv")
        regular = {at: bar for at, bar in bars.items() if calendar.locate(at).name == "regular"}
        expected[name] = len(regular)
        agreed[name] = sum(
            ours[name[:3]].get(at) == (bar.open, bar.high, bar.low, bar.close, bar.volume)
            for at, bar in regular.items()
        )
    for name in NAMES:
        share = agreed[name] / expected[name]
        print(f"\n{name}: {agreed[name]} of {expected[name]} regular minutes agree, {share:.2%}", end="")  # noqa: T201  # the figure is asked for
    print(f"\nall: {agreed.total()} of {expected.total()}, {agreed.total() / expected.total():.2%}")  # noqa: T201  # the same
    assert all(agreed[name] / expected[name] >= EACH for name in NAMES)
    assert agreed.total() / expected.total() >= OVERALL


def test_a_recording_without_a_break_leaves_no_gap_and_only_complete_bars(all_five: Replayed) -> None:
    """Find no gap but the nights between recorded days, and no incomplete minute."""
    gaps = json.loads(tickhouse("gaps", "SPY", "--format", "json", home=all_five.home).stdout)
    assert gaps == []
    incomplete = ask(
        all_five.home,
        "select count(*) from gold.candlesticks where symbol = 'SPY' and interval = '1m' and not is_complete",
    )
    assert incomplete == [(0,)]


def test_a_second_replay_changes_no_bar(all_five: Replayed) -> None:
    """Replay a file again: not even the column that says which build wrote a bar moves."""
    before = gold_rows(all_five.home, "candlesticks", with_build=True)
    again = all_five.files[0]
    tickhouse("replay", again, home=all_five.home, extra=all_five.extra)
    assert gold_rows(all_five.home, "candlesticks", with_build=True) == before
    repeats = ask(all_five.home, "select count(*) from silver.silver_rejects where reject_reason = 'repeat'")
    assert repeats == [(sum(1 for _ in read_trades(again)),)]


def test_gold_equals_a_rebuild_after_replays_repeats_late_trades_and_kills(recordings: Path, tmp_path: Path) -> None:
    """Do to a state what life does to it, then build it anew from its raw zone: row for row the same."""
    home, file = tmp_path / "state", recordings / f"{NAMES[0]}.frames.jsonl.gz"
    faults = ("--duplicate", "0.05", "--late", "0.05", "--seed", "7")
    quick = {"TICKHOUSE_SINK_FLUSH_AGE_S": "2"}  # killed while most of the day is still to come
    killed = start(["replay", file, "--speed", "400"], home=home, output=tmp_path / "killed.log", extra=quick)
    wait_until(lambda: any((home / "lake" / "raw").rglob("*.parquet")), timeout_s=120)
    killed.kill()
    killed.wait()
    tickhouse("replay", file, *faults, home=home)
    tickhouse("replay", file, home=home)
    run = start(["run"], home=home, output=tmp_path / "run.log")
    run.kill()
    run.wait()
    tickhouse("run", home=home)
    tickhouse("lake", "verify", home=home)
    grown = {table: gold_rows(home, table) for table in ("candlesticks", "feed_gaps")}
    revised = ask(home, "select count(*) from gold.candlesticks where revision > 0")
    tickhouse("rebuild", home=home)
    assert {table: gold_rows(home, table) for table in grown} == grown
    assert revised[0][0] > 0
    trades = ask(home, "select count(*) from silver.silver_trades")
    assert trades == [(sum(1 for _ in read_trades(file)),)]


def _printed_bars(replayed: Replayed, symbol: str) -> dict[int, tuple[Decimal, ...]]:
    printed = tickhouse("candles", symbol, "--format", "csv", home=replayed.home).stdout
    rows = csv.DictReader(io.StringIO(printed))
    return {
        _epoch_ms(row["opened_at"]): tuple(Decimal(row[field]) for field in ("open", "high", "low", "close", "volume"))
        for row in rows
    }


def _epoch_ms(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1000)
