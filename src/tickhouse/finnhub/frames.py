"""Read one WebSocket message, or say in a few words why it can't be read."""

import msgspec

from tickhouse.finnhub.wire import Message, decode_message

__all__ = ["read_message"]

KNOWN_TYPES = frozenset({"trade", "ping", "error"})


def read_message(raw: bytes) -> tuple[Message | None, str]:
    """Return the message and its problem: one of None and the message, or both where its type is unknown."""
    try:
        message = decode_message(raw)
    except (msgspec.DecodeError, RecursionError) as error:  # a deep nest of brackets exhausts the decoder's stack
        return None, str(error)
    if message.type not in KNOWN_TYPES:
        return message, f"unknown type {message.type[:50]!r}"
    for trade in message.data:
        if not (trade.p.is_finite() and trade.v.is_finite()):  # the text "NaN" passes as a decimal
            return None, f"price or volume of {trade.s[:50]!r} is no number"
    return message, ""
