"""Read recordings of Finnhub's frames: gzip, one JSON object a line."""

import gzip
import heapq
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from tickhouse.errors import RecordingInvalid
from tickhouse.finnhub.source import TimedFrame
from tickhouse.finnhub.wire import WireTrade
from tickhouse.market import LATE_AFTER_MS

__all__ = ["Recording"]

MINUTE_US = 60_000_000


class _Frame(msgspec.Struct, frozen=True, gc=False):
    type: Literal["trade"]
    data: tuple[WireTrade, ...]


class _Line(msgspec.Struct, frozen=True, gc=False):
    received_at: int
    message: _Frame


_decoder = msgspec.json.Decoder(_Line)


class Recording:
    """Play one or more recorded files, merged by the time at which their frames came.

    All lines are checked when it is opened, so that nothing of a bad file is ever sent; they are read again while it
    plays, so that memory stays small. Market time starts on a whole minute before the frames. It ends past the minute
    of the last one, when no print could be in time for its bar any more, so that this bar is closed too.
    """

    name = "recording"

    def __init__(self, paths: Sequence[Path]) -> None:
        if not paths:
            raise ValueError("a recording needs at least one file")
        self.paths = tuple(paths)
        self.frame_count = 0
        self.trade_count = 0
        symbols: set[str] = set()
        edges: list[int] = []
        for path in self.paths:
            first_us, last_us = self._check(path, symbols)
            edges += [first_us, last_us]
        self.symbols = tuple(sorted(symbols))
        self.starts_us = min(edges) // MINUTE_US * MINUTE_US
        self.ends_us = -(-max(edges) // MINUTE_US) * MINUTE_US + LATE_AFTER_MS * 1_000

    def frames(self) -> Iterator[TimedFrame]:
        """Yield the frames of all files in the order in which they came."""
        return heapq.merge(*(_read(path) for path in self.paths), key=lambda frame: frame.at_us)

    def _check(self, path: Path, symbols: set[str]) -> tuple[int, int]:
        """Read one file whole, add up what it holds, and return its first and last time."""
        times: list[int] = []
        for frame in _read(path):
            times.append(frame.at_us)
            self.trade_count += len(frame.trades)
            symbols.update(trade.s for trade in frame.trades)
        if not times:
            raise RecordingInvalid(path, 1, "the file holds no frame")
        self.frame_count += len(times)
        return times[0], times[-1]


def _read(path: Path) -> Iterator[TimedFrame]:
    """Yield the frames of one file; raise `RecordingInvalid` at the first bad line."""
    number, last_us = 0, 0
    try:
        with gzip.open(path, "rb") as lines:
            for number, line in enumerate(lines, start=1):
                frame = _decode(line)
                if frame.at_us < last_us:
                    raise RecordingInvalid(path, number, "received_at is before that of the line above")
                last_us = frame.at_us
                yield frame
    except ValueError as error:
        raise RecordingInvalid(path, number, str(error)) from None
    except (OSError, EOFError, zlib.error) as error:
        raise RecordingInvalid(path, number + 1, f"the file can't be read: {error}") from error


def _decode(line: bytes) -> TimedFrame:
    """Decode one line; raise `ValueError` where it is no frame of prints."""
    decoded = _decoder.decode(line)
    for trade in decoded.message.data:
        if not (trade.p.is_finite() and trade.v.is_finite() and trade.p > 0 and trade.v >= 0):
            message = f"price {trade.p} and volume {trade.v} are no print"
            raise ValueError(message)
    return TimedFrame(decoded.received_at * 1_000, decoded.message.data)
