"""Clocks never go back."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickhouse.clock import MarketClock, SystemClock


def test_the_system_clock_tells_the_machines_time_in_microseconds() -> None:
    """Compare it with the machine's own before and after."""
    before = time.time_ns() // 1_000
    told = SystemClock().now_us()
    assert before <= told <= time.time_ns() // 1_000


def test_the_system_clock_holds_still_while_the_machines_is_set_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the machine's clock back by an hour, then let it pass its old time."""
    times = iter([5_000_000, 2_000_000, 5_000_999, 5_001_000])
    monkeypatch.setattr(time, "time_ns", lambda: next(times))
    clock = SystemClock()
    assert [clock.now_us() for _ in range(4)] == [5_000, 5_000, 5_000, 5_001]


@given(st.lists(st.integers(0, 10**16)), st.integers(0, 10**16))
def test_the_market_clock_is_at_the_latest_time_that_it_was_told(told: list[int], start: int) -> None:
    """Tell it times in any order."""
    clock = MarketClock(start)
    seen = [clock.now_us()]
    for each in told:
        clock.advance_to(each)
        seen.append(clock.now_us())
    assert seen == sorted(seen)
    assert seen[-1] == max([start, *told])
