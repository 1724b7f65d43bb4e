"""Read one WebSocket message, print by print where it can't be read as a whole, and say what is lost."""

from dataclasses import dataclass

import msgspec

from tickhouse.finnhub.wire import LostPrint, Message, WireTrade, decode_message

__all__ = ["Reading", "read_message"]

KNOWN_TYPES = frozenset({"trade", "ping", "error"})
NAMED_PRINTS = 5  # of one message's bad prints, those that its problem spells out
# Bytes that are no text have an error of their own, and a deep nest of brackets exhausts the decoder's stack.
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


@dataclass(frozen=True, slots=True)
class Reading:
    """What could be read of a message, and in a few words what could not.

    `positions` are the places of the message's prints in its frame, empty where none is missing.
    """

    message: Message | None
    problem: str = ""
    lost: tuple[LostPrint, ...] = ()
    positions: tuple[int, ...] = ()


class _Envelope(msgspec.Struct, gc=False):
    type: str
    data: msgspec.Raw = msgspec.Raw(b"")
    at_us: object = None


class _Named(msgspec.Struct, gc=False):
    s: str


class _Timed(msgspec.Struct, gc=False):
    t: int | float


_envelopes = msgspec.json.Decoder(_Envelope)
_parts = msgspec.json.Decoder(list[msgspec.Raw])
_prints = msgspec.json.Decoder(WireTrade)
_named = msgspec.json.Decoder(_Named)
_timed = msgspec.json.Decoder(_Timed)


def read_message(raw: bytes) -> Reading:
    """Read a message; whatever the bytes are, nothing is raised."""
    try:
        message = decode_message(raw)
    except UNREADABLE as error:
        return _read_envelope(raw, str(error))
    if message.type not in KNOWN_TYPES:
        return Reading(message, _unknown(message.type))
    if message.type == "trade" and not (message.data and all(map(_is_number, message.data))):
        return _read_envelope(raw, "")
    return Reading(message)


def _read_envelope(raw: bytes, problem: str) -> Reading:
    try:
        envelope = _envelopes.decode(raw)
    except UNREADABLE as error:
        return Reading(None, problem or str(error), (LostPrint(),))
    at_us = envelope.at_us if isinstance(envelope.at_us, int) and not isinstance(envelope.at_us, bool) else None
    if envelope.type != "trade":
        known = envelope.type in KNOWN_TYPES
        return Reading(Message(envelope.type, at_us=at_us), problem if known else _unknown(envelope.type))
    try:
        parts = _parts.decode(envelope.data)
    except UNREADABLE:
        return Reading(Message("trade", at_us=at_us), problem or "trades without data", (LostPrint(),))
    return _read_prints(parts, at_us, problem)


def _read_prints(parts: list[msgspec.Raw], at_us: int | None, problem: str) -> Reading:
    good: dict[int, WireTrade] = {}
    lost: list[LostPrint] = []
    named: list[str] = []
    for position, part in enumerate(parts):
        trade = _read_print(part)
        if isinstance(trade, WireTrade):
            good[position] = trade
        else:
            lost.append(LostPrint(_symbol_of(part), _time_of(part)))
            named.append(f"print {position} of {(lost[-1].symbol or '?')[:50]!r}: {trade}")
    if len(named) > NAMED_PRINTS:
        named[NAMED_PRINTS:] = [f"{len(named) - NAMED_PRINTS} more"]
    positions = tuple(good) if lost else ()
    return Reading(
        Message("trade", tuple(good.values()), at_us=at_us), "; ".join(named) or problem, tuple(lost), positions
    )


def _read_print(part: msgspec.Raw) -> WireTrade | str:
    try:
        trade = _prints.decode(part)
    except UNREADABLE as error:
        return str(error)
    return trade if _is_number(trade) else "price or volume is no number"


def _is_number(trade: WireTrade) -> bool:
    return trade.p.is_finite() and trade.v.is_finite()  # the text "NaN" passes as a decimal


def _symbol_of(part: msgspec.Raw) -> str | None:
    try:
        return _named.decode(part).s
    except UNREADABLE:
        return None


def _time_of(part: msgspec.Raw) -> int | None:
    try:
        time_ms = _timed.decode(part).t
    except UNREADABLE:
        return None
    return int(time_ms)


def _unknown(kind: str) -> str:
    return f"unknown type {kind[:50]!r}"
