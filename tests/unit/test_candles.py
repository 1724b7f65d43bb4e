"""Tests of bars: fixed examples of each rule, and properties over random prints."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Context, Decimal
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickhouse.market import (
    Bar,
    FeedState,
    FeedStatus,
    Interval,
    SessionName,
    Totals,
    Trade,
    build_bars,
    calendar_for,
    distinct,
    load_default,
    market_calendar,
    merge,
    minute_parts,
)

OPEN_MS = 1_381_152_600_000  # 2013-10-07 09:30 in New York
POST_MS = OPEN_MS + 390 * 60_000
PRE_MS = OPEN_MS - 330 * 60_000
NIGHT_MS = POST_MS + 240 * 60_000
LATE_MS = 5_000
LISTED = market_calendar("XNYS")
untimed = settings(deadline=None)  # the machine may be busy
CODES = ["1", "8", "12", "16", "20", "24", "30", "41", "99"]


def trade(ts_ms: int, price: str = "10", *, volume: str = "100", codes: Sequence[str] = (), arrival: int = 0) -> Trade:
    """Return a print of IBM."""
    return Trade("IBM", ts_ms, Decimal(price), Decimal(volume), tuple(codes), arrival)


def bars_of(
    trades: Sequence[Trade],
    interval: Interval = Interval.MINUTE,
    session: SessionName = SessionName.REGULAR,
    statuses: Sequence[FeedStatus] = (),
) -> list[Bar]:
    """Return the bars of one interval and session."""
    bars = build_bars(trades, load_default(), LISTED, statuses)
    return [bar for bar in bars if (bar.interval, bar.session) == (interval, session)]


@st.composite
def tapes(draw: st.DrawFn) -> list[Trade]:
    """Draw distinct prints of two symbols around session edges, in order of arrival, many of them late."""
    edges = [PRE_MS, OPEN_MS, POST_MS, NIGHT_MS, OPEN_MS + 86_400_000]
    times = st.builds(
        lambda edge, minutes, ms: edge + minutes * 60_000 + ms,
        st.sampled_from(edges),
        st.sampled_from([-61, -6, -1, 0, 0, 1, 4, 5, 59]),
        st.sampled_from([0, 1, 30_000, 59_999]),
    )
    cells = st.tuples(
        st.sampled_from(["IBM", "BINANCE:BTCUSDT"]),
        times,
        st.decimals("0.000001", "999999.999999", places=6) | st.sampled_from([Decimal(10), Decimal("10.5")]),
        st.decimals("0", "99999999.999999", places=6) | st.just(Decimal(0)),
        st.lists(st.sampled_from(CODES), max_size=3).map(tuple),
    )
    return distinct([Trade(*cell, arrival) for arrival, cell in enumerate(draw(st.lists(cells, max_size=30)))])


def naive_bar(trades: Sequence[Trade], bar: Bar) -> dict[str, object]:
    """Compute a bar's values from its window's prints, straight from the definition."""
    calendar = calendar_for(bar.symbol, LISTED)
    inside = []
    newest_ms = 0
    revision = 0
    for one in trades:
        if one.symbol != bar.symbol:
            continue
        session = calendar.locate(one.ts_ms).name
        flags = load_default().flags(one.conditions, session)
        if (
            bar.opened_ms <= one.ts_ms < bar.ends_ms
            and one.volume > 0
            and (flags.last or flags.high_low or flags.volume)
        ):
            assert session is bar.session or bar.session is SessionName.ALL
            inside.append((one, flags))
            revision += newest_ms >= bar.ends_ms + LATE_MS
        newest_ms = max(newest_ms, one.ts_ms)
    inside.sort(key=lambda pair: (pair[0].ts_ms, pair[0].arrival))
    last = [one.price for one, flags in inside if flags.last]
    high_low = [one.price for one, flags in inside if flags.high_low]
    priced = [one for one, flags in inside if flags.high_low and flags.volume]
    exact = Context(prec=200)
    notional = Decimal(0)
    for one in priced:
        notional = exact.add(notional, exact.multiply(one.price, one.volume))
    weight = sum((one.volume for one in priced), Decimal(0))
    return {
        "open": last[0],
        "close": last[-1],
        "high": max(high_low),
        "low": min(high_low),
        "volume": sum((one.volume for one, flags in inside if flags.volume), Decimal(0)),
        "trades": sum(flags.volume for _, flags in inside),
        "vwap": Context(prec=28).divide(notional, weight) if weight else None,
        "revision": revision,
    }


@untimed
@given(tapes())
def test_coarser_bars_from_minutes_equal_those_built_directly(tape: list[Trade]) -> None:
    """Compare each value of each bar with its definition over the prints of its own window."""
    for bar in build_bars(tape, load_default(), LISTED):
        expected = naive_bar(tape, bar)
        assert {field: getattr(bar, field) for field in expected} == expected


@untimed
@given(tapes())
def test_every_print_that_sets_a_close_is_in_one_bar_of_each_interval(tape: list[Trade]) -> None:
    """Lose no bar: where a print may set the close, its own session and `all` have a bar over it."""
    bars = build_bars(tape, load_default(), LISTED)
    for one in tape:
        session = calendar_for(one.symbol, LISTED).locate(one.ts_ms)
        sets_close = one.volume > 0 and load_default().flags(one.conditions, session.name).last
        for interval in Interval if sets_close else []:
            for name in (session.name, SessionName.ALL):
                over = [
                    bar
                    for bar in bars
                    if (bar.symbol, bar.interval, bar.session) == (one.symbol, interval, name)
                    and bar.opened_ms <= one.ts_ms < bar.ends_ms
                ]
                assert len(over) == 1
                assert over[0].trading_date == session.trading_date


@untimed
@given(tapes(), st.randoms(use_true_random=False))
def test_the_order_in_which_prints_are_given_changes_nothing(tape: list[Trade], rng: Random) -> None:
    """Shuffle prints that keep their arrival."""
    shuffled = list(tape)
    rng.shuffle(shuffled)
    assert build_bars(shuffled, load_default(), LISTED) == build_bars(tape, load_default(), LISTED)


@untimed
@given(tapes(), st.randoms(use_true_random=False))
def test_another_order_of_delivery_changes_only_the_revision(tape: list[Trade], rng: Random) -> None:
    """Deliver prints of different times in another order; those of one millisecond keep theirs."""
    moments = list({one.ts_ms for one in tape})
    rng.shuffle(moments)
    redelivered = sorted(tape, key=lambda one: (moments.index(one.ts_ms), one.arrival))
    renumbered = [replace(one, arrival=arrival) for arrival, one in enumerate(redelivered)]
    first = build_bars(tape, load_default(), LISTED)
    second = build_bars(renumbered, load_default(), LISTED)
    assert [replace(bar, revision=0) for bar in second] == [replace(bar, revision=0) for bar in first]


@untimed
@given(tapes(), st.data())
def test_repeated_frames_change_nothing(tape: list[Trade], data: st.DataObject) -> None:
    """Send some prints again, later, with their conditions in another order."""
    again = data.draw(st.lists(st.sampled_from(tape), max_size=10)) if tape else []
    repeats = [
        replace(one, arrival=len(tape) + 100 + place, conditions=tuple(reversed(one.conditions)))
        for place, one in enumerate(again)
    ]
    assert build_bars([*tape, *repeats], load_default(), LISTED) == build_bars(tape, load_default(), LISTED)


@untimed
@given(tapes())
def test_open_close_and_vwap_lie_between_low_and_high(tape: list[Trade]) -> None:
    """Hold for each bar, whatever codes its prints have."""
    for bar in build_bars(tape, load_default(), LISTED):
        prices = [bar.open, bar.close] + ([] if bar.vwap is None else [bar.vwap])
        assert all(bar.low <= price <= bar.high for price in prices)
        assert bar.opened_ms < bar.ends_ms


@untimed
@given(tapes(), st.randoms(use_true_random=False))
def test_merging_is_the_same_in_any_order_and_grouping(tape: list[Trade], rng: Random) -> None:
    """Join minutes at once, or in two shuffled groups."""
    totals = [
        part.totals for part in minute_parts([one for one in tape if one.symbol == "IBM"], load_default(), LISTED)
    ]
    shuffled = list(totals)
    rng.shuffle(shuffled)
    cut = rng.randint(0, len(totals))
    assert merge([merge(shuffled[:cut]), merge(shuffled[cut:])]) == merge(totals)
    assert merge([]) == Totals()


@untimed
@given(tapes())
def test_round_the_clock_all_equals_regular(tape: list[Trade]) -> None:
    """Give crypto both sessions, with the same values."""
    bars = [bar for bar in build_bars(tape, load_default(), LISTED) if ":" in bar.symbol]
    regular = [bar for bar in bars if bar.session is SessionName.REGULAR]
    assert [replace(bar, session=SessionName.REGULAR) for bar in bars if bar.session is SessionName.ALL] == regular
    assert len(bars) == 2 * len(regular)


def test_open_and_close_follow_time_and_then_arrival() -> None:
    """Order prints of one millisecond by arrival, and others by their own time."""
    tape = [
        trade(OPEN_MS + 500, "12", arrival=1),
        trade(OPEN_MS + 100, "10", arrival=2),
        trade(OPEN_MS + 100, "11", arrival=3),
        trade(OPEN_MS + 500, "13", arrival=4),
    ]
    (bar,) = bars_of(tape)
    assert (bar.open, bar.high, bar.low, bar.close) == (Decimal(10), Decimal(13), Decimal(10), Decimal(13))
    assert (bar.opened_ms, bar.ends_ms, bar.trading_date) == (OPEN_MS, OPEN_MS + 60_000, "2013-10-07")


def test_each_field_takes_only_the_prints_that_may_set_it() -> None:
    """Mix a regular print, an odd lot, a late-reported one, an official open and an official close."""
    tape = [
        trade(OPEN_MS, "10", volume="100", codes=["1"]),
        trade(OPEN_MS + 1, "99", volume="7", codes=["12"], arrival=1),
        trade(OPEN_MS + 2, "12", volume="50", codes=["30"], arrival=2),
        trade(OPEN_MS + 3, "8", volume="1000", codes=["20"], arrival=3),
        trade(OPEN_MS + 4, "1", volume="5000", codes=["16"], arrival=4),
    ]
    (bar,) = bars_of(tape)
    assert (bar.open, bar.high, bar.low, bar.close) == (Decimal(10), Decimal(12), Decimal(8), Decimal(10))
    assert (bar.volume, bar.trades) == (Decimal(157), 3)
    assert bar.vwap == Context(prec=28).divide(Decimal(1600), Decimal(150))


def test_equal_prints_of_one_frame_count_each() -> None:
    """Tell them apart by their occurrence."""
    tape = [replace(trade(OPEN_MS, arrival=n), occurrence=n) for n in range(3)]
    assert [(bar.trades, bar.volume) for bar in bars_of(tape)] == [(3, Decimal(300))]


def test_a_repeat_keeps_the_place_of_the_first_arrival() -> None:
    """Leave the close to the print that came second in its millisecond, whatever is repeated after it."""
    tape = [trade(OPEN_MS, "10"), trade(OPEN_MS, "11", arrival=1), trade(OPEN_MS, "10.0", arrival=2)]
    assert [(bar.open, bar.close, bar.trades) for bar in bars_of(tape)] == [(Decimal(10), Decimal(11), 2)]
    assert distinct(tape) == tape[:2]


def test_a_minute_without_an_open_has_no_bar_but_adds_to_coarser_ones() -> None:
    """Keep the volume of a minute of odd lots."""
    tape = [trade(OPEN_MS, "10"), trade(OPEN_MS + 60_000, "11", volume="5", codes=["12"], arrival=1)]
    assert [bar.volume for bar in bars_of(tape)] == [Decimal(100)]
    assert [bar.volume for bar in bars_of(tape, Interval.FIVE_MINUTES)] == [Decimal(105)]


def test_a_price_update_without_volume_is_in_no_bar() -> None:
    """Ignore what crypto and forex feeds send between trades."""
    assert bars_of([trade(OPEN_MS, volume="0")]) == []


def test_sums_are_exact_where_doubles_and_28_digits_are_not() -> None:
    """Add up the largest notional values that the columns hold, and the smallest."""
    tape = [
        trade(OPEN_MS, "999999999999.999999", volume="999999999999.999999"),
        trade(OPEN_MS, "0.000001", volume="0.000001", arrival=1),
    ]
    (part,) = minute_parts(tape, load_default(), LISTED)
    assert part.totals.notional == Decimal("999999999999999998000000.000000000002")
    assert part.totals.volume == Decimal("1000000000000.000000")


@pytest.mark.parametrize(
    ("session", "interval", "at_ms", "opened_ms", "ends_ms"),
    [
        (SessionName.REGULAR, Interval.HOUR, OPEN_MS + 35 * 60_000, OPEN_MS, OPEN_MS + 3_600_000),
        (SessionName.ALL, Interval.HOUR, OPEN_MS + 35 * 60_000, OPEN_MS + 30 * 60_000, OPEN_MS + 90 * 60_000),
        (SessionName.PRE, Interval.HOUR, OPEN_MS - 1, OPEN_MS - 30 * 60_000, OPEN_MS),
        (SessionName.REGULAR, Interval.HOUR, POST_MS - 1, POST_MS - 30 * 60_000, POST_MS),
        (SessionName.REGULAR, Interval.DAY, OPEN_MS + 1, OPEN_MS, POST_MS),
        (SessionName.ALL, Interval.DAY, OPEN_MS + 1, PRE_MS, NIGHT_MS),
        (SessionName.POST, Interval.DAY, NIGHT_MS - 1, POST_MS, NIGHT_MS),
        (SessionName.REGULAR, Interval.QUARTER, OPEN_MS + 899_999, OPEN_MS, OPEN_MS + 900_000),
    ],
)
def test_bars_count_from_the_start_of_their_session_and_end_with_it(
    session: SessionName, interval: Interval, at_ms: int, opened_ms: int, ends_ms: int
) -> None:
    """Stamp bars at their open, whatever the interval."""
    (bar,) = bars_of([trade(at_ms)], interval, session)
    assert (bar.opened_ms, bar.ends_ms) == (opened_ms, ends_ms)


def test_a_print_outside_of_all_sessions_is_in_no_bar_yet_moves_the_watermark() -> None:
    """Close the bars before it."""
    tape = [trade(NIGHT_MS - 1, "10"), trade(NIGHT_MS + 5_000, "20", arrival=1)]
    assert [bar.is_closed for bar in bars_of(tape, session=SessionName.POST)] == [True]
    assert bars_of(tape[1:], session=SessionName.ALL) == []


@pytest.mark.parametrize(("seen_ms", "revision"), [(64_999, 0), (65_000, 1)])
def test_a_print_revises_a_bar_when_newer_market_time_was_seen_before(seen_ms: int, revision: int) -> None:
    """Wait five seconds past the bar's end, for the bar of each interval by its own end."""
    tape = [trade(OPEN_MS), trade(OPEN_MS + seen_ms, arrival=1), trade(OPEN_MS + 1, "11", arrival=2)]
    assert bars_of(tape)[0].revision == revision
    assert [bar.revision for bar in bars_of(tape, Interval.FIVE_MINUTES)] == [0]


def test_a_late_print_without_any_flag_is_no_revision() -> None:
    """Count only prints that touch the bar."""
    tape = [trade(OPEN_MS), trade(OPEN_MS + 90_000, arrival=1), trade(OPEN_MS + 1, codes=["16"], arrival=2)]
    assert bars_of(tape)[0].revision == 0


def status(state: FeedState, from_ms: int, to_ms: int) -> FeedStatus:
    """Return a feed-status event of IBM."""
    return FeedStatus("IBM", state, from_ms * 1_000, to_ms * 1_000, state.value)


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([], (False, False)),
        ([(FeedState.ALIVE, 0, 65_000)], (True, True)),
        ([(FeedState.ALIVE, 0, 64_999)], (False, False)),
        ([(FeedState.ALIVE, 1, 65_000)], (True, False)),
        ([(FeedState.ALIVE, 0, 59_999), (FeedState.ALIVE, 65_000, 65_000)], (True, False)),
        ([(FeedState.CONNECTED, 0, 0), (FeedState.ALIVE, 0, 30_000), (FeedState.ALIVE, 30_000, 65_000)], (True, True)),
        ([(FeedState.ALIVE, 0, 30_000), (FeedState.ALIVE, 30_001, 65_000)], (True, False)),
        ([(FeedState.ALIVE, 0, 65_000), (FeedState.DROPPED, 10_000, 10_000)], (True, False)),
        ([(FeedState.ALIVE, 0, 65_000), (FeedState.SILENT, 60_000, 65_000)], (True, True)),
        ([(FeedState.ALIVE, 0, 65_000), (FeedState.DISCONNECTED, -9_000, 0)], (True, True)),
        ([(FeedState.ALIVE, 0, 65_000), (FeedState.DROPPED, -9_000, 1)], (True, False)),
        ([(FeedState.ALIVE, 0, 65_000), (FeedState.RATE_LIMITED, 0, 60_000)], (True, True)),
        ([(FeedState.DISCONNECTED, 0, 65_000)], (False, False)),
    ],
)
def test_a_bar_is_complete_when_its_feed_was_recorded_all_along(
    events: list[tuple[FeedState, int, int]], expected: tuple[bool, bool]
) -> None:
    """Close by the watermark; to be complete, ask for one coverage span over the whole bar, and for no loss inside."""
    statuses = [status(state, OPEN_MS + from_ms, OPEN_MS + to_ms) for state, from_ms, to_ms in events]
    (bar,) = bars_of([trade(OPEN_MS + 1)], statuses=statuses)
    assert (bar.is_closed, bar.is_complete) == expected


def test_the_feed_of_one_symbol_says_nothing_about_another() -> None:
    """Keep watermark and coverage apart."""
    tape = [trade(OPEN_MS), replace(trade(OPEN_MS + 90_000), symbol="AIG")]
    bars = build_bars(tape, load_default(), LISTED, [status(FeedState.ALIVE, OPEN_MS, OPEN_MS + 99_000)])
    complete = {(bar.symbol, bar.is_closed, bar.is_complete) for bar in bars if bar.interval is Interval.MINUTE}
    assert complete == {("IBM", True, True), ("AIG", False, False)}
