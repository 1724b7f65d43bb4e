"""The WebSocket client against a scripted server on real sockets."""

import asyncio
import contextlib
import io
import logging
import random
import traceback
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, asynccontextmanager
from decimal import Decimal
from typing import Any

import pytest
import structlog
from pydantic import SecretStr

from tests.support.ws_server import Refuse, Talk, scripted
from tickhouse import log
from tickhouse.clock import Clock, MarketClock, SystemClock
from tickhouse.errors import KeyRefused, SettingInvalid
from tickhouse.finnhub import FeedConfig, FeedItem, FeedStream, StatusBatch, TradeFrame, Undecodable
from tickhouse.finnhub.connection import Throttled, connect
from tickhouse.market import FeedState, FeedStatus

KEY = SecretStr("k3y+that/must never=leak")
PING = '{"type":"ping"}'
TRADE = '{"type":"trade","data":[{"s":"AAPL","p":189.10,"t":1575526691134,"v":100,"c":["1","8"]}]}'
LIMIT = '{"type":"error","msg":"Subscribing to too many symbols"}'
S = 1_000_000
DEADLINE_S = 10.0

Items = list[FeedItem]
Until = Callable[[Items], bool]


@pytest.fixture(autouse=True)
def _logs_as_before() -> Iterator[None]:
    """Leave the logs unconfigured for the next test."""
    yield
    structlog.reset_defaults()


def stream_to(url: str, clock: Clock | None = None, **changes: Any) -> FeedStream:  # noqa: ANN401  # any field
    """Make a stream whose pauses are tiny."""
    fields: dict[str, Any] = {
        "url": url,
        "symbols": ("AAPL", "MSFT"),
        "market_time": False,
        "key_found_in": "FINNHUB_API_KEY in .env",
        "backoff_base_s": 0.01,
        "backoff_max_s": 0.02,
        "open_timeout_s": 5.0,
    }
    rng = random.Random(7)  # noqa: S311  # jitter
    return FeedStream(FeedConfig(**(fields | changes)), KEY, SystemClock() if clock is None else clock, rng)


async def collect(stream: FeedStream, until: Until) -> Items:
    """Take items until `until` holds for them, then stop the stream and take the rest."""
    items: Items = []
    stop = asyncio.Event()
    async with asyncio.timeout(DEADLINE_S), aclosing(stream.items(stop)) as source:
        async for item in source:
            items.append(item)
            if until(items):
                stop.set()
    return items


@asynccontextmanager
async def running(stream: FeedStream, items: Items) -> AsyncIterator[asyncio.Event]:
    """Let a stream fill `items` in the background; stop it at the end."""
    stop = asyncio.Event()

    async def fill() -> None:
        async with aclosing(stream.items(stop)) as source:
            async for item in source:
                items.append(item)

    filling = asyncio.create_task(fill())
    try:
        yield stop
    finally:
        stop.set()
        async with asyncio.timeout(DEADLINE_S):
            await filling


async def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for a condition, with a deadline."""
    async with asyncio.timeout(DEADLINE_S):
        while not condition():  # noqa: ASYNC110  # looks at plain objects
            await asyncio.sleep(0.005)


def statuses(items: Items, symbol: str = "AAPL") -> list[FeedStatus]:
    """Return one symbol's statuses in order."""
    return [
        status for item in items if isinstance(item, StatusBatch) for status in item.statuses if status.symbol == symbol
    ]


def states(items: Items, symbol: str = "AAPL") -> list[FeedState]:
    """Return the states of one symbol's statuses in order."""
    return [status.state for status in statuses(items, symbol)]


def frames(items: Items) -> list[TradeFrame]:
    """Return the frames of prints."""
    return [item for item in items if isinstance(item, TradeFrame)]


def has_frames(count: int) -> Until:
    """Hold when so many frames came."""
    return lambda items: len(frames(items)) >= count


def has_state(state: FeedState, count: int = 1) -> Until:
    """Hold when a state was told so often for the first symbol."""
    return lambda items: states(items).count(state) >= count


def test_trades_come_through_between_connected_and_a_last_alive() -> None:
    """The token is in the query, each symbol has its own message, every frame its own time."""

    async def scenario() -> None:
        async with scripted(Talk(expects=2, says=(PING, TRADE, TRADE))) as server:
            stream = stream_to(server.url)
            items = await collect(stream, has_frames(2))
            assert server.paths == ["/?token=k3y%2Bthat%2Fmust+never%3Dleak"]
            assert server.subscribed == [["AAPL", "MSFT"]]
        assert states(items) == states(items, "MSFT") == [FeedState.CONNECTED, FeedState.ALIVE]
        connected, alive = statuses(items)
        assert connected.from_us == connected.to_us == alive.from_us
        stamps = [item.received_us for item in items]
        assert stamps == sorted(set(stamps))
        [trade] = frames(items)[0].trades
        assert (trade.s, str(trade.p), trade.v, trade.c) == ("AAPL", "189.10", Decimal(100), ("1", "8"))
        assert (stream.frames_received, stream.pings_received, stream.connections) == (2, 1, 1)

    asyncio.run(scenario())


def test_market_time_is_asked_for_and_lived_in() -> None:
    """All times are those that the simulator tells; alive comes when 15 s of market time have passed."""
    start = 1_381_150_000 * S

    def at(seconds: int) -> str:
        return f'{{"type":"ping","at_us":{start + seconds * S}}}'

    trade = TRADE.replace("}]}", f'}}],"at_us":{start + 16 * S}}}')

    async def scenario() -> None:
        async with scripted(Talk(hello=(at(0),), says=(at(14), trade, at(20), at(22)))) as server:
            clock = MarketClock()
            stream = stream_to(server.url, clock, market_time=True, symbols=("AAPL",))
            items: Items = []
            async with running(stream, items):
                await wait_until(lambda: stream.messages_received == 5)
            assert server.paths[0].endswith("&clock=market")
        told = [(each.state.value, (each.from_us - start) // S, (each.to_us - start) // S) for each in statuses(items)]
        assert told == [("connected", 0, 0), ("alive", 0, 16), ("alive", 16, 22)]
        assert isinstance(items[1], TradeFrame)
        assert items[1].received_us == start + 16 * S
        assert clock.now_us() == start + 22 * S

    asyncio.run(scenario())


def test_a_reconnection_in_market_time_leaves_a_gap_of_market_time() -> None:
    """The gap runs from the last time told before to the first one told after."""

    def ping(seconds: int) -> str:
        return f'{{"type":"ping","at_us":{seconds * S}}}'

    async def scenario() -> None:
        turns = (Talk(hello=(ping(100), ping(103)), ends="close"), Talk(hello=(ping(110),)))
        async with scripted(*turns) as server:
            stream = stream_to(server.url, market_time=True, symbols=("AAPL",))
            items = await collect(stream, has_state(FeedState.CONNECTED, 2))
        told = [(each.state.value, each.from_us // S, each.to_us // S) for each in statuses(items)]
        assert told == [
            ("connected", 100, 100),
            ("alive", 100, 103),
            ("disconnected", 103, 110),
            ("connected", 110, 110),
        ]

    asyncio.run(scenario())


def test_a_stream_that_was_cut_short_can_be_run_again() -> None:
    """A supervisor runs the same service anew: the time between is a gap, and coverage starts again."""

    def ping(seconds: int) -> str:
        return f'{{"type":"ping","at_us":{seconds * S}}}'

    async def scenario() -> None:
        async with scripted(Talk(hello=(ping(100),)), Talk(hello=(ping(110),))) as server:
            stream = stream_to(server.url, market_time=True, symbols=("AAPL",))
            async with asyncio.timeout(DEADLINE_S), aclosing(stream.items(asyncio.Event())) as source:
                assert states([await anext(source)]) == [FeedState.CONNECTED]
            again = await collect(stream, has_state(FeedState.CONNECTED))
        told = [(each.state.value, each.from_us // S, each.to_us // S) for each in statuses(again)]
        assert told == [("disconnected", 100, 110), ("connected", 110, 110)]

    asyncio.run(scenario())


def test_a_server_without_market_time_is_refused() -> None:
    """Finnhub itself tells no market time: a recording's settings that point to it are a mistake."""

    async def scenario() -> None:
        async with scripted(Talk(hello=(PING,))) as server:
            with pytest.raises(SettingInvalid, match="tells no market time"):
                await collect(stream_to(server.url, market_time=True), has_frames(1))

    asyncio.run(scenario())


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_ends_it_and_names_where_the_key_was_read(status: int) -> None:
    """One attempt is made, not a storm."""

    async def scenario() -> None:
        async with scripted(Refuse(status)) as server:
            with pytest.raises(KeyRefused, match=f"HTTP {status}.*FINNHUB_API_KEY in .env"):
                await collect(stream_to(server.url), has_frames(1))
            assert len(server.paths) == 1

    asyncio.run(scenario())


def test_a_server_that_is_busy_or_broken_is_tried_again() -> None:
    """429 and 5xx are waited out."""

    async def scenario() -> None:
        async with scripted(Refuse(429), Refuse(503), Talk(says=(TRADE,))) as server:
            stream = stream_to(server.url)
            assert frames(await collect(stream, has_frames(1)))
            assert len(server.paths) == 3

    asyncio.run(scenario())


def test_a_server_that_asks_for_a_pause_is_heard() -> None:
    """Retry-After of a 429 is carried by the error."""

    async def scenario() -> None:
        async with scripted(Refuse(429, {"Retry-After": "7"})) as server:
            with pytest.raises(Throttled) as throttled:
                await connect(server.url, KEY, market_time=False, key_found_in=".env")
        assert throttled.value.retry_after_s == 7.0

    asyncio.run(scenario())


@pytest.mark.parametrize(("ends", "reason"), [("close", "closed by the server: 1000"), ("reset", "connection reset")])
def test_a_lost_connection_is_told_as_a_gap_with_its_reason(ends: Any, reason: str) -> None:  # noqa: ANN401  # literal
    """Even a polite close is a failure: coverage ends, and the gap lasts until the next connection."""

    async def scenario() -> None:
        async with scripted(Talk(expects=2, says=(TRADE,), ends=ends), Talk(says=(TRADE,))) as server:
            items = await collect(stream_to(server.url), has_frames(2))
        kinds = states(items)
        assert kinds.count(FeedState.CONNECTED) == 2
        assert kinds.count(FeedState.DISCONNECTED) == 1
        gap = statuses(items)[kinds.index(FeedState.DISCONNECTED)]
        before = statuses(items)[kinds.index(FeedState.DISCONNECTED) - 1]
        after = statuses(items)[kinds.index(FeedState.DISCONNECTED) + 1]
        assert gap.reason.startswith(reason)
        assert before.to_us == gap.from_us < gap.to_us <= after.from_us

    asyncio.run(scenario())


def test_silence_is_told_and_ends_in_a_new_connection() -> None:
    """A connection that says nothing, not even a ping, isn't trusted: the time since its last message is silent."""

    async def scenario() -> None:
        async with scripted(Talk(expects=2, says=(TRADE,)), Talk(says=(TRADE,))) as server:
            items = await collect(stream_to(server.url, watchdog_s=0.15), has_frames(2))
        silent = next(status for status in statuses(items) if status.state is FeedState.SILENT)
        assert silent.from_us <= frames(items)[0].received_us + 1
        assert silent.to_us - silent.from_us >= 0.15 * S
        assert "no message for 0.15 s" in silent.reason
        kinds = states(items)
        assert kinds.index(FeedState.SILENT) < kinds.index(FeedState.DISCONNECTED)

    asyncio.run(scenario())


def test_a_machine_that_slept_leaves_a_gap() -> None:
    """The wall clock runs on while a machine sleeps: what came in meanwhile is unknown."""

    class Sleepy(SystemClock):
        slept_us = 0

        def now_us(self) -> int:
            return super().now_us() + self.slept_us

    async def scenario() -> None:
        async with scripted(Talk(expects=2, says=(TRADE,))) as server:
            clock, items = Sleepy(), list[FeedItem]()
            async with running(stream_to(server.url, clock, alive_every_s=0.05), items):
                await wait_until(lambda: has_state(FeedState.ALIVE)(items))
                clock.slept_us = 3_600 * S
                await wait_until(lambda: has_state(FeedState.CONNECTED, 2)(items))
        silent = next(status for status in statuses(items) if status.state is FeedState.SILENT)
        assert silent.to_us - silent.from_us > 3_590 * S
        assert "slept" in silent.reason
        assert not any(each.to_us - each.from_us > S for each in statuses(items) if each.state.covers)

    asyncio.run(scenario())


def test_alive_is_told_by_the_clock_while_nothing_trades() -> None:
    """A closed market sends pings only; coverage goes on without a hole."""

    async def scenario() -> None:
        async with scripted(Talk(expects=2)) as server:
            items = await collect(stream_to(server.url, alive_every_s=0.03), has_state(FeedState.ALIVE, 3))
        told = statuses(items)
        assert {status.state for status in told[1:]} == {FeedState.ALIVE}
        assert [status.from_us for status in told[1:]] == [status.to_us for status in told[:-1]]

    asyncio.run(scenario())


def test_the_symbol_beyond_the_limit_is_told_as_refused() -> None:
    """Finnhub doesn't name it: it is the last one sent, from its subscription until the connection ends."""

    async def scenario() -> None:
        async with scripted(Talk(expects=2, says=(LIMIT, TRADE))) as server:
            items = await collect(stream_to(server.url, alive_every_s=0.03), has_state(FeedState.ALIVE, 2))
        refused = statuses(items, "MSFT")
        assert {status.state for status in refused[1:]} == {FeedState.SUBSCRIBE_REFUSED}
        assert refused[-1].to_us == statuses(items)[-1].to_us
        assert [status.from_us for status in refused[1:]] == [status.to_us for status in refused[:-1]]
        assert refused[1].reason == "Subscribing to too many symbols"

    asyncio.run(scenario())


def test_what_cannot_be_understood_is_kept_as_it_came() -> None:
    """Malformed JSON, bytes that are no text, a price that is no number, and unknown types."""
    strange = (b"{", b"\xff\xfe", TRADE.replace("189.10", '"NaN"').encode(), b'{"type":"news","data":[]}', b"")

    async def scenario() -> None:
        async with scripted(Talk(says=(*strange, '{"type":"trade"}', '{"type":"error","msg":"odd"}', TRADE))) as server:
            stream = stream_to(server.url)
            items = await collect(stream, has_frames(1))
        kept = [item for item in items if isinstance(item, Undecodable)]
        assert tuple(item.raw for item in kept) == strange
        assert all(item.error for item in kept)
        assert (stream.undecodable_received, stream.errors_received, stream.frames_received) == (5, 1, 2)

    asyncio.run(scenario())


def test_a_long_outage_is_told_while_it_lasts() -> None:
    """The gap grows with each attempt, so that a page can show it before the feed is back."""

    async def scenario() -> None:
        async with scripted(Talk(says=(TRADE,), ends="close"), Refuse(503)) as server:
            items = await collect(stream_to(server.url, alive_every_s=0.02), has_state(FeedState.DISCONNECTED, 3))
        gaps = [status for status in statuses(items) if status.state is FeedState.DISCONNECTED]
        assert [gap.from_us for gap in gaps[1:]] == [gap.to_us for gap in gaps[:-1]]
        assert gaps[-1].reason == "HTTP 503 at the handshake"

    asyncio.run(scenario())


def test_a_stop_ends_every_wait_at_once() -> None:
    """Whether it waits for a server that isn't there, for a handshake or for a message: a stop is obeyed."""
    came: list[asyncio.StreamWriter] = []

    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.append(writer)
        with contextlib.closing(writer), contextlib.suppress(ConnectionError):
            await reader.read()

    async def stopped_when(url: str, is_waiting: Callable[[], bool]) -> None:
        stream = stream_to(url, backoff_base_s=60.0, backoff_max_s=60.0, open_timeout_s=60.0)
        async with running(stream, []):
            await wait_until(is_waiting)

    async def scenario() -> None:
        async with await asyncio.start_server(mute, "127.0.0.1", 0) as busy, scripted(Talk()) as server:
            with structlog.testing.capture_logs() as logs:
                await stopped_when(f"ws://127.0.0.1:{busy.sockets[0].getsockname()[1]}", lambda: bool(came))
                await stopped_when(server.url, lambda: bool(server.subscribed))
                await stopped_when("ws://127.0.0.1:1", lambda: logs[-1]["event"] == "feed.away")

    asyncio.run(scenario())


def test_a_handshake_that_never_ends_is_given_up() -> None:
    """A server that takes the connection and says nothing counts as away."""

    async def scenario() -> None:
        attempts = 0

        async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal attempts
            attempts += 1
            with contextlib.closing(writer), contextlib.suppress(ConnectionError):
                await reader.read()

        async with await asyncio.start_server(mute, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            async with running(stream_to(f"ws://127.0.0.1:{port}", open_timeout_s=0.05), []):
                await wait_until(lambda: attempts >= 2)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"symbols": tuple(f"S{number}" for number in range(51))}, "51 symbols"),
        ({"url": "https://finnhub.io"}, "not a ws://"),
        ({"url": "ws://127.0.0.1:port"}, "not a ws://"),
    ],
)
def test_settings_that_cannot_work_are_refused(changes: dict[str, Any], problem: str) -> None:
    """The message names the setting and never holds the key."""
    with pytest.raises(SettingInvalid, match=problem) as refused:
        asyncio.run(collect(stream_to(**({"url": "ws://127.0.0.1:1"} | changes)), has_frames(1)))
    assert KEY.get_secret_value() not in "".join(traceback.format_exception(refused.value))


def test_the_key_is_in_no_log_no_error_and_no_repr() -> None:
    """Every way to fail is walked through at debug level, and all that was written is searched for the key."""
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    log.configure("debug", "json", out)
    told = f'{{"type":"error","msg":"bad token {KEY.get_secret_value()}"}}'
    turns = (
        Refuse(429),
        Refuse(302, {"Location": "/elsewhere"}),
        Talk(says=(told, b"{", TRADE), ends="reset"),
        Talk(says=(PING,), ends="close"),
        Talk(says=(b"x" * 1_000_000,)),
        Refuse(401),
    )

    async def scenario() -> None:
        async with scripted(*turns) as server:
            stream = stream_to(server.url)
            print(repr(stream), vars(stream), file=out)
            with pytest.raises(KeyRefused) as refused:
                await collect(stream, lambda _: False)
            assert refused.value.__context__ is None
            traceback.print_exception(refused.value, file=out)
            assert len(server.paths) == len(turns)

    try:
        asyncio.run(scenario(), debug=True)
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
    written = out.getvalue()
    assert "feed.lost" in written
    assert "KeyRefused" in written
    for form in ("k3y", "never=leak", "never%3Dleak", "token=k"):
        assert form not in written
