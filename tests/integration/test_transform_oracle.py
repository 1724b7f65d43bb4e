"""Hold the SQL models to the pure functions of market/, over many generated markets per build."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.support.transforming import House, epoch_ms, status_value, template, trade_value
from tickhouse.market import (
    Bar,
    ConditionTable,
    FeedState,
    FeedStatus,
    Gap,
    Trade,
    build_bars,
    gap_ledger,
    market_calendar,
)

TABLE = ConditionTable.parse(
    b"""code,name,session,updates_last,updates_high_low,updates_volume
1,regular,any,true,true,true
8,volume in regular hours,regular,false,false,true
8,all else,extended,true,true,true
12,volume,any,false,false,true
15,nothing,any,false,false,false
30,out of sequence,any,false,true,true
99,price without volume,any,true,true,false
""",
    "test.csv",
)
CODES = ["1", "8", "12", "15", "30", "99", "unknown"]
# Starts and ends of sessions: summer and winter, a half day, both changes of the clocks, midnight UTC, closed days.
ANCHORS = [
    epoch_ms(text)
    for text in (
        "2013-10-07T08:00",
        "2013-10-07T13:30",
        "2013-10-07T20:00",
        "2013-10-07T23:59",
        "2013-11-29T18:00",
        "2013-11-29T22:00",
        "2024-03-11T13:30",
        "2024-11-04T14:30",
        "2014-01-07T01:00",
        "2014-01-07T00:00",
        "2013-10-05T13:30",
    )
]
LOADS, MARKETS = 3, 150


@dataclass(frozen=True)
class Market:
    """Events of one symbol in order of arrival, and where the loads cut them."""

    events: tuple[Trade | FeedStatus, ...]
    cuts: tuple[float, float]

    def load(self, number: int) -> Sequence[Trade | FeedStatus]:
        """Return what the load of that number brings."""
        bounds = [0, *sorted(round(cut * len(self.events)) for cut in self.cuts), len(self.events)]
        return self.events[bounds[number] : bounds[number + 1]]


def market(rng: Random, number: int) -> Market:
    """Make the events of one symbol around a start or end of a session, repeats included."""
    symbol = rng.choice(["S", "S", "X:S"]) + str(number)
    anchor, spread = rng.choice(ANCHORS), rng.choice([2, 14, 120])
    trades = [a_print(rng, symbol, anchor, spread) for _ in range(rng.randint(1, 25))]
    repeats = rng.choices(trades, k=rng.randint(0, 4))
    events: list[Trade | FeedStatus] = [
        *trades,
        *repeats,
        *(a_status(rng, symbol, anchor) for _ in range(rng.randint(0, 8))),
    ]
    rng.shuffle(events)
    return Market(tuple(events), (rng.random(), rng.random()))


def a_print(rng: Random, symbol: str, anchor: int, spread: int) -> Trade:
    """Make a print near the anchor; few times and values, so that equal ones and those on a bound are common."""
    return Trade(
        symbol=symbol,
        ts_ms=anchor + rng.randint(-spread // 4, spread) * 5_000 + rng.choice([0, 0, 0, -1, 1]),
        price=Decimal(rng.choice(["10", "10.01", "9.999999", "182.3", "0.000001"])),
        volume=Decimal(rng.choice(["1", "100", "0.5", "0.000003", "0", "250000"])),
        conditions=tuple(rng.choices(CODES, k=rng.randint(0, 2))),
        occurrence=rng.choice([0, 0, 0, 1]),
    )


def a_status(rng: Random, symbol: str, anchor: int) -> FeedStatus:
    """Make a statement about the feed near the anchor; signs of life are the most common."""
    from_us = (anchor + rng.randint(-24, 60) * 5_000) * 1_000
    return FeedStatus(
        symbol=symbol,
        state=rng.choice([FeedState.ALIVE] * 6 + list(FeedState)),
        from_us=from_us,
        to_us=from_us + rng.choice([0, 15, 60, 125, 600]) * 1_000_000,
        reason=rng.choice(["", "closed", "idle"]),
    )


@pytest.fixture(scope="module")
def made_from(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the warehouse that each example starts from."""
    return template(tmp_path_factory.mktemp("template") / "template.duckdb", TABLE)


# One seed makes all markets of a build: drawn one by one they'd be more than hypothesis lets an example have.
@settings(max_examples=2, phases=[Phase.generate], derandomize=True, deadline=None)
@given(rng=st.randoms(use_true_random=True))
def test_sql_and_python_make_the_same_bars_and_gaps(
    made_from: Path, tmp_path_factory: pytest.TempPathFactory, rng: Random
) -> None:
    """Each bar and gap of each generated market is the same, however its events were cut into builds."""
    generated = [market(rng, number) for number in range(MARKETS)]
    with TemporaryDirectory() as home:
        house = House(made_from, Path(home), dbt_state=tmp_path_factory.getbasetemp() / "oracle")
        arrived: list[Trade | FeedStatus] = []
        for number in range(LOADS):
            events = [event for one in generated for event in one.load(number)]
            arrived += events
            house.load([_value(event) for event in events])
            house.transform(tests="new" if number + 1 < LOADS else "all")
            trades = [replace(one, arrival=at) for at, one in enumerate(arrived) if isinstance(one, Trade)]
            told = [one for one in arrived if isinstance(one, FeedStatus)]
            _assert_bars(house, build_bars(trades, TABLE, market_calendar("XNYS"), told))
            _assert_gaps(house, gap_ledger(told))
        house.warehouse.disconnect()


def _value(event: Trade | FeedStatus) -> str:
    return trade_value(event) if isinstance(event, Trade) else status_value(event)


def _assert_bars(house: House, expected: Sequence[Bar]) -> None:
    made = {
        (row["symbol"], row["interval"], row["session"], _ms(row["opened_at"])): row
        for row in house.table("candlesticks")
    }
    wanted = {(bar.symbol, str(bar.interval), str(bar.session), bar.opened_ms): bar for bar in expected}
    assert made.keys() == wanted.keys()
    for key, bar in wanted.items():
        assert dict(_fields_of(made[key])) == dict(_fields_of_bar(bar)), (key, bar)
        vwap = made[key]["vwap"]
        if bar.vwap is None:
            assert vwap is None, key
        else:
            assert math.isclose(vwap, bar.vwap, rel_tol=1e-9), key


def _fields_of(row: dict[str, Any]) -> Iterator[tuple[str, object]]:
    yield "trading_date", row["trading_date"].isoformat()
    yield "ends_ms", _ms(row["ends_at"])
    for name in ("open", "high", "low", "close", "volume", "trades", "revision", "is_closed", "is_complete"):
        yield name, row[name]


def _fields_of_bar(bar: Bar) -> Iterator[tuple[str, object]]:
    yield "trading_date", bar.trading_date
    yield "ends_ms", bar.ends_ms
    for name in ("open", "high", "low", "close", "volume"):
        yield name, float(getattr(bar, name))
    for name in ("trades", "revision", "is_closed", "is_complete"):
        yield name, getattr(bar, name)


def _assert_gaps(house: House, expected: Sequence[Gap]) -> None:
    made = [
        (row["symbol"], _ms(row["from_at"]) * 1_000, _ms(row["to_at"]) * 1_000, row["state"], row["reason"])
        for row in house.table("feed_gaps")
    ]
    wanted = [(gap.symbol, gap.from_us, gap.to_us, str(gap.state), gap.reason) for gap in expected]
    assert sorted(made) == sorted(wanted)


def _ms(at: Any) -> int:  # noqa: ANN401  # a datetime of the warehouse
    return epoch_ms(at.isoformat())
