"""Play a source to an audience: pace, faults, and what was sent."""

import asyncio
import threading
from typing import Literal

from tickhouse.finnhub.audience import Audience
from tickhouse.finnhub.faults import DropFault, Fault, FaultInjector, FaultPlan
from tickhouse.finnhub.pacing import Pace
from tickhouse.finnhub.source import FrameSource, TimedFrame
from tickhouse.log import get_logger

__all__ = ["Playback"]

log = get_logger("finnhub.simulator")
BREATHE_EVERY = 8  # frames after which other tasks get a turn, even if the client reads at once


class Playback:
    """Send a source's frames when they are due.

    While nobody listens, the market waits as long as its pace holds: a client that was dropped misses only what was in
    flight. At a speed, and in real time, the market moves on and those prints are missed, as with Finnhub.
    `caught_up` is set when all of a recording, or the synthetic market's history, was sent.
    """

    def __init__(self, source: FrameSource, pace: Pace, plan: FaultPlan) -> None:
        self.source = source
        self.audience = Audience(source.symbols)
        self.faults = FaultInjector(plan)
        self.caught_up = threading.Event()
        self.frames_sent = 0
        self.trades_sent = 0
        self._pace = pace
        self._sent_us = source.starts_us
        self._next_us = source.starts_us

    @property
    def now_us(self) -> int:
        """Return the market time: never past a frame that is still to be sent, and never before one that was."""
        return max(self._sent_us, min(self._pace.now_us(self._sent_us), self._next_us))

    async def play(self) -> None:
        """Send all frames, then the final ping; begin when somebody listens."""
        await self.audience.settled()
        self._pace.start()
        ends_us = self.source.ends_us
        for number, frame in enumerate(self.faults.shape(self.source.frames(), ends_us)):
            self._next_us = frame.at_us
            await self._wait_for(frame.at_us)
            await self._deliver(frame)
            if number % BREATHE_EVERY == 0:
                await asyncio.sleep(0)
        if ends_us is not None:
            await self._finish(ends_us)

    async def inject(self, fault: Fault) -> None:
        """Make a fault happen: a drop at once, the others with the next frame."""
        if isinstance(fault, DropFault):
            await self._drop(self.faults.drop_kind(fault.how))
        else:
            self.faults.ask(fault)

    async def _wait_for(self, at_us: int) -> None:
        if self._pace.is_due(at_us):
            return
        if self.source.ends_us is None and not self.caught_up.is_set():
            self._set_caught_up()
        await self._pace.until(at_us)

    async def _deliver(self, frame: TimedFrame) -> None:
        """Send one frame, again where the market waits and the only client was lost on it."""
        is_lost = True
        while is_lost:
            if self._pace.holds:
                await self.audience.settled()
            frames, trades, is_lost = await self.audience.send(frame)
            is_lost = is_lost and self._pace.holds
        self._sent_us = frame.at_us
        self.frames_sent += frames
        self.trades_sent += trades
        if frames and (how := self.faults.drop_due()) is not None:
            await self._drop(how)

    async def _finish(self, ends_us: int) -> None:
        """Tell who knows market time that the recording has ended."""
        self._next_us = ends_us
        await self._pace.until(ends_us)
        if self._pace.holds:
            await self.audience.settled()
        self._sent_us = ends_us
        for connection in self.audience.connections:
            if connection.market_us is not None:
                await connection.ping()
        self._set_caught_up()

    async def _drop(self, how: Literal["clean", "abrupt"]) -> None:
        dropped = await self.audience.drop_all(how)
        self.faults.injected["drop"] += dropped
        log.info("simulator.dropped", how=how, connections=dropped, frames=self.frames_sent)

    def _set_caught_up(self) -> None:
        log.info("simulator.caught_up", frames=self.frames_sent, trades=self.trades_sent, market_us=self.now_us)
        self.caught_up.set()
