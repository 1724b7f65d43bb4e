"""Events keep every digit on their way to Kafka, and no bytes can break the reader."""

import json
from decimal import Decimal

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tickhouse.finnhub import StatusBatch, TradeFrame, Undecodable, WireTrade
from tickhouse.kafka import BadEvent, Codec, decode_event
from tickhouse.kafka.codec import loss_of
from tickhouse.kafka.losses import LossBook
from tickhouse.market import FeedState, FeedStatus, Trade

CODEC = Codec("stocks-topic", "stocks-dlq", "recording")
NUMBERS = st.decimals(allow_nan=False, allow_infinity=False)
TEXTS = st.text(min_size=1, max_size=12)
TRADES = st.builds(
    WireTrade, s=TEXTS, p=NUMBERS, t=st.integers(0, 2**62), v=NUMBERS, c=st.none() | st.lists(TEXTS).map(tuple)
)


def frame(*trades: WireTrade, received_us: int = 7_000_000) -> TradeFrame:
    """Make a frame of prints."""
    return TradeFrame(trades, received_us)


def print_of(
    symbol: str = "IBM", price: str = "182.30", ts_ms: int = 1, codes: tuple[str, ...] | None = ()
) -> WireTrade:
    """Make one print."""
    return WireTrade(symbol, Decimal(price), ts_ms, Decimal(300), codes)


def test_a_trade_is_encoded_exactly_as_the_contract_shows_it() -> None:
    """The value is the JSON of the design, field for field, and the price keeps its digits."""
    trade = WireTrade("IBM", Decimal("182.30"), 1381165151060, Decimal(300), ("1",))
    [record] = CODEC.encode(TradeFrame((trade,), 1381165151250000))
    assert record.value == (
        b'{"type":"trade","symbol":"IBM","price":182.30,"volume":300,"ts_ms":1381165151060,"conditions":["1"],'
        b'"received_us":1381165151250000,"position":0,"occurrence":0}'
    )
    assert (record.topic, record.key) == ("stocks-topic", b"IBM")
    assert record.headers == [("type", b"trade"), ("schema", b"1"), ("source", b"recording")]


def test_a_status_is_encoded_exactly_as_the_contract_shows_it() -> None:
    """One record per symbol, keyed by it."""
    statuses = (FeedStatus("A", FeedState.ALIVE, 1, 2), FeedStatus("B", FeedState.SILENT, 1, 2, "no message"))
    first, second = CODEC.encode(StatusBatch(statuses, 9))
    assert first.value == (
        b'{"type":"status","symbol":"A","state":"alive","from_us":1,"to_us":2,"reason":"","received_us":9}'
    )
    assert (second.key, second.headers[0]) == (b"B", ("type", b"status"))
    assert decode_event(second.value) == statuses[1]


def test_what_cannot_be_read_goes_to_the_dead_letters_untouched() -> None:
    """The bytes are those that came; error and times are headers."""
    [record] = CODEC.encode(Undecodable(b"\xff{", "malformed", 1_381_165_151_250_000))
    assert (record.topic, record.key, record.value) == ("stocks-dlq", None, b"\xff{")
    assert dict(record.headers) == {
        "type": b"undecodable",
        "schema": b"1",
        "source": b"recording",
        "error": b"malformed",
        "failed-at": b"2013-10-07T16:59:11.250000+00:00",
        "received-us": b"1381165151250000",
    }


def test_occurrence_counts_equal_prints_of_one_frame() -> None:
    """Equal means the same numbers and the same codes in any order; position is the place in the frame."""
    trades = (
        print_of(codes=("1", "2")),
        print_of(price="182.3", codes=("2", "1")),
        print_of(codes=None),
        print_of(codes=()),
        print_of(symbol="SPY"),
    )
    events = [json.loads(record.value) for record in CODEC.encode(frame(*trades))]
    assert [event["occurrence"] for event in events] == [0, 1, 0, 1, 0]
    assert [event["position"] for event in events] == [0, 1, 2, 3, 4]
    assert events[2]["conditions"] == []


def test_what_is_left_of_a_frame_keeps_its_places() -> None:
    """A print that couldn't be read leaves its position free."""
    left = TradeFrame((print_of(), print_of(), print_of("SPY")), 7, positions=(0, 3, 4))
    events = [json.loads(record.value) for record in CODEC.encode(left)]
    assert [(event["position"], event["occurrence"]) for event in events] == [(0, 0), (3, 1), (4, 0)]


@given(st.lists(TRADES, min_size=1, max_size=5))
@example([print_of(price="1E-7")])
@example([print_of(price="1" * 200 + ".30")])
@example([print_of(price="-0.00")])
def test_a_trade_comes_back_as_it_was(trades: list[WireTrade]) -> None:
    """Every digit of price and volume survives the way there and back."""
    for offset, (wire, record) in enumerate(zip(trades, CODEC.encode(frame(*trades)), strict=True)):
        trade = decode_event(record.value, arrival=offset)
        assert isinstance(trade, Trade)
        assert (trade.symbol, trade.ts_ms, trade.conditions, trade.arrival) == (wire.s, wire.t, wire.c or (), offset)
        assert (str(trade.price), str(trade.volume)) == (str(wire.p), str(wire.v))


@given(st.binary() | st.recursive(st.none() | TEXTS | st.integers() | NUMBERS, st.lists).map(msgspec.json.encode))
@example(b'{"type":"trade","x":' + b"[" * 100_000)
@example(
    b'{"type":"trade","symbol":"A","price":"NaN","volume":1,"ts_ms":1,"conditions":[],"received_us":1,"position":0,"occurrence":0}'
)
@example(b'{"type":"status","symbol":"\xff","state":"alive","from_us":1,"to_us":1,"reason":"","received_us":1}')
@example(b'{"type":"status","symbol":"A","state":"bored","from_us":1,"to_us":1,"reason":"","received_us":1}')
def test_bytes_that_are_no_event_are_named_and_never_raise(value: bytes) -> None:
    """Random bytes and random JSON give a reason, and are no loss of a symbol."""
    event = decode_event(value)
    assert isinstance(event, BadEvent)
    assert event.reason
    assert loss_of(value) is None


@pytest.mark.parametrize(
    ("ts_ms", "span"),
    [
        (6_900, (6_900_000, 7_001_000)),
        (7_200, (7_000_000, 7_201_000)),
        (-(10**15), (7_000_000 - 3_600_000_000, 7_001_000)),
        (10**15, (7_000_000, 7_001_000 + 3_600_000_000)),
    ],
)
def test_a_lost_trade_is_lost_at_its_own_time_and_at_that_of_its_arrival(ts_ms: int, span: tuple[int, int]) -> None:
    """A time that can't be believed widens the gap by an hour at most."""
    [record] = CODEC.encode(frame(print_of(ts_ms=ts_ms)))
    assert loss_of(record.value) == ("IBM", *span)


def test_losses_of_a_symbol_join_to_one_interval() -> None:
    """The interval covers all that was lost; told symbols are forgotten, dead letters never counted."""
    book = LossBook()
    book.note_all(CODEC.encode(frame(print_of(ts_ms=7_000), print_of(ts_ms=9_000), print_of("SPY", ts_ms=7_000))))
    book.note_all(CODEC.encode(StatusBatch((FeedStatus("IBM", FeedState.ALIVE, 5_000_000, 8_000_000),), 1)))
    book.note(b"no event")
    spans = {status.symbol: (status.from_us, status.to_us) for status in book.statuses()}
    assert spans == {"IBM": (5_000_000, 9_001_000), "SPY": (7_000_000, 7_001_000)}
    book.settle("IBM")
    book.settle("SPY")
    assert not book
