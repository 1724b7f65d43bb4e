"""Hold the pure function against the vendor's own minute bars of real market days."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import pytest

from tests.support.conditions import vendor_2013_table
from tests.support.recordings import NAMES, ROOT, VendorBar, read_trades, read_vendor_bars, recordings_dir
from tickhouse.market import (
    Bar,
    ConditionTable,
    Interval,
    SessionName,
    Trade,
    build_bars,
    load_default,
    market_calendar,
)

PAGE = ROOT / "docs" / "market-data.md"


@dataclass(frozen=True)
class Agreement:
    """How many of a recording's bars are the vendor's on open, high, low, close and volume."""

    regular: int
    of_regular: int
    extended: int
    of_extended: int


@pytest.fixture(scope="module")
def recordings() -> Path:
    """Return the folder of the recordings."""
    folder = recordings_dir()
    if folder is None:
        pytest.skip("no recordings here: set TICKHOUSE_RECORDINGS to their folder")
    return folder


@lru_cache
def read_day(folder: Path, name: str) -> tuple[list[Trade], Mapping[int, VendorBar]]:
    """Read prints and vendor bars of one recording."""
    return list(read_trades(folder / f"{name}.frames.jsonl.gz")), read_vendor_bars(folder / f"{name}.minute-bars.csv")


def agreement(folder: Path, name: str, table: ConditionTable) -> Agreement:
    """Build a recording's minute bars and compare them with the vendor's."""
    trades, vendor_bars = read_day(folder, name)
    calendar = market_calendar("XNYS")
    sessions = {SessionName.PRE, SessionName.REGULAR, SessionName.POST}
    bars = [bar for bar in build_bars(trades, table, calendar) if bar.interval is Interval.MINUTE]
    own = {bar.opened_ms: bar for bar in bars if bar.session in sessions}
    regular: list[bool] = []
    extended: list[bool] = []
    for opened_ms, vendor_bar in vendor_bars.items():
        is_regular = calendar.locate(opened_ms).name is SessionName.REGULAR
        (regular if is_regular else extended).append(is_same(own.get(opened_ms), vendor_bar))
    return Agreement(sum(regular), len(regular), sum(extended), len(extended))


def is_same(bar: Bar | None, vendor: VendorBar) -> bool:
    """Compare all five fields exactly."""
    if bar is None:
        return False
    expected = (vendor.open, vendor.high, vendor.low, vendor.close, vendor.volume)
    return (bar.open, bar.high, bar.low, bar.close, bar.volume) == expected


def measured(folder: Path, label: str, table: ConditionTable) -> list[Agreement]:
    """Measure all recordings and print each figure."""
    found = [agreement(folder, name, table) for name in NAMES]
    for name, one in zip(NAMES, found, strict=True):
        share = one.regular / one.of_regular
        print(  # noqa: T201  # the figures are what this test is for
            f"{label}: {name}: regular {one.regular} of {one.of_regular} ({share:.2%}), "
            f"extended {one.extended} of {one.of_extended}"
        )
    share = sum(one.regular for one in found) / sum(one.of_regular for one in found)
    print(f"{label}: all: {share:.2%} of regular bars")  # noqa: T201  # as above
    return found


def test_minute_bars_are_the_vendors_with_the_rule_of_2013(recordings: Path) -> None:
    """Agree on all five fields in 98.5 % of each recording's regular bars, and in 99 % over all of them."""
    found = measured(recordings, "rule of 2013", vendor_2013_table())
    assert all(one.regular >= 0.985 * one.of_regular for one in found)
    assert sum(one.regular for one in found) >= 0.99 * sum(one.of_regular for one in found)


def test_the_documents_tell_how_far_each_table_agrees(recordings: Path) -> None:
    """Find the measured figures of three tables in docs/market-data.md."""
    page = PAGE.read_text(encoding="utf-8")
    for label, table in (
        ("default table", load_default()),
        ("default table, but 3, 8 and 27 as in 2013", vendor_2013_table(restrict_others=True)),
        ("3, 8 and 27 as in 2013, no other code restricted", vendor_2013_table()),
    ):
        found = measured(recordings, label, table)
        for session, cells in (
            ("regular", [f"{one.regular}/{one.of_regular}" for one in found]),
            ("extended", [f"{one.extended}/{one.of_extended}" for one in found]),
        ):
            assert f"| {label} | {session} | {' | '.join(cells)} |" in page
