"""Tests of coverage and of the gap ledger."""

from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickhouse.market import FeedState, FeedStatus, Gap, Span, feed_record, gap_ledger

CONNECTED, ALIVE, SILENT, DISCONNECTED = (
    FeedState.CONNECTED,
    FeedState.ALIVE,
    FeedState.SILENT,
    FeedState.DISCONNECTED,
)
untimed = settings(deadline=None)  # the machine may be busy
REFUSED, DROPPED, LIMITED = FeedState.SUBSCRIBE_REFUSED, FeedState.DROPPED, FeedState.RATE_LIMITED


def event(state: FeedState, from_us: int, to_us: int, reason: str = "") -> FeedStatus:
    """Return a feed-status event of IBM."""
    return FeedStatus("IBM", state, from_us, to_us, reason)


events = st.lists(
    st.builds(
        lambda state, from_us, length: event(state, from_us, from_us + length, state.value),
        st.sampled_from(list(FeedState)),
        st.integers(0, 60),
        st.integers(0, 12),
    ),
    max_size=12,
)


@untimed
@given(events)
def test_coverage_holds_exactly_the_time_that_events_cover(told: list[FeedStatus]) -> None:
    """Compare spans with the events moment by moment, and find none that touch."""
    record = feed_record(told)
    for moment in range(80):
        covered = any(one.state.covers and one.from_us <= moment < one.to_us for one in told)
        assert covered == any(span.from_us <= moment < span.to_us for span in record.coverage)
    assert all(one.to_us < other.from_us for one, other in pairwise(record.coverage))


@untimed
@given(events, st.integers(0, 60), st.integers(1, 12))
def test_a_stretch_is_whole_when_covered_and_without_loss(told: list[FeedStatus], from_us: int, length: int) -> None:
    """Compare with the definition over all spans."""
    record, to_us = feed_record(told), from_us + length
    covered = any(span.from_us <= from_us and to_us <= span.to_us for span in record.coverage)
    lossy = any(
        one.from_us < to_us and one.to_us > from_us
        for one in told
        if one.state in {SILENT, DISCONNECTED, REFUSED, DROPPED}
    )
    assert record.is_whole(from_us, to_us) == (covered and not lossy)


@untimed
@given(events, st.randoms(use_true_random=False))
def test_order_and_repeats_of_events_change_no_gap(told: list[FeedStatus], rng: Random) -> None:
    """Shuffle the events and send some again."""
    again = told + told[:3]
    rng.shuffle(again)
    assert gap_ledger(again) == gap_ledger(told)


@untimed
@given(events)
def test_every_loss_lies_within_a_gap(told: list[FeedStatus]) -> None:
    """Leave no lost time out of the ledger, whether it was covered or not."""
    gaps = gap_ledger(told)
    for one in told:
        if one.state in {SILENT, DISCONNECTED, REFUSED, DROPPED}:
            assert any(gap.from_us <= one.from_us and one.to_us <= gap.to_us for gap in gaps)


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ([], []),
        ([event(ALIVE, 0, 10), event(ALIVE, 10, 20)], []),
        ([event(ALIVE, 0, 10), event(ALIVE, 30, 40)], [(10, 30, "uncovered", "no sign of life")]),
        (
            [event(ALIVE, 0, 10), event(DISCONNECTED, 10, 30, "reset"), event(CONNECTED, 30, 30)],
            [(10, 30, "disconnected", "reset")],
        ),
        (
            [event(ALIVE, 0, 10), event(SILENT, 10, 20, "150 s"), event(DISCONNECTED, 20, 30), event(ALIVE, 30, 40)],
            [(10, 30, "silent", "150 s")],
        ),
        ([event(ALIVE, 0, 40), event(DROPPED, 10, 12, "buffer full")], [(10, 12, "dropped", "buffer full")]),
        (
            [event(ALIVE, 0, 10), event(DROPPED, 5, 12, "buffer full"), event(ALIVE, 20, 30)],
            [(5, 12, "dropped", "buffer full"), (10, 20, "uncovered", "no sign of life")],
        ),
        ([event(ALIVE, 0, 40), event(LIMITED, 10, 12)], []),
        (
            [event(CONNECTED, 0, 0), event(REFUSED, 0, 15, "too many"), event(REFUSED, 15, 30, "too many")],
            [(0, 15, "subscribe_refused", "too many"), (15, 30, "subscribe_refused", "too many")],
        ),
    ],
)
def test_the_ledger_says_when_and_why(told: list[FeedStatus], expected: list[tuple[int, int, str, str]]) -> None:
    """List holes between coverage with their cause, and losses outside of them."""
    assert gap_ledger(told) == [Gap("IBM", *cells) for cells in expected]


def test_the_ledger_keeps_symbols_apart() -> None:
    """Order by symbol and find no hole between the coverage of two."""
    told = [event(ALIVE, 0, 10), FeedStatus("AIG", ALIVE, 20, 30), FeedStatus("AIG", ALIVE, 40, 50)]
    assert [(gap.symbol, gap.from_us) for gap in gap_ledger(told)] == [("AIG", 30)]
    assert feed_record(told[1:]).coverage == (Span(20, 30), Span(40, 50))
    assert feed_record(told[1:]).covered_until_us == 50
    assert feed_record([]).covered_until_us is None
