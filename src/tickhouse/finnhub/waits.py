"""Wait for one thing at a time, no longer than allowed, and no longer than until the stop."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager, suppress
from typing import TypeVar

__all__ = ["Waits", "waits_until"]

T = TypeVar("T")


class Waits:
    """Bound each wait of one task by a time and by one stop event."""

    def __init__(self, stop: asyncio.Event) -> None:
        self.stop = stop
        self._current: asyncio.Timeout | None = None

    async def within(self, seconds: float, awaitable: Awaitable[T]) -> T:
        """Await `awaitable`; raise `TimeoutError` when `seconds` have passed or the stop is set.

        What can be had without waiting is returned in any case.
        """
        async with asyncio.timeout(0 if self.stop.is_set() else seconds) as timeout:
            self._current = timeout
            try:
                return await awaitable
            finally:
                self._current = None

    async def pause(self, seconds: float) -> None:
        """Sleep, at most until the stop."""
        with suppress(TimeoutError):
            await self.within(seconds, self.stop.wait())

    async def cut_at_stop(self) -> None:
        """End the current wait when the stop is set."""
        await self.stop.wait()
        if self._current is not None and not self._current.expired():
            self._current.reschedule(asyncio.get_running_loop().time())


@asynccontextmanager
async def waits_until(stop: asyncio.Event) -> AsyncIterator[Waits]:
    """Give waits that the setting of `stop` cuts short."""
    waits = Waits(stop)
    cutting = asyncio.create_task(waits.cut_at_stop())
    try:
        yield waits
    finally:
        cutting.cancel()
        with suppress(asyncio.CancelledError):
            await cutting
