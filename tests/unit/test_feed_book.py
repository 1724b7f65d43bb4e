"""The book of coverage: what is told about a feed is true, and leaves no hole that isn't a gap."""

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickhouse.finnhub.backoff import Backoff
from tickhouse.finnhub.status import FeedBook
from tickhouse.finnhub.wire import LostPrint
from tickhouse.market import FeedState, FeedStatus, feed_record

S = 1_000_000


def told(statuses: tuple[FeedStatus, ...]) -> list[tuple[str, str, int, int]]:
    """Show statuses as symbol, state and seconds."""
    return [(status.symbol, status.state.value, status.from_us // S, status.to_us // S) for status in statuses]


def test_alive_follows_connected_and_each_other_without_a_hole() -> None:
    """Coverage of an unbroken connection is one span."""
    book = FeedBook(["A"], quiet_us=75 * S)
    statuses = book.connect(100 * S)
    for now in (115, 130, 131):
        book.hear(now * S)
        statuses += book.vouch(now * S)
    assert told(statuses) == [
        ("A", "connected", 100, 100),
        ("A", "alive", 100, 115),
        ("A", "alive", 115, 130),
        ("A", "alive", 130, 131),
    ]


def test_alive_is_not_told_without_proof_that_the_feed_still_works() -> None:
    """After a long quiet only the time up to the last message is vouched for; a message makes up for it."""
    book = FeedBook(["A"], quiet_us=75 * S)
    book.connect(0)
    book.hear(10 * S)
    assert told(book.vouch(85 * S)) == [("A", "alive", 0, 85)]
    assert book.vouch(100 * S) == ()
    book.hear(101 * S)
    assert told(book.vouch(105 * S)) == [("A", "alive", 85, 105)]


def test_silence_takes_back_the_coverage_since_the_last_message() -> None:
    """The silent interval starts at the last message, though alive was told for later."""
    book = FeedBook(["A"], quiet_us=75 * S)
    book.connect(0)
    book.hear(10 * S)
    book.vouch(60 * S)
    alive, silent = book.doubt(160 * S, "no message")
    assert (alive, told(silent)) == ((), [("A", "silent", 10, 160)])
    assert book.vouch(160 * S) == ()
    assert told(book.miss(170 * S, "no message")) == [("A", "disconnected", 160, 170)]


def test_a_lost_connection_is_a_gap_until_the_next_one() -> None:
    """Disconnected fills the time between the end of coverage and the new connection."""
    book = FeedBook(["A", "B"], quiet_us=75 * S)
    assert book.miss(5 * S, "never connected") == ()
    book.connect(10 * S)
    book.hear(20 * S)
    book.vouch(20 * S)
    book.lose()
    assert told(book.miss(30 * S, "reset")) == [("A", "disconnected", 20, 30), ("B", "disconnected", 20, 30)]
    assert told(book.miss(40 * S, "reset")) == [("A", "disconnected", 30, 40), ("B", "disconnected", 30, 40)]
    assert told(book.connect(40 * S)) == [("A", "connected", 40, 40), ("B", "connected", 40, 40)]


def test_a_connection_that_breaks_off_was_dead_since_its_last_message() -> None:
    """Alive was told on; the minute in which prints may be lost is no whole one, and the time before still is."""
    book = FeedBook(["A"], quiet_us=75 * S)
    statuses = book.connect(0)
    for second in range(1, 11):
        book.hear(second * S)
    statuses += book.vouch(15 * S) + book.vouch(60 * S)
    alive, lost = book.doubt(70 * S, "reset", FeedState.DISCONNECTED)
    assert (alive, told(lost)) == ((), [("A", "disconnected", 10, 70)])
    again = book.miss(75 * S, "reset") + book.connect(75 * S)
    assert told(again) == [("A", "disconnected", 70, 75), ("A", "connected", 75, 75)]
    record = feed_record(statuses + lost + again)
    assert record.is_whole(0, 10 * S)
    assert not record.is_whole(0, 60 * S)
    assert not record.is_whole(20 * S, 30 * S)


def test_a_connection_that_ends_with_its_last_message_loses_nothing() -> None:
    """So it is with every clean drop of a replay, in which market time stands still meanwhile."""
    book = FeedBook(["A"], quiet_us=75 * S)
    book.connect(0)
    book.hear(10 * S)
    alive, lost = book.doubt(10 * S, "closed", FeedState.DISCONNECTED)
    assert (told(alive), lost) == ([("A", "alive", 0, 10)], ())
    assert book.miss(10 * S, "closed") == ()


def test_a_connection_that_never_was_cannot_break_off() -> None:
    """The time since the one before is told once, when there is a new one."""
    book = FeedBook(["A"], quiet_us=75 * S)
    book.connect(0)
    book.lose()
    assert book.doubt(5 * S, "reset", FeedState.DISCONNECTED) == ((), ())
    assert told(book.miss(8 * S, "reset")) == [("A", "disconnected", 0, 8)]


MS = 1_000
NOW = 60 * S


@pytest.mark.parametrize(
    ("lost", "spans"),
    [
        ([], []),
        ([LostPrint("A")], [("A", 50 * S, NOW + MS)]),
        ([LostPrint("B", 55_000)], [("B", 50 * S, NOW + MS)]),
        ([LostPrint("A", 49_000), LostPrint("A", 61_000)], [("A", 49 * S, 61 * S + MS)]),
        ([LostPrint("A", 10**12), LostPrint("A", -(10**12))], [("A", 50 * S, NOW + MS)]),
        ([LostPrint()], [("A", 50 * S, NOW + MS), ("B", 50 * S, NOW + MS)]),
        ([LostPrint("a", 40_000)], [("A", 40 * S, NOW + MS), ("B", 40 * S, NOW + MS)]),
    ],
)
def test_a_print_that_cannot_be_read_is_dropped_since_the_message_before(
    lost: list[LostPrint], spans: list[tuple[str, int, int]]
) -> None:
    """It is its symbol's loss, or everybody's where that is unknown; a time that can be believed widens it."""
    book = FeedBook(["A", "B"], quiet_us=75 * S)
    book.connect(0)
    book.hear(50 * S)
    dropped = book.drop(NOW, lost)
    assert [(each.symbol, each.from_us, each.to_us) for each in dropped] == spans
    assert {(each.state, each.reason) for each in dropped} <= {(FeedState.DROPPED, "undecodable print")}
    book.hear(NOW)
    assert told(book.vouch(NOW)) == [("A", "alive", 0, 60), ("B", "alive", 0, 60)]


def test_a_dropped_print_spoils_its_minute_though_no_time_has_passed() -> None:
    """In market time two messages may come at one moment: the interval is a millisecond wide then."""
    book = FeedBook(["A"], quiet_us=75 * S)
    statuses = book.connect(60 * S)
    statuses += book.drop(60 * S, [LostPrint("A")])
    book.hear(130 * S)
    record = feed_record(statuses + book.vouch(130 * S))
    assert not record.is_whole(60 * S, 120 * S)
    assert record.is_whole(120 * S, 130 * S)


def test_what_comes_before_the_connection_is_told_is_no_loss() -> None:
    """Nothing vouches for that time anyway."""
    assert FeedBook(["A"], quiet_us=75 * S).drop(5 * S, [LostPrint()]) == ()


def test_a_refused_symbol_is_never_called_alive() -> None:
    """From the connection on the refused symbol is a gap that grows with the others' coverage."""
    book = FeedBook(["A", "B"], quiet_us=75 * S)
    book.connect(0)
    assert book.refuse(0, "too many") == ("B", ())
    book.hear(15 * S)
    assert told(book.vouch(15 * S)) == [("A", "alive", 0, 15), ("B", "subscribe_refused", 0, 15)]
    book.lose()
    book.connect(20 * S)
    book.hear(21 * S)
    assert told(book.vouch(21 * S)) == [("A", "alive", 20, 21), ("B", "alive", 20, 21)]


def test_each_refusal_is_laid_to_the_last_symbol_that_has_none() -> None:
    """Two refusals of four mean the last two; one more than there are symbols means nobody."""
    book = FeedBook(["A", "B", "C", "D"], quiet_us=75 * S)
    book.connect(0)
    assert [book.refuse(1 * S, "too many")[0] for _ in range(5)] == ["D", "C", "B", "A", None]


@given(
    st.lists(st.tuples(st.sampled_from(["hear", "vouch", "doubt", "break", "lose", "connect"]), st.integers(1, 200)))
)
def test_no_two_statements_about_a_symbol_leave_a_hole_or_run_ahead(steps: list[tuple[str, int]]) -> None:
    """Whatever happens, each told interval begins where the last ended, but for a loss, which may begin earlier."""
    book = FeedBook(["A"], quiet_us=75 * S)
    now, statuses = 1_000, list(book.connect(1_000))
    for step, passed in steps:
        now += passed
        if step == "hear":
            book.hear(now)
        elif step == "vouch":
            statuses += book.vouch(now)
        elif step == "doubt" and book.is_connected:
            alive, silent = book.doubt(now, "doubt")
            statuses += alive + silent
        elif step == "break":
            alive, lost = book.doubt(now, "reset", FeedState.DISCONNECTED)
            statuses += alive + lost
        elif step == "lose":
            book.lose()
        elif step == "connect" and not book.is_connected:
            statuses += book.miss(now, "lost") + book.connect(now)
    for before, after in pairwise(statuses):
        takes_back = after.state in {FeedState.SILENT, FeedState.DISCONNECTED} and before.state is FeedState.ALIVE
        assert after.from_us == before.to_us or (takes_back and after.from_us < before.to_us)
        assert after.to_us <= now


def test_the_pause_doubles_up_to_its_limit_and_is_jittered_fully() -> None:
    """Pauses are drawn from zero up to a ceiling of 1, 2, 4, 8, 8 seconds."""
    backoff = Backoff(1.0, 8.0, 60.0, random.Random(1))  # noqa: S311  # jitter
    expected = random.Random(1)  # noqa: S311  # jitter
    pauses = [backoff.pause_s(0.0) for _ in range(5)]
    assert pauses == [round(expected.uniform(0.0, ceiling), 3) for ceiling in (1, 2, 4, 8, 8)]


def test_only_a_stable_connection_resets_the_pause() -> None:
    """A connection that is dropped at once keeps the ceiling growing; a stable one starts it anew."""

    class Highest(random.Random):
        def uniform(self, a: float, b: float) -> float:
            return max(a, b)

    backoff = Backoff(1.0, 60.0, 60.0, Highest())
    assert [backoff.pause_s(lasted) for lasted in (0.0, 59.0, 30.0, 61.0, 0.0)] == [1, 2, 4, 1, 2]


def test_a_server_that_asks_for_a_pause_gets_it() -> None:
    """Retry-After is a lower bound of the pause."""
    assert Backoff(1.0, 60.0, 60.0, random.Random(1)).pause_s(0.0, at_least_s=30.0) == 30.0  # noqa: S311  # jitter
