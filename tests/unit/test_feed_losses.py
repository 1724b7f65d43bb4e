"""What the WebSocket client tells of time in which it may have missed something, on real sockets."""

import asyncio
import contextlib
from collections.abc import Callable
from contextlib import aclosing
from typing import Any

import pytest
import structlog

from tests.support.feeding import (
    DEADLINE_S,
    TRADE,
    S,
    collect,
    frames,
    has_frames,
    has_state,
    running,
    states,
    statuses,
    stream_to,
    wait_until,
)
from tests.support.ws_server import Refuse, Talk, scripted
from tickhouse.clock import SystemClock
from tickhouse.finnhub import FeedItem, Undecodable
from tickhouse.market import FeedState, feed_record


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


def test_a_clean_drop_at_which_market_time_stands_still_is_no_gap() -> None:
    """A replay at full speed waits for its reader: coverage goes on where it was."""

    def ping(seconds: int) -> str:
        return f'{{"type":"ping","at_us":{seconds * S}}}'

    async def scenario() -> None:
        turns = (Talk(hello=(ping(100), ping(103)), ends="close"), Talk(hello=(ping(103), ping(130))))
        async with scripted(*turns) as server:
            stream = stream_to(server.url, market_time=True, symbols=("AAPL",))
            items = await collect(stream, has_state(FeedState.ALIVE, 2))
        told = [(each.state.value, each.from_us // S, each.to_us // S) for each in statuses(items)]
        assert told == [("connected", 100, 100), ("alive", 100, 103), ("connected", 103, 103), ("alive", 103, 130)]

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


@pytest.mark.parametrize(("ends", "reason"), [("close", "closed by the server: 1000"), ("reset", "connection reset")])
def test_a_lost_connection_is_told_as_a_gap_with_its_reason(ends: Any, reason: str) -> None:  # noqa: ANN401  # literal
    """Even a polite close is a failure: coverage ends, and the gap lasts until the next connection."""

    async def scenario() -> None:
        async with scripted(Talk(expects=2, says=(TRADE,), ends=ends), Talk(says=(TRADE,))) as server:
            items = await collect(stream_to(server.url), has_frames(2))
        kinds = states(items)
        assert kinds.count(FeedState.CONNECTED) == 2
        connected, alive, lost, away, again = statuses(items)[:5]
        assert (lost.state, away.state, again.state) == (
            FeedState.DISCONNECTED,
            FeedState.DISCONNECTED,
            connected.state,
        )
        assert lost.reason == away.reason
        assert lost.reason.startswith(reason)
        assert alive.to_us == lost.from_us < lost.to_us == away.from_us < away.to_us == again.from_us
        assert lost.from_us <= frames(items)[0].received_us

    asyncio.run(scenario())


@pytest.mark.parametrize("ends", ["close", "reset"])
def test_a_connection_that_was_dead_before_it_was_lost_is_not_called_whole(ends: Any) -> None:  # noqa: ANN401  # literal
    """Alive was told meanwhile, on trust: the loss takes back all that came after the last message."""

    async def scenario() -> None:
        over = asyncio.Event()
        async with scripted(Talk(expects=2, says=(TRADE,), ends=ends, after=over), Talk()) as server:
            items = list[FeedItem]()
            async with running(stream_to(server.url, alive_every_s=0.03), items):
                await wait_until(lambda: has_state(FeedState.ALIVE, 3)(items))
                over.set()
                await wait_until(lambda: has_state(FeedState.CONNECTED, 2)(items))
        told = statuses(items)
        heard_us = frames(items)[0].received_us
        lost = next(each for each in told if each.state is FeedState.DISCONNECTED)
        trusted_us = max(each.to_us for each in told[: told.index(lost)])
        assert lost.from_us <= heard_us < trusted_us <= lost.to_us
        assert not feed_record(told).is_whole(heard_us + 1, trusted_us)
        assert feed_record(told).is_whole(told[0].from_us, lost.from_us)

    asyncio.run(scenario())


def test_our_own_goodbye_takes_nothing_back() -> None:
    """A connection that we close was working until then."""

    async def scenario() -> None:
        async with scripted(Talk(expects=2, says=(TRADE,))) as server:
            items = await collect(stream_to(server.url, alive_every_s=0.03), has_state(FeedState.ALIVE, 3))
        told = statuses(items)
        assert {each.state for each in told} == {FeedState.CONNECTED, FeedState.ALIVE}
        assert feed_record(told).is_whole(told[0].from_us, told[-1].to_us)

    asyncio.run(scenario())


GOOD, ODD = '{"s":"AAPL","p":1,"t":50900,"v":1}', '{"s":"AAPL","p":2,"t":59990.5,"v":1}'
FOREIGN = '{"s":"IBM","p":2,"t":59990.5,"v":1}'


@pytest.mark.parametrize(
    ("raw", "kept", "losers"),
    [
        (f'{{"type":"trade","data":[{ODD},{GOOD}],"at_us":61000000}}', [1], ["AAPL"]),
        (f'{{"type":"trade","data":[{GOOD},{FOREIGN}],"at_us":61000000}}', [0], ["AAPL", "MSFT"]),
        ('{"type":"trade","at_us":61000000}', [], ["AAPL", "MSFT"]),
        ('{"type":"trade","data":[', [], ["AAPL", "MSFT"]),
        ('{"type":"news","data":[{"id":1}],"at_us":61000000}', [], []),
    ],
)
def test_a_print_that_cannot_be_read_is_a_loss_of_its_minute(raw: str, kept: list[int], losers: list[str]) -> None:
    """The frame is kept once as it came, its good prints are traded, and those who may have lost some are told so."""

    async def scenario() -> None:
        pings = [f'{{"type":"ping","at_us":{second * S}}}' for second in (0, 59, 200)]
        async with scripted(Talk(hello=(pings[0],), expects=2, says=(pings[1], raw, pings[2]))) as server:
            stream, items = stream_to(server.url, market_time=True), list[FeedItem]()
            async with running(stream, items):
                await wait_until(lambda: stream.messages_received == 4)
        assert [item.raw for item in items if isinstance(item, Undecodable)] == [raw.encode()]
        assert [list(frame.positions) for frame in frames(items)] == ([kept] if kept else [])
        assert stream.frames_received == (1 if "61000000" in raw and "news" not in raw else 0)
        for symbol in ("AAPL", "MSFT"):
            record = feed_record(statuses(items, symbol))
            dropped = [each for each in statuses(items, symbol) if each.state is FeedState.DROPPED]
            assert [each.reason for each in dropped] == (["undecodable print"] if symbol in losers else [])
            assert record.is_whole(0, 60 * S) == (symbol not in losers)
            assert record.is_whole(0, 50 * S)
            assert record.is_whole(62 * S, 200 * S)

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
