"""Say what the simulator plays: frames of prints in market time."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from tickhouse.finnhub.wire import WireTrade

__all__ = ["FrameSource", "TimedFrame"]


@dataclass(frozen=True, slots=True)
class TimedFrame:
    """The prints that one message carries, and the market time (UTC epoch microseconds) at which it is sent."""

    at_us: int
    trades: tuple[WireTrade, ...]


class FrameSource(Protocol):
    """Give frames in market time; one that has no end goes on in real time."""

    @property
    def name(self) -> str:
        """Return what the source is called in headers and in the state folder: recording or synthetic."""
        ...

    @property
    def starts_us(self) -> int:
        """Return the market time at which the source starts."""
        ...

    @property
    def ends_us(self) -> int | None:
        """Return the market time at which it ends; None where it never does."""
        ...

    @property
    def symbols(self) -> tuple[str, ...]:
        """Return all symbols that may occur."""
        ...

    def frames(self) -> Iterator[TimedFrame]:
        """Yield all frames from the start on, in the order of `at_us`."""
        ...
