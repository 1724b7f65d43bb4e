"""Tell the time: the only place that reads a clock."""

import time
from typing import Protocol

__all__ = ["Clock", "MarketClock", "SystemClock"]


class Clock(Protocol):
    """Give the time that events are stamped with, in UTC epoch microseconds."""

    def now_us(self) -> int:
        """Return the current time; never earlier than an earlier answer."""
        ...


class SystemClock:
    """Read the machine's clock, holding still where it is set back."""

    def __init__(self) -> None:
        self._last_us = 0

    def now_us(self) -> int:
        """Return the current UTC time in microseconds, monotonic within this object."""
        self._last_us = max(self._last_us, time.time_ns() // 1_000)
        return self._last_us


class MarketClock:
    """Follow the market time that a simulator tells: recordings and the synthetic market live in it."""

    def __init__(self, start_us: int = 0) -> None:
        self._now_us = start_us

    def now_us(self) -> int:
        """Return the latest market time that was told."""
        return self._now_us

    def advance_to(self, now_us: int) -> None:
        """Move on to a market time; an earlier one is ignored."""
        self._now_us = max(self._now_us, now_us)
