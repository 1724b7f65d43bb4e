"""Find and read the recordings: real market ticks with the vendor's own minute bars beside them."""

import csv
import gzip
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import msgspec

from tickhouse.finnhub.wire import Message
from tickhouse.market import Trade

NAMES = ("AIG-20131007", "AIG-20131008", "IBM-20131007", "IBM-20131008", "SPY-20131007")
ROOT = Path(__file__).parent.parent.parent


@dataclass(frozen=True, slots=True)
class VendorBar:
    """One minute of the vendor, prices in dollars, volume in shares."""

    opened_ms: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal


class RecordedFrame(msgspec.Struct, frozen=True):
    """One line of a recording; `received_at` is UTC epoch milliseconds."""

    received_at: int
    message: Message


def recordings_dir() -> Path | None:
    """Return the folder of the recordings: TICKHOUSE_RECORDINGS, else the one beside the checkout; None without one."""
    configured = os.environ.get("TICKHOUSE_RECORDINGS")
    folder = Path(configured) if configured else ROOT.parent / "shared" / "data" / "recordings"
    return folder if folder.is_dir() else None


def read_frames(path: Path) -> Iterator[RecordedFrame]:
    """Yield the frames of a recording in order."""
    decoder = msgspec.json.Decoder(RecordedFrame)
    with gzip.open(path, "rb") as lines:
        for line in lines:
            yield decoder.decode(line)


def read_trades(path: Path) -> Iterator[Trade]:
    """Yield the prints of a recording as they would come in, `arrival` counting from 0."""
    arrival = 0
    for frame in read_frames(path):
        equal: Counter[object] = Counter()
        for wire in frame.message.data:
            codes = wire.c or ()
            identity = (wire.s, wire.t, wire.p, wire.v, tuple(sorted(codes)))
            yield Trade(wire.s, wire.t, wire.p, wire.v, codes, arrival, equal[identity])
            equal[identity] += 1
            arrival += 1


def read_vendor_bars(path: Path) -> dict[int, VendorBar]:
    """Return the vendor's minute bars by their start, UTC epoch milliseconds."""
    with path.open(newline="", encoding="utf-8") as lines:
        rows = csv.DictReader(lines)
        bars = [
            VendorBar(
                int(row["bar_start_utc_ms"]),
                *(Decimal(row[field]) for field in ("open", "high", "low", "close", "volume")),
            )
            for row in rows
        ]
    return {bar.opened_ms: bar for bar in bars}
