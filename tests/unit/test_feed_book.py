"""The book of coverage: what is told about a feed is true, and leaves no hole that isn't a gap."""

import random
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tickhouse.finnhub.backoff import Backoff
from tickhouse.finnhub.status import FeedBook
from tickhouse.market import FeedState, FeedStatus

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


@given(st.lists(st.tuples(st.sampled_from(["hear", "vouch", "doubt", "lose", "connect"]), st.integers(1, 200))))
def test_no_two_statements_about_a_symbol_leave_a_hole_or_run_ahead(steps: list[tuple[str, int]]) -> None:
    """Whatever happens, each told interval begins where the last ended, but for doubt, which may begin earlier."""
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
        elif step == "lose":
            book.lose()
        elif step == "connect" and not book.is_connected:
            statuses += book.miss(now, "lost") + book.connect(now)
    for before, after in pairwise(statuses):
        assert after.from_us == before.to_us or (after.state is FeedState.SILENT and after.from_us < before.to_us)
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
