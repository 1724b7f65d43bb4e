"""Turn what the feed says into Kafka records, and records back into events."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated

import msgspec

from tickhouse.finnhub import FeedItem, StatusBatch, TradeFrame, Undecodable, WireTrade
from tickhouse.market import FeedState, FeedStatus, Trade

__all__ = ["BadEvent", "Codec", "Headers", "Record", "decode_event", "loss_of", "occurrences"]

SCHEMA = b"1"
MAX_ERROR_CHARS = 500
US_PER_MS = 1_000
US_PER_S = 1_000_000
WIDEST_LOSS_US = 3_600 * US_PER_S  # later than the latest print on record (40 minutes)

# Bytes that are no text have an error of their own, and a deep nest of brackets exhausts the decoder's stack.
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

Headers = list[tuple[str, str | bytes | None]]  # as confluent-kafka types them; ours are bytes
Symbol = Annotated[str, msgspec.Meta(min_length=1)]


class Record(msgspec.Struct, frozen=True, gc=False):
    """One Kafka record to be produced; records of one kind share their list of headers."""

    topic: str
    key: bytes | None
    value: bytes
    headers: Headers


@dataclass(frozen=True, slots=True)
class BadEvent:
    """Why a value is no event."""

    reason: str


class TradeEvent(msgspec.Struct, frozen=True, gc=False, tag_field="type", tag="trade"):
    """The JSON of one print, in the order of its fields."""

    symbol: Symbol
    price: Decimal
    volume: Decimal
    ts_ms: int
    conditions: tuple[str, ...]
    received_us: int
    position: int
    occurrence: int


class StatusEvent(msgspec.Struct, frozen=True, gc=False, tag_field="type", tag="status"):
    """The JSON of one feed-status event, in the order of its fields."""

    symbol: Symbol
    state: FeedState
    from_us: int
    to_us: int
    reason: str
    received_us: int


_encode = msgspec.json.Encoder(decimal_format="number").encode  # keeps a price's digits: 182.30 stays 182.30
_decoder = msgspec.json.Decoder(TradeEvent | StatusEvent)


class Codec:
    """Encode for one pair of topics and one source (finnhub, recording, synthetic)."""

    def __init__(self, topic: str, dlq_topic: str, source: str) -> None:
        self._topic = topic
        self._dlq_topic = dlq_topic
        self._trade_headers = _headers(b"trade", source)
        self._status_headers = _headers(b"status", source)
        self._dlq_headers = _headers(b"undecodable", source)

    def encode(self, item: FeedItem) -> list[Record]:
        """Return one record per print or status; one with the original bytes for what couldn't be decoded."""
        if isinstance(item, TradeFrame):
            return self._trades(item)
        if isinstance(item, StatusBatch):
            return [self._status(status, item.received_us) for status in item.statuses]
        return [self._dead_letter(item)]

    def _trades(self, frame: TradeFrame) -> list[Record]:
        records = []
        positions = frame.positions or range(len(frame.trades))
        for position, trade, occurrence in zip(positions, frame.trades, occurrences(frame.trades), strict=True):
            event = TradeEvent(
                symbol=trade.s,
                price=trade.p,
                volume=trade.v,
                ts_ms=trade.t,
                conditions=trade.c or (),
                received_us=frame.received_us,
                position=position,
                occurrence=occurrence,
            )
            records.append(Record(self._topic, trade.s.encode(), _encode(event), self._trade_headers))
        return records

    def _status(self, status: FeedStatus, received_us: int) -> Record:
        event = StatusEvent(
            symbol=status.symbol,
            state=status.state,
            from_us=status.from_us,
            to_us=status.to_us,
            reason=status.reason,
            received_us=received_us,
        )
        return Record(self._topic, status.symbol.encode(), _encode(event), self._status_headers)

    def _dead_letter(self, item: Undecodable) -> Record:
        failed_at = datetime.fromtimestamp(item.received_us / US_PER_S, UTC).isoformat()
        headers = [
            *self._dlq_headers,
            ("error", item.error[:MAX_ERROR_CHARS].encode(errors="backslashreplace")),
            ("failed-at", failed_at.encode()),
            ("received-us", b"%d" % item.received_us),
        ]
        return Record(self._dlq_topic, None, item.raw, headers)


def occurrences(trades: Sequence[WireTrade]) -> Iterator[int]:
    """Yield per print how many equal ones stand before it in the frame; equal numbers may be written differently."""
    if len(trades) == 1:
        yield 0
        return
    seen: dict[tuple[object, ...], int] = {}
    for trade in trades:
        identity = (trade.s, trade.t, trade.p, trade.v, tuple(sorted(trade.c or ())))
        count = seen.get(identity, 0)
        seen[identity] = count + 1
        yield count


def decode_event(value: bytes, arrival: int = 0) -> Trade | FeedStatus | BadEvent:
    """Read a record's value; `arrival` is its Kafka offset. Whatever the bytes are, nothing is raised."""
    event = _read(value)
    if isinstance(event, BadEvent):
        return event
    if isinstance(event, StatusEvent):
        return FeedStatus(event.symbol, event.state, event.from_us, event.to_us, event.reason)
    return Trade(
        symbol=event.symbol,
        ts_ms=event.ts_ms,
        price=event.price,
        volume=event.volume,
        conditions=event.conditions,
        arrival=arrival,
        occurrence=event.occurrence,
    )


def loss_of(value: bytes) -> tuple[str, int, int] | None:
    """Return symbol and [from_us, to_us] of what is lost with a record that Kafka didn't take; None if no event.

    A print is lost at its own time and at that of its arrival; a time of its own that can't be believed is bounded.
    """
    event = _read(value)
    if isinstance(event, BadEvent):
        return None
    if isinstance(event, StatusEvent):
        return event.symbol, event.from_us, event.to_us
    arrived_us = event.received_us
    printed_us = max(arrived_us - WIDEST_LOSS_US, min(event.ts_ms * US_PER_MS, arrived_us + WIDEST_LOSS_US))
    return event.symbol, min(printed_us, arrived_us), max(printed_us, arrived_us) + US_PER_MS


def _read(value: bytes) -> TradeEvent | StatusEvent | BadEvent:
    try:
        event: TradeEvent | StatusEvent = _decoder.decode(value)
    except UNREADABLE as error:
        return BadEvent(str(error))
    if isinstance(event, TradeEvent) and not (event.price.is_finite() and event.volume.is_finite()):
        return BadEvent("price or volume is no number")
    return event


def _headers(kind: bytes, source: str) -> Headers:
    return [("type", kind), ("schema", SCHEMA), ("source", source.encode())]
