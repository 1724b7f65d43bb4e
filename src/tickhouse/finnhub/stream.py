"""Follow Finnhub's WebSocket: reconnect, watch, and tell what was and what wasn't recorded."""

import asyncio
import random
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from urllib.parse import urlsplit

from pydantic import SecretStr

from tickhouse.clock import Clock, MarketClock
from tickhouse.errors import FeedLost, SettingInvalid
from tickhouse.finnhub.backoff import Backoff
from tickhouse.finnhub.connection import MAX_QUEUED_MESSAGES, Connection, Throttled, connect, scrub
from tickhouse.finnhub.frames import read_message
from tickhouse.finnhub.status import FeedBook
from tickhouse.finnhub.waits import Waits, waits_until
from tickhouse.finnhub.wire import FeedItem, Message, StatusBatch, TradeFrame, Undecodable
from tickhouse.log import get_logger
from tickhouse.market import FeedState, FeedStatus
from tickhouse.settings import MAX_SYMBOLS

__all__ = ["FeedConfig", "FeedStream"]

CLOCK_JUMP_S = 10.0  # what the wall clock may gain on the monotonic one, which stands still while a machine sleeps
LOGGED_ONCE = 100  # distinct problems that are logged; further ones are only counted
LIMIT_ERROR = "too many symbols"
US = 1_000_000

log = get_logger("finnhub.stream")


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedConfig:
    """Say what to follow and how patiently; times in seconds.

    `market_time` asks a simulator to tell its market's time, and lives in it. `quiet_s` is how long after the last
    message `alive` still vouches for the feed: a ping comes each minute.
    """

    url: str
    symbols: tuple[str, ...]
    market_time: bool
    key_found_in: str
    watchdog_s: float = 150.0
    quiet_s: float = 75.0
    alive_every_s: float = 15.0
    stable_after_s: float = 60.0
    backoff_base_s: float = 1.0
    backoff_max_s: float = 60.0
    open_timeout_s: float = 10.0


class FeedStream:
    """Give what the feed says, in order, with status events between; counters may be read from any thread."""

    def __init__(self, config: FeedConfig, key: SecretStr, clock: Clock, rng: random.Random) -> None:
        if not 1 <= len(config.symbols) <= MAX_SYMBOLS:
            raise SettingInvalid(
                "TICKHOUSE_SYMBOLS", f"{len(config.symbols)} symbols; one connection takes 1 to {MAX_SYMBOLS}"
            )
        self._config = config
        self._key = key
        self._market: MarketClock | None = None
        if config.market_time:
            self._market = clock if isinstance(clock, MarketClock) else MarketClock()
        self._clock = clock if self._market is None else self._market
        self._backoff = Backoff(config.backoff_base_s, config.backoff_max_s, config.stable_after_s, rng)
        self._book = FeedBook(config.symbols, quiet_us=round(config.quiet_s * US))
        self._host = urlsplit(config.url).hostname
        self._logged: set[str] = set()
        self._reason = ""
        self._pause_s = 0.0
        self._last_received_us = 0
        self._wall_us = 0
        self._mono_s = self._heard_s = self._alive_due_s = self._told_away_s = 0.0
        self.connections = 0
        self.messages_received = 0
        self.frames_received = 0
        self.pings_received = 0
        self.errors_received = 0
        self.undecodable_received = 0

    async def items(self, stop: asyncio.Event) -> AsyncGenerator[FeedItem, None]:
        """Yield until `stop` is set, through all reconnections; raise `KeyRefused` or `SettingInvalid`.

        To be closed by its user (`contextlib.aclosing`), who so closes the connection.
        """
        async with waits_until(stop) as waits:
            while not stop.is_set():
                connection = await self._open(waits)
                if connection is None:
                    for batch in self._tell_away():
                        yield batch
                else:
                    async with aclosing(self._session(connection, waits)) as items:
                        async for item in items:
                            yield item
                await waits.pause(self._pause_s)

    async def _open(self, waits: Waits) -> Connection | None:
        config = self._config
        at_least_s = 0.0
        try:
            return await waits.within(
                config.open_timeout_s,
                connect(config.url, self._key, market_time=config.market_time, key_found_in=config.key_found_in),
            )
        except TimeoutError:
            self._reason = f"no handshake within {config.open_timeout_s:g} s"
        except Throttled as error:
            self._reason, at_least_s = str(error), error.retry_after_s
        except FeedLost as error:
            self._reason = str(error)
        if not waits.stop.is_set():
            self._pause_s = self._backoff.pause_s(0.0, at_least_s)
            log.warning("feed.away", host=self._host, reason=self._reason, retry_in_s=self._pause_s)
        return None

    async def _session(self, connection: Connection, waits: Waits) -> AsyncGenerator[FeedItem, None]:
        started_s = self._start_session()
        lost = False
        try:
            async with aclosing(self._talk(connection, waits)) as items:
                async for item in items:
                    yield item
        except FeedLost as error:
            self._reason, lost = str(error), True
        finally:
            ended_us = self._clock.now_us()
            await connection.close()
        # A lost connection may have been dead since its last message: only our own goodbye is vouched for until now.
        told = (
            self._book.doubt(ended_us, self._reason, FeedState.DISCONNECTED) if lost else (self._book.vouch(ended_us),)
        )
        for batch in self._batches(*told):
            yield batch
        self._book.lose()
        lasted_s = asyncio.get_running_loop().time() - started_s
        if lost:
            self._pause_s = self._backoff.pause_s(lasted_s)
            log.warning("feed.lost", reason=self._reason, lasted_s=round(lasted_s, 3), retry_in_s=self._pause_s)
        else:
            log.info("feed.closed", lasted_s=round(lasted_s, 3), messages=self.messages_received)

    def _start_session(self) -> float:
        self.connections += 1
        self._book.lose()  # the last run may have been cut short
        self._wall_us = self._clock.now_us()
        self._mono_s = self._heard_s = self._told_away_s = asyncio.get_running_loop().time()
        self._alive_due_s = self._mono_s + self._config.alive_every_s
        return self._mono_s

    async def _talk(self, connection: Connection, waits: Waits) -> AsyncGenerator[FeedItem, None]:
        for symbol in self._config.symbols:
            await connection.subscribe(symbol)
        if self._market is None:
            for batch in self._tell_connected():
                yield batch
        unread = MAX_QUEUED_MESSAGES
        while unread > 0:
            raw = await self._receive(connection, waits)
            if waits.stop.is_set():
                unread = 0 if raw is None else unread - 1
            for item in self._digest(raw):
                yield item
            if raw is not None:  # the watchdog doesn't count time in which the consumer kept us from reading
                self._heard_s = asyncio.get_running_loop().time()

    def _digest(self, raw: bytes | None) -> Iterator[FeedItem]:
        doubt = self._doubt(has_message=raw is not None)
        # Doubt is about the time before this message, so it's told before the message counts as a sign of life.
        doubted = self._book.doubt(self._clock.now_us(), doubt) if doubt else ()
        if raw is not None:
            yield from self._take(raw)
        if doubt:
            yield from self._batches(*doubted)
            raise FeedLost(doubt)
        yield from self._batches(self._vouch_if_due())

    async def _receive(self, connection: Connection, waits: Waits) -> bytes | None:
        """Return the next message, or None when it's time to look at the clock or to stop."""
        due_s = self._heard_s + self._config.watchdog_s
        if self._market is None:
            due_s = min(due_s, self._alive_due_s)
        try:
            patience_s = max(0.0, due_s - asyncio.get_running_loop().time())
            return await waits.within(patience_s, connection.receive())
        except TimeoutError:
            return None

    def _doubt(self, *, has_message: bool) -> str:
        """Return why the connection isn't to be trusted any more, or nothing."""
        now_us, now_s = self._clock.now_us(), asyncio.get_running_loop().time()
        gained_s = (now_us - self._wall_us) / US - (now_s - self._mono_s)
        self._wall_us, self._mono_s = now_us, now_s
        if self._market is None and gained_s > CLOCK_JUMP_S:
            return f"the machine slept or its clock jumped: {gained_s:.0f} s"
        if not has_message and now_s - self._heard_s >= self._config.watchdog_s:
            return f"no message for {self._config.watchdog_s:g} s"
        return ""

    def _take(self, raw: bytes) -> Iterator[FeedItem]:
        reading = read_message(raw)
        message = reading.message
        self.messages_received += 1
        if message is not None and self._market is not None:
            yield from self._follow_market(message, self._market)
        now_us = self._clock.now_us()
        dropped = self._book.drop(now_us, reading.lost)
        self._book.hear(now_us)
        is_trade = message is not None and message.type == "trade"
        if message is not None and is_trade and message.data:
            yield TradeFrame(message.data, self._stamp(now_us), reading.positions)
        if reading.problem:
            self.undecodable_received += 1
            self._log_once("feed.undecodable", reading.problem)
            yield Undecodable(raw, reading.problem, self._stamp(now_us))
            yield from self._batches(dropped)
        elif message is not None and not is_trade:
            yield from self._take_notice(message, now_us)
        if is_trade:
            self.frames_received += 1  # after the yields: who sees it counted knows that its taker is done with it

    def _follow_market(self, message: Message, market: MarketClock) -> Iterator[StatusBatch]:
        if message.at_us is not None:
            market.advance_to(message.at_us)
            if not self._book.is_connected:
                yield from self._tell_connected()
        elif not self._book.is_connected:
            raise SettingInvalid(
                "TICKHOUSE_FINNHUB_WS_URL",
                f"{self._host} tells no market time; recordings and the synthetic market need `tickhouse simulate`",
            )

    def _take_notice(self, message: Message, now_us: int) -> Iterator[StatusBatch]:
        if message.type == "ping":
            self.pings_received += 1
            return
        self.errors_received += 1
        text = scrub(message.msg, self._key)[:200]
        if LIMIT_ERROR in text.lower():
            symbol, statuses = self._book.refuse(now_us, text)
            log.warning("feed.subscribe_refused", symbol=symbol, msg=text)
            yield from self._batches(statuses)
        else:
            log.warning("feed.error_frame", msg=text)

    def _tell_connected(self) -> Iterator[StatusBatch]:
        now_us = self._clock.now_us()
        yield from self._batches(self._book.miss(now_us, self._reason), self._book.connect(now_us))
        log.info("feed.connected", host=self._host, symbols=len(self._config.symbols), connection=self.connections)

    def _tell_away(self) -> Iterator[StatusBatch]:
        """Tell a long outage while it lasts, at the pace of `alive`."""
        now_s = asyncio.get_running_loop().time()
        if self._market is None and now_s - self._told_away_s >= self._config.alive_every_s:
            self._told_away_s = now_s
            yield from self._batches(self._book.miss(self._clock.now_us(), self._reason))

    def _vouch_if_due(self) -> tuple[FeedStatus, ...]:
        """Tell that the feed is alive, timed by the market's own time where there is one."""
        now_us, every_s = self._clock.now_us(), self._config.alive_every_s
        if self._market is not None:
            return self._book.vouch(now_us) if self._book.is_due(now_us, round(every_s * US)) else ()
        now_s = asyncio.get_running_loop().time()
        if now_s < self._alive_due_s:
            return ()
        self._alive_due_s = now_s + every_s
        return self._book.vouch(now_us)

    def _batches(self, *groups: tuple[FeedStatus, ...]) -> Iterator[StatusBatch]:
        for statuses in groups:
            if statuses:
                yield StatusBatch(statuses, self._stamp(self._clock.now_us()))

    def _stamp(self, now_us: int) -> int:
        self._last_received_us = max(self._last_received_us + 1, now_us)
        return self._last_received_us

    def _log_once(self, event: str, problem: str) -> None:
        if problem not in self._logged and len(self._logged) < LOGGED_ONCE:
            self._logged.add(problem)
            log.warning(event, problem=scrub(problem, self._key), total=self.undecodable_received)
