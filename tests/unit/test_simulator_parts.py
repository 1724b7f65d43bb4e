"""Check what the protocol tests can't reach from outside: pace, addresses, and who may control."""

import asyncio

import pytest
from starlette.requests import Request
from starlette.responses import Response

from tests.support.simulated import HandClock
from tickhouse.finnhub import Simulator, SimulatorConfig, SyntheticMarket
from tickhouse.finnhub.pacing import AsFastAsRead, AtSpeed, RealTime
from tickhouse.finnhub.simulator import for_this_machine


@pytest.mark.parametrize(
    ("client", "status"),
    [(("127.0.0.1", 1), 204), (("::1", 1), 204), (("192.168.1.7", 1), 404), (None, 404)],
)
def test_only_this_machine_may_control(client: tuple[str, int] | None, status: int) -> None:
    """To all others the control endpoints don't exist."""

    async def endpoint(_: Request) -> Response:
        return Response(status_code=204)

    request = Request({"type": "http", "client": client, "headers": []})
    assert asyncio.run(for_this_machine(endpoint)(request)).status_code == status


@pytest.mark.parametrize(
    ("host", "url"),
    [("127.0.0.1", "ws://127.0.0.1:7000"), ("0.0.0.0", "ws://127.0.0.1:7000"), ("::1", "ws://[::1]:7000")],  # noqa: S104
)
def test_the_url_is_one_that_a_client_can_use(host: str, url: str) -> None:
    """An address that means all interfaces is shown as the loopback's."""
    assert Simulator(SyntheticMarket(1, 0), SimulatorConfig(host=host, port=7000)).url == url


def test_full_speed_knows_no_waiting() -> None:
    """Market time is that of the last frame."""
    pace = AsFastAsRead()
    pace.start()
    assert pace.is_due(10**18)
    assert pace.now_us(7) == 7
    asyncio.run(pace.until(10**18))


def test_a_speed_counts_from_the_first_client() -> None:
    """Before it, the market's clock stands still; then it shows what is due when it is due."""
    pace = AtSpeed(1_000_000, 5)
    assert pace.now_us(5) == 5
    assert not pace.is_due(100_000)
    pace.start()
    asyncio.run(pace.until(100_000))
    assert pace.is_due(100_000)
    assert pace.now_us(5) >= 100_000


def test_real_time_holds_until_history_is_over() -> None:
    """The clock is shown only once a frame had to be waited for."""
    clock = HandClock(1_000)
    pace = RealTime(clock)
    pace.start()
    asyncio.run(pace.until(900))
    assert pace.holds
    assert pace.now_us(900) == 900

    async def wait_for_the_clock() -> None:
        waiting = asyncio.create_task(pace.until(2_000))
        await asyncio.sleep(0)
        assert not pace.holds
        clock.time_us = 2_000
        await waiting

    asyncio.run(wait_for_the_clock())
    assert pace.now_us(900) == 2_000
