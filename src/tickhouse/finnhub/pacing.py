"""Let market time pass: as fast as the clients read, at N times its pace, or in real time."""

import asyncio
import time
from typing import Protocol

from tickhouse.clock import Clock

__all__ = ["AsFastAsRead", "AtSpeed", "Pace", "RealTime"]

POLL_S = 0.05  # a clock that is passed in may jump


class Pace(Protocol):
    """Decide when a frame is due; `holds` says that the market stands still while nobody listens."""

    @property
    def holds(self) -> bool:
        """Tell whether the market waits for an audience."""
        ...

    def start(self) -> None:
        """Say that the first client listens."""
        ...

    def now_us(self, sent_us: int) -> int:
        """Return the market time, given that of the last frame; the caller bounds it by the next frame's."""
        ...

    def is_due(self, at_us: int) -> bool:
        """Tell whether a frame of this market time may be sent now."""
        ...

    async def until(self, at_us: int) -> None:
        """Return when a frame of this market time is due."""
        ...


class AsFastAsRead:
    """Send without a pause: market time is that of the last frame."""

    holds = True

    def start(self) -> None:
        """Need nothing to start."""

    def now_us(self, sent_us: int) -> int:
        """Return the last frame's time."""
        return sent_us

    def is_due(self, at_us: int) -> bool:  # noqa: ARG002  # the port's signature
        """Find every frame due."""
        return True

    async def until(self, at_us: int) -> None:
        """Return at once."""


class AtSpeed:
    """Let market time run `speed` times as fast as the wall clock from the first client on."""

    holds = False

    def __init__(self, speed: float, starts_us: int) -> None:
        self._speed = speed
        self._starts_us = starts_us
        self._started: float | None = None

    def start(self) -> None:
        """Start the market's clock."""
        self._started = time.monotonic()

    def now_us(self, sent_us: int) -> int:
        """Return the market's clock."""
        if self._started is None:
            return sent_us
        return self._starts_us + round((time.monotonic() - self._started) * self._speed * 1e6)

    def is_due(self, at_us: int) -> bool:
        """Tell whether the market's clock shows `at_us`."""
        return self.now_us(self._starts_us) >= at_us

    async def until(self, at_us: int) -> None:
        """Sleep until the market's clock shows `at_us`."""
        await asyncio.sleep((at_us - self.now_us(self._starts_us)) / self._speed / 1e6)


class RealTime:
    """Send what lies in the past without a pause; from the first wait on, follow the clock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.holds = True

    def start(self) -> None:
        """Need nothing to start."""

    def now_us(self, sent_us: int) -> int:
        """Return the last frame's time while there is history left, else the clock's."""
        return sent_us if self.holds else self._clock.now_us()

    def is_due(self, at_us: int) -> bool:
        """Tell whether the clock shows `at_us`."""
        return self._clock.now_us() >= at_us

    async def until(self, at_us: int) -> None:
        """Wait until the clock shows `at_us`; the first wait ends the history."""
        while (left_us := at_us - self._clock.now_us()) > 0:
            self.holds = False
            await asyncio.sleep(min(left_us / 1e6, POLL_S))
