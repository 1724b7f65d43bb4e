"""What the WebSocket client makes of what a scripted server says, on real sockets."""

import asyncio
import io
import logging
import traceback
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
import structlog

from tests.support.feeding import (
    KEY,
    LIMIT,
    PING,
    TRADE,
    Items,
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
from tickhouse import log
from tickhouse.clock import MarketClock
from tickhouse.errors import KeyRefused, SettingInvalid
from tickhouse.finnhub import TradeFrame, Undecodable
from tickhouse.finnhub.connection import Throttled, connect
from tickhouse.market import FeedState


@pytest.fixture(autouse=True)
def _logs_as_before() -> Iterator[None]:
    """Leave the logs unconfigured for the next test."""
    yield
    structlog.reset_defaults()


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
    """Malformed JSON, bytes that are no text, a price that is no number, unknown types, and trades without any."""
    nan = TRADE.replace("189.10", '"NaN"').encode()
    strange = (b"{", b"\xff\xfe", nan, b'{"type":"news","data":[]}', b"", b'{"type":"trade"}')

    async def scenario() -> None:
        async with scripted(Talk(says=(*strange, '{"type":"error","msg":"odd"}', TRADE))) as server:
            stream = stream_to(server.url)
            items = await collect(stream, has_frames(1))
        kept = [item for item in items if isinstance(item, Undecodable)]
        assert tuple(item.raw for item in kept) == strange
        assert all(item.error for item in kept)
        assert (stream.undecodable_received, stream.errors_received, stream.frames_received) == (6, 1, 3)

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
