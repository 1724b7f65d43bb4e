"""Tests of sessions: fixed dates that calendars are known to get wrong, and the shape of every day."""

import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickhouse.market import Session, SessionName, calendar_for, market_calendar

PRE, REGULAR, POST, CLOSED = SessionName.PRE, SessionName.REGULAR, SessionName.POST, SessionName.CLOSED
untimed = settings(deadline=None)  # the machine may be busy
KNOWN_MS = st.integers(631_152_000_000, 2_524_607_999_999)  # 1990 to 2049


def ms(text: str) -> int:
    """Return UTC epoch milliseconds of an ISO time in UTC."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1_000)


def hours(day: str) -> list[str]:
    """Return the bounds of a New York trading date's sessions as UTC times, the day told where it is the next one."""
    sessions = market_calendar("XNYS").sessions_between(date.fromisoformat(day), date.fromisoformat(day))
    assert [session.name for session in sessions] in ([], [PRE, REGULAR, POST])
    assert all(session.trading_date == day for session in sessions)
    assert all(one.ends_ms == other.starts_ms for one, other in pairwise(sessions))
    moments = [session.starts_ms for session in sessions] + [session.ends_ms for session in sessions[-1:]]
    at = [datetime.fromtimestamp(moment / 1_000, UTC) for moment in moments]
    return [f"{one:%H:%M}" + ("" if one.date().isoformat() == day else "+1") for one in at]


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        ("2013-10-07", ["08:00", "13:30", "20:00", "00:00+1"]),  # summer time
        ("2024-01-10", ["09:00", "14:30", "21:00", "01:00+1"]),  # winter: the post session passes midnight UTC
        ("2013-11-29", ["09:00", "14:30", "18:00", "22:00"]),  # half day after Thanksgiving
        ("2024-11-29", ["09:00", "14:30", "18:00", "22:00"]),
        ("2024-12-24", ["09:00", "14:30", "18:00", "22:00"]),  # half day before Christmas
        ("2024-07-03", ["08:00", "13:30", "17:00", "21:00"]),  # half day before Independence Day
        ("2025-07-03", ["08:00", "13:30", "17:00", "21:00"]),
        ("2024-03-08", ["09:00", "14:30", "21:00", "01:00+1"]),  # Friday before summer time begins
        ("2024-03-11", ["08:00", "13:30", "20:00", "00:00+1"]),  # Monday after
        ("2024-11-01", ["08:00", "13:30", "20:00", "00:00+1"]),  # Friday before it ends
        ("2024-11-04", ["09:00", "14:30", "21:00", "01:00+1"]),  # Monday after
        ("2024-11-28", []),  # Thanksgiving
        ("2024-12-25", []),
        ("2024-07-04", []),
        ("2025-01-09", []),  # day of mourning
        ("2024-03-09", []),  # Saturday
        ("2024-03-10", []),  # Sunday
    ],
)
def test_a_trading_date_has_the_hours_of_new_york(day: str, expected: list[str]) -> None:
    """Compare pre-market, regular and post-market bounds of fixed dates."""
    assert hours(day) == expected


@pytest.mark.parametrize(
    ("moment", "name", "trading_date"),
    [
        ("2024-01-11T00:59:59.999", POST, "2024-01-10"),
        ("2024-01-11T01:00:00.000", CLOSED, ""),
        ("2024-01-11T08:59:59.999", CLOSED, ""),
        ("2024-01-11T09:00:00.000", PRE, "2024-01-11"),
        ("2024-01-11T14:29:59.999", PRE, "2024-01-11"),
        ("2024-01-11T14:30:00.000", REGULAR, "2024-01-11"),
        ("2024-01-11T20:59:59.999", REGULAR, "2024-01-11"),
        ("2024-01-11T21:00:00.000", POST, "2024-01-11"),
        ("2024-11-29T21:59:59.999", POST, "2024-11-29"),
        ("2024-11-29T22:00:00.000", CLOSED, ""),
        ("2024-03-09T15:00:00.000", CLOSED, ""),
        ("1971-01-01T15:00:00.000", CLOSED, ""),
        ("2071-01-02T15:00:00.000", CLOSED, ""),
    ],
)
def test_a_moment_is_in_the_session_that_starts_at_it_or_before(
    moment: str, name: SessionName, trading_date: str
) -> None:
    """Include a session's start and exclude its end."""
    session = market_calendar("XNYS").locate(ms(moment))
    assert (session.name, session.trading_date) == (name, trading_date)


@untimed
@given(KNOWN_MS, st.sampled_from(["XNYS", "24/7"]))
def test_a_session_holds_the_moments_that_it_is_found_for(ts_ms: int, name: str) -> None:
    """Find the moment between start and end, closed time included, and the same session from its start."""
    calendar = market_calendar("24/7" if name == "24/7" else "XNYS")
    session = calendar.locate(ts_ms)
    assert session.starts_ms <= ts_ms < session.ends_ms
    assert calendar.locate(session.ends_ms) != session
    if session.name is not CLOSED:
        whole = calendar.whole(session.trading_date)
        assert whole.name is SessionName.ALL
        assert whole.starts_ms <= session.starts_ms
        assert session.ends_ms <= whole.ends_ms


def test_all_reaches_from_the_first_session_to_the_last() -> None:
    """Join the sessions of a half day."""
    whole = market_calendar("XNYS").whole("2024-11-29")
    assert whole == Session("2024-11-29", SessionName.ALL, ms("2024-11-29T09:00"), ms("2024-11-29T22:00"))


def test_all_sessions_start_and_end_on_whole_minutes() -> None:
    """Rely on it where prints are added up by minute."""
    sessions = market_calendar("XNYS").sessions_between(date(1990, 1, 1), date(2049, 12, 31))
    assert len(sessions) > 45_000
    assert all(one.starts_ms % 60_000 == 0 and one.starts_ms < one.ends_ms for one in sessions)
    assert all(one.ends_ms <= other.starts_ms for one, other in pairwise(sessions))


@untimed
@given(st.dates(date(1990, 1, 1), date(2049, 12, 20)))
def test_round_the_clock_each_utc_date_is_one_regular_session(day: date) -> None:
    """Go from midnight to midnight, weekends included."""
    sessions = market_calendar("24/7").sessions_between(day, day + timedelta(days=7))
    assert [one.trading_date for one in sessions] == [(day + timedelta(days=n)).isoformat() for n in range(8)]
    assert {one.name for one in sessions} == {REGULAR}
    assert all(one.ends_ms - one.starts_ms == 86_400_000 for one in sessions)
    assert sessions[0] == market_calendar("24/7").locate(ms(f"{day}T00:00"))


@pytest.mark.parametrize("ts_ms", [-(2**62), -1, 2**62])
@pytest.mark.parametrize("name", ["XNYS", "24/7"])
def test_a_moment_of_no_known_year_is_closed(ts_ms: int, name: str) -> None:
    """Take any integer as a time."""
    assert market_calendar("24/7" if name == "24/7" else "XNYS").locate(ts_ms).name is CLOSED


def test_symbols_with_a_colon_trade_round_the_clock() -> None:
    """Choose the calendar by the symbol."""
    listed = market_calendar("XNYS")
    assert calendar_for("IBM", listed) is listed
    assert calendar_for("BINANCE:BTCUSDT", listed).name == "24/7"
    assert listed.name == "XNYS"


def test_importing_the_market_loads_no_pandas() -> None:
    """Keep commands that need no exchange calendar fast to start."""
    program = "import sys, tickhouse.market; sys.exit('pandas' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0  # noqa: S603  # our own line
