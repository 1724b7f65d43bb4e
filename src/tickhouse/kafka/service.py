"""Carry the feed to Kafka until told to stop, and tell what could not be carried."""

import asyncio
import threading
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Protocol

from tickhouse.errors import TickhouseError
from tickhouse.finnhub import FeedItem, StatusBatch, TradeFrame
from tickhouse.kafka.codec import Codec, Record
from tickhouse.kafka.losses import LossBook
from tickhouse.log import get_logger

__all__ = ["Feed", "Outbox", "ProducerService", "ServiceConfig"]

TEND_EVERY_S = 0.05
ROOM_EVERY_S = 0.01

log = get_logger("kafka.producer")


class Outbox(Protocol):
    """Where the records go: `kafka.Producer`."""

    @property
    def capacity(self) -> int:
        """Return how many records it can hold."""
        ...

    @property
    def queued(self) -> int:
        """Return how many records are still to be acknowledged."""
        ...

    @property
    def acked(self) -> int:
        """Return how many records were acknowledged."""
        ...

    def offer(self, record: Record) -> bool:
        """Queue a record; return False when there is no room."""
        ...

    def serve(self) -> None:
        """Take delivery reports without waiting; raise what can't mend itself."""
        ...

    def take_lost(self) -> list[bytes]:
        """Return the values of records that were refused since the last call."""
        ...

    def flush(self, timeout_s: float) -> int:
        """Wait until all is delivered; return how many records are not."""
        ...


class Feed(Protocol):
    """Where the items come from: `finnhub.FeedStream`."""

    def items(self, stop: asyncio.Event) -> AsyncGenerator[FeedItem, None]:
        """Yield items until `stop` is set."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceConfig:
    """Say how long to hold the feed back when Kafka takes no more, and how long to wait for it at the end."""

    stall_s: float = 30.0
    flush_s: float = 30.0
    report_every_s: float = 10.0


class ProducerService:
    """Produce what a feed says; counters may be read from any thread.

    When the buffer is full the feed is left unread for `stall_s`, then records are dropped. Once half of the buffer is
    free, a `dropped` status per symbol is produced before anything else.
    """

    def __init__(self, feed: Feed, codec: Codec, producer: Outbox, config: ServiceConfig | None = None) -> None:
        self._feed = feed
        self._codec = codec
        self._producer = producer
        self._config = ServiceConfig() if config is None else config
        self._losses = LossBook()
        self._is_dropping = False
        self._received_us = 0
        self._reported_s = 0.0
        self._reported: tuple[int, ...] = ()
        self.frames = 0
        self.trades = 0
        self.statuses = 0
        self.undecodable = 0
        self.dropped = 0

    @property
    def acked(self) -> int:
        """Return how many records Kafka acknowledged."""
        return self._producer.acked

    @property
    def queued(self) -> int:
        """Return how many records Kafka has still to acknowledge."""
        return self._producer.queued

    def drained(self) -> bool:
        """Tell whether all that was taken from the feed is acknowledged, or told as lost."""
        return self._producer.queued == 0 and not self._owes()

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set or the feed ends; raise what the feed or Kafka can't recover from."""
        asyncio.run(self._run(stop))

    async def _run(self, stop: threading.Event) -> None:
        halt = asyncio.Event()
        self._reported_s = asyncio.get_running_loop().time()
        feeding = asyncio.create_task(self._carry(halt))
        try:
            while not feeding.done():
                if stop.is_set():
                    halt.set()
                self._tend()
                await asyncio.wait({feeding}, timeout=TEND_EVERY_S)
            feeding.result()
        finally:
            feeding.cancel()
            with suppress(asyncio.CancelledError, TickhouseError):
                await feeding
            self._close()

    async def _carry(self, halt: asyncio.Event) -> None:
        async with aclosing(self._feed.items(halt)) as items:
            async for item in items:
                self._received_us = item.received_us
                await self._deliver(self._codec.encode(item), halt)
                self._count(item)

    async def _deliver(self, records: list[Record], halt: asyncio.Event) -> None:
        self._producer.serve()
        if self._owes() and not self._tell_losses():
            self._drop(records)
            return
        for position, record in enumerate(records):
            if not (self._producer.offer(record) or await self._offer_patiently(record, halt)):
                self._drop(records[position:])
                return

    async def _offer_patiently(self, record: Record, halt: asyncio.Event) -> bool:
        """Hold the feed back until there is room; give up after the stall limit or at the stop."""
        loop = asyncio.get_running_loop()
        give_up_s = loop.time() + self._config.stall_s
        log.warning("producer.stalled", queued=self.queued, up_to_s=self._config.stall_s)
        while loop.time() < give_up_s and not halt.is_set():
            await asyncio.sleep(ROOM_EVERY_S)
            self._producer.serve()
            if self._producer.offer(record):
                return True
        return False

    def _note_refused(self) -> None:
        for value in self._producer.take_lost():
            self.dropped += 1
            self._losses.note(value)

    def _owes(self) -> bool:
        return self._is_dropping or bool(self._losses)

    def _drop(self, records: list[Record]) -> None:
        if not self._is_dropping:
            self._is_dropping = True
            log.error("producer.dropping", queued=self.queued, buffer=self._producer.capacity)
        self.dropped += len(records)
        self._losses.note_all(records)

    def _tell_losses(self) -> bool:
        """Produce a `dropped` status per symbol; return whether all of them found room."""
        if self.queued > self._producer.capacity // 2:  # else drops and statuses would alternate
            return False
        for status in self._losses.statuses():
            batch = StatusBatch((status,), self._received_us)
            if not all(self._producer.offer(record) for record in self._codec.encode(batch)):
                return False
            self._losses.settle(status.symbol)
            log.warning("producer.dropped", symbol=status.symbol, from_us=status.from_us, to_us=status.to_us)
        self._is_dropping = False
        return True

    def _count(self, item: FeedItem) -> None:
        if isinstance(item, TradeFrame):
            self.trades += len(item.trades)
            self.frames += 1  # last: who reads it knows that the frame's records are queued
        elif isinstance(item, StatusBatch):
            self.statuses += len(item.statuses)
        else:
            self.undecodable += 1

    def _tend(self) -> None:
        self._producer.serve()
        self._note_refused()
        if self._owes():
            self._tell_losses()
        now_s = asyncio.get_running_loop().time()
        if now_s - self._reported_s >= self._config.report_every_s:
            self._reported_s = now_s
            self._report("producer.batch")

    def _report(self, event: str) -> None:
        figures = (self.frames, self.trades, self.statuses, self.acked, self.dropped, self.undecodable, self.queued)
        if event != "producer.batch" or figures != self._reported:
            self._reported = figures
            names = ("frames", "trades", "statuses", "acked", "dropped", "undecodable", "queued")
            log.info(event, **dict(zip(names, figures, strict=True)))

    def _close(self) -> None:
        """Deliver what is queued, tell the losses if there is room then, and say what remains."""
        remaining = self._producer.flush(self._config.flush_s)
        self._note_refused()
        if remaining == 0 and self._owes() and self._tell_losses():
            self._producer.flush(self._config.flush_s)
        if self.queued or self._owes():
            log.error("producer.undelivered", queued=self.queued, dropped=self.dropped)
        self._report("producer.stopped")
