"""A message is read print by print where it can't be read as a whole, and what is lost is named."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tickhouse.finnhub.frames import read_message
from tickhouse.finnhub.wire import LostPrint

GOOD = '{"s":"IBM","p":1.50,"t":1381152600000,"v":1}'
SOME = LostPrint()


def trades(*prints: str) -> bytes:
    """Make a trade message, as the simulator sends it to one who asked for market time."""
    return f'{{"type":"trade","data":[{",".join(prints)}],"at_us":7}}'.encode()


@given(st.binary())
@example(b'{"type":"trade","x":' + b"[" * 100_000)
@example(b'{"type":"trade","data":[{"s":"A","p":1,"t":1,"v":1,"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}]}")
@example(b'{"type":"trade","data":[{"s":"A","p":"NaN","t":1,"v":1}]}')
@example(b'{"type":"trade","data":[{"s":"A","p":1,"t":1,"v":"sNaN"}]}')
@example(b'{"type":"trade","data":[{"s":"A","p":1,"t":1e400,"v":1}]}')
@example(b'{"type":"trade","data":null}')
@example(b'{"type":"news","data":[]}')
def test_messages_that_are_not_finnhubs_are_named_and_never_raise(raw: bytes) -> None:
    """Random bytes give a problem in words."""
    assert read_message(raw).problem


@pytest.mark.parametrize(
    ("bad", "lost", "problem"),
    [
        ('{"s":"IBM","p":2,"t":1381152600000.5,"v":1}', LostPrint("IBM", 1381152600000), "Expected `int`"),
        ('{"s":"IBM","p":"NaN","t":5,"v":1}', LostPrint("IBM", 5), "no number"),
        ('{"s":"IBM","p":2,"t":"noon","v":1}', LostPrint("IBM", None), "Expected `int`"),
        ('{"s":"IBM","p":2,"t":1e400,"v":1}', LostPrint("IBM", None), "Number out of range"),
        ('{"s":7,"p":2,"t":5,"v":1}', LostPrint(None, 5), "Expected `str`"),
        ("null", SOME, "Expected `object`"),
    ],
)
def test_a_bad_print_leaves_the_good_ones_in_their_places(bad: str, lost: LostPrint, problem: str) -> None:
    """The good prints keep digits and position; of the bad one symbol and time are kept where they can be read."""
    reading = read_message(trades(GOOD, bad, GOOD))
    assert reading.message is not None
    assert [str(trade.p) for trade in reading.message.data] == ["1.50", "1.50"]
    assert (reading.positions, reading.message.at_us, reading.lost) == ((0, 2), 7, (lost,))
    assert reading.problem.startswith(f"print 1 of {lost.symbol or '?'!r}: ")
    assert problem in reading.problem


def test_bytes_that_are_no_text_spoil_one_print_only() -> None:
    """A symbol that can't be decoded is nobody's; the print's time still counts."""
    reading = read_message(trades(GOOD, '{"s":"I?M","p":2,"t":5,"v":1}').replace(b"I?M", b"I\xffM"))
    assert (reading.positions, reading.lost) == ((0,), (LostPrint(None, 5),))


def test_many_bad_prints_are_counted_in_few_words() -> None:
    """The problem names the first ones."""
    reading = read_message(trades(*(["{}"] * 9)))
    assert len(reading.lost) == 9
    assert reading.problem.startswith("print 0 of '?': ")
    assert reading.problem.endswith("; 4 more")


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b"[]", b'{"data":[]}', b'{"type":5}', b'{"type":"trade"}', b'{"type":"trade","data":null}'],
)
def test_a_message_that_could_have_held_trades_has_lost_some(raw: bytes) -> None:
    """Nothing of it says whose they were."""
    reading = read_message(raw)
    assert reading.lost == (SOME,)
    assert reading.message is None or not reading.message.data


@pytest.mark.parametrize("raw", [b'{"type":"news","data":[{"id":1}]}', b'{"type":"news"}', b'{"type":"error","msg":5}'])
def test_a_message_of_another_kind_loses_no_trade(raw: bytes) -> None:
    """It is kept as it came, and that is all."""
    reading = read_message(raw)
    assert reading.problem
    assert reading.lost == ()


@pytest.mark.parametrize(
    ("raw", "count"), [(trades(), 0), (trades(GOOD), 1), (b'{"type":"ping","at_us":7}', 0), (trades(GOOD, GOOD), 2)]
)
def test_a_sound_message_has_no_problem(raw: bytes, count: int) -> None:
    """A frame without prints is one too."""
    reading = read_message(raw)
    assert reading.message is not None
    assert (reading.problem, reading.lost, reading.positions, len(reading.message.data)) == ("", (), (), count)


def test_an_odd_field_beside_the_prints_loses_none() -> None:
    """The message is told as a problem, its prints are kept."""
    reading = read_message(trades(GOOD).replace(b'"at_us":7', b'"at_us":"noon"'))
    assert reading.message is not None
    assert (len(reading.message.data), reading.message.at_us, reading.lost) == (1, None, ())
    assert "at_us" in reading.problem
