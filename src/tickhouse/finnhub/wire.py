"""Define what Finnhub's WebSocket says, as it is on the wire, and what the client makes of it."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated

import msgspec

from tickhouse.market.types import FeedStatus

__all__ = [
    "FeedItem",
    "LostPrint",
    "Message",
    "StatusBatch",
    "TradeFrame",
    "Undecodable",
    "WireTrade",
    "decode_message",
]


class WireTrade(msgspec.Struct, frozen=True, gc=False):
    """One print: symbol, price, UTC epoch milliseconds, volume, condition codes (null or absent means none)."""

    s: Annotated[str, msgspec.Meta(min_length=1)]
    p: Decimal
    t: int
    v: Decimal
    c: tuple[str, ...] | None = None


class Message(msgspec.Struct, frozen=True, gc=False):
    """One WebSocket message; `at_us` is market time, which only the simulator tells and only when asked to."""

    type: str
    data: tuple[WireTrade, ...] = ()
    msg: str = ""
    at_us: int | None = None


@dataclass(frozen=True, slots=True)
class LostPrint:
    """A print that can't be read: its symbol and UTC epoch milliseconds, as far as these can be."""

    symbol: str | None = None
    ts_ms: int | None = None


@dataclass(frozen=True, slots=True)
class TradeFrame:
    """The prints of one message; `received_us` is unique per frame.

    `positions` are the prints' places in the message, empty where all of it could be read.
    """

    trades: tuple[WireTrade, ...]
    received_us: int
    positions: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Undecodable:
    """A message that can't be read, its bytes as they came, and why."""

    raw: bytes
    error: str
    received_us: int


@dataclass(frozen=True, slots=True)
class StatusBatch:
    """Feed-status events of one moment, one per symbol."""

    statuses: tuple[FeedStatus, ...]
    received_us: int


FeedItem = TradeFrame | Undecodable | StatusBatch
_decoder = msgspec.json.Decoder(Message)


def decode_message(raw: bytes | str) -> Message:
    """Decode one message; raise `msgspec.DecodeError` where it is not of Finnhub's shape."""
    return _decoder.decode(raw)
