"""Hold the simulator to Finnhub's WebSocket protocol, with a client that knows nothing of it."""

import json
import logging
import threading
import urllib.error
import urllib.request
from collections import Counter
from decimal import Decimal
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from tests.support.simulated import (
    START_MS,
    HandClock,
    ask,
    hear,
    hear_all,
    hear_until_closed,
    running,
    simulated,
    speak,
    write_recording,
)
from tests.support.waiting import wait_until
from tickhouse.errors import ServiceFailed
from tickhouse.finnhub import FaultPlan, Recording, Simulator, SimulatorConfig, SyntheticMarket

START_US = START_MS * 1_000
MINUTE_US = 60_000_000
END_US = START_US + MINUTE_US + 5_000_000  # when the minute of the last frame is over, stragglers included
COUNT = 400


@pytest.fixture
def two_symbols(tmp_path: Path) -> Recording:
    """Return a recording of IBM and AIG in one minute, two prints a frame, one of each."""
    frames = [
        (100 * n, [("IBM", f"{180 + n}.50", 100 * n - 60, "100"), ("AIG", "49.1", 100 * n - 50, f"{n}")])
        for n in range(1, COUNT + 1)
    ]
    return Recording([write_recording(tmp_path / "two.jsonl.gz", frames)])


def prints(messages: list[dict[str, Any]]) -> Counter[tuple[object, ...]]:
    """Count equal prints."""
    return Counter((each["s"], each["t"], each["p"], each["v"]) for message in messages for each in message["data"])


def recorded(recording: Recording) -> Counter[tuple[object, ...]]:
    """Count equal prints of a recording."""
    return Counter(
        (each.s, each.t, float(each.p), float(each.v)) for frame in recording.frames() for each in frame.trades
    )


def control(simulator: Simulator, path: str, body: object = None) -> tuple[int, Any]:
    """Call the control endpoints; return status and body."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(simulator.url.replace("ws://", "http://") + path, data)  # noqa: S310  # our own
    try:
        with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310  # our own
            text = response.read()
            return response.status, json.loads(text) if text else None
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


@pytest.mark.parametrize(("key", "text"), [("", b"Please use an API key."), ("wrong", b"Invalid API key.")])
def test_a_missing_or_unknown_key_is_refused_with_401(two_symbols: Recording, key: str, text: bytes) -> None:
    """The handshake itself is refused, with the body that Finnhub sends."""
    with simulated(two_symbols) as simulator, pytest.raises(InvalidStatus) as refused, speak(simulator, key=key):
        pass
    assert (refused.value.response.status_code, refused.value.response.body) == (401, text)


def test_a_second_connection_with_one_key_closes_both(two_symbols: Recording) -> None:
    """One connection per key: the second drops the first and itself; another key is left alone."""
    config = SimulatorConfig(keys=("demo", "other"), ping_every_s=0.1)
    with simulated(two_symbols, config) as simulator, speak(simulator, key="other") as other:
        with speak(simulator) as first, speak(simulator) as second:
            for client in (first, second):
                hear_until_closed(client)
        with speak(simulator) as third:
            assert hear(third) == hear(other) == {"type": "ping"}


def test_only_subscribed_symbols_are_sent(two_symbols: Recording) -> None:
    """A frame carries those of its prints that were subscribed to, and no other."""
    with simulated(two_symbols) as simulator:
        heard, _ = hear_all(simulator, "AIG", ends_us=two_symbols.ends_us)
    assert len(heard) == COUNT
    assert {each["s"] for message in heard for each in message["data"]} == {"AIG"}


def test_a_message_has_the_shape_and_digits_of_the_recording(two_symbols: Recording) -> None:
    """Without the clock query nothing shows that it is a simulator; numbers keep their text."""
    with simulated(two_symbols) as simulator, speak(simulator, "AIG", "IBM") as client:
        text = client.recv(timeout=10)
    assert text == (
        f'{{"type":"trade","data":[{{"s":"IBM","p":181.50,"t":{START_MS + 40},"v":100,"c":["1"]}},'
        f'{{"s":"AIG","p":49.1,"t":{START_MS + 50},"v":1,"c":["1"]}}]}}'
    )


def test_the_52nd_symbol_is_refused_without_its_name_until_a_slot_is_free(two_symbols: Recording) -> None:
    """Success is silent, so the only messages are the two refusals."""
    refusal = {"type": "error", "msg": "Subscribing to too many symbols"}
    with simulated(two_symbols) as simulator, speak(simulator, *(f"S{n}" for n in range(51))) as client:
        ask(client, "subscribe", "S0")
        ask(client, "subscribe", "S51")
        assert hear(client) == refusal
        ask(client, "unsubscribe", "S7")
        ask(client, "subscribe", "S52")
        client.send("no message of Finnhub's")
        ask(client, "subscribe", "S53")
        assert hear(client) == refusal
        assert set(control(simulator, "/control/status")[1]["symbols"]) == {f"S{n}" for n in range(53)} - {"S7", "S51"}


def test_pings_come_at_their_pace(two_symbols: Recording) -> None:
    """A ping says nothing but its type."""
    with simulated(two_symbols, SimulatorConfig(ping_every_s=0.05)) as simulator, speak(simulator) as client:
        assert [hear(client) for _ in range(4)] == [{"type": "ping"}] * 4


def test_market_time_is_told_to_those_who_ask(two_symbols: Recording) -> None:
    """It starts with a ping at the recording's start, never steps back, and ends with a ping at its end."""
    with simulated(two_symbols) as simulator, speak(simulator, "IBM", "AIG", market_time=True) as client:
        heard = [hear(client) for _ in range(COUNT + 2)]
        assert simulator.caught_up.wait(10)
    times = [message["at_us"] for message in heard]
    assert heard[0] == {"type": "ping", "at_us": START_US}
    assert times == sorted(times)
    assert times[1:-1] == [START_US + 100_000 * n for n in range(1, COUNT + 1)]
    assert heard[-1] == {"type": "ping", "at_us": END_US}
    assert (simulator.frames_sent, simulator.trades_sent, simulator.now_us) == (COUNT, 2 * COUNT, times[-1])


def test_a_clean_drop_loses_nothing_at_full_speed(two_symbols: Recording) -> None:
    """The market waits while nobody listens, and until the client has subscribed again."""
    config = SimulatorConfig(faults=FaultPlan(drop_every_frames=60))
    with simulated(two_symbols, config) as simulator:
        heard, lost = hear_all(simulator, "IBM", "AIG", ends_us=two_symbols.ends_us)
    assert lost == COUNT // 60 == simulator.faults_injected["drop"]
    assert prints(heard) == recorded(two_symbols)


def test_an_abrupt_drop_is_a_reset_and_may_lose_what_was_in_flight(two_symbols: Recording) -> None:
    """Nothing comes twice, and the recording still reaches its end."""
    config = SimulatorConfig(faults=FaultPlan(drop_every_frames=150, drop_how="abrupt"))
    with simulated(two_symbols, config) as simulator:
        heard, lost = hear_all(simulator, "IBM", "AIG", ends_us=two_symbols.ends_us)
    assert lost == 2
    assert prints(heard) <= recorded(two_symbols)


def test_a_repeated_frame_comes_again_as_it_was(two_symbols: Recording) -> None:
    """Finnhub is reported to send a frame three times."""
    config = SimulatorConfig(faults=FaultPlan(duplicate_rate=1.0, duplicate_times=2))
    with simulated(two_symbols, config) as simulator:
        heard, _ = hear_all(simulator, "IBM", "AIG", ends_us=two_symbols.ends_us)
    assert heard[0] == heard[1] == heard[2] != heard[3]
    assert prints(heard) == Counter({each: 3 * count for each, count in recorded(two_symbols).items()})
    assert simulator.faults_injected == {"duplicate": 2 * COUNT}


def test_a_late_print_keeps_its_time_and_comes_later(two_symbols: Recording) -> None:
    """Late prints are held back in market time; none is lost."""
    config = SimulatorConfig(faults=FaultPlan(seed=3, late_rate=0.1, late_by_s=7.0))
    with simulated(two_symbols, config) as simulator:
        heard, _ = hear_all(simulator, "IBM", "AIG", ends_us=two_symbols.ends_us)
    late = [message for message in heard if message["at_us"] - message["data"][0]["t"] * 1_000 > MINUTE_US // 60]
    assert prints(heard) == recorded(two_symbols)
    assert sum(len(message["data"]) for message in late) == simulator.faults_injected["late"] > COUNT // 10
    assert [message["at_us"] for message in heard] == sorted(message["at_us"] for message in heard)


def test_the_market_moves_on_at_a_speed(tmp_path: Path) -> None:
    """What is printed while nobody listens is missed, as with Finnhub."""
    frames = [(1, [("IBM", "1", 0, "1")]), (59_000, [("IBM", "2", 58_999, "1")])]
    recording = Recording([write_recording(tmp_path / "slow.jsonl.gz", frames)])
    with simulated(recording, SimulatorConfig(speed=30)) as simulator:
        with speak(simulator, "IBM", market_time=True) as client:
            assert [hear(client)["at_us"] for _ in range(2)] == [START_US, START_US + 1_000]
        wait_until(simulator.caught_up.is_set)
        with speak(simulator, "IBM", market_time=True) as client:
            assert hear(client) == {"type": "ping", "at_us": END_US}
    assert simulator.frames_sent == 1


def test_the_synthetic_market_sends_its_history_at_once_and_goes_on_with_the_clock() -> None:
    """`caught_up` is set when history ends; from then on frames come when the clock has got there."""
    market = SyntheticMarket(5, START_US)
    clock = HandClock(START_US + 5 * MINUTE_US + 1)
    expected = list(takewhile(lambda frame: frame.at_us <= clock.time_us + MINUTE_US, market.frames()))
    history = [frame for frame in expected if frame.at_us <= clock.time_us]
    with (
        running(Simulator(market, clock=clock)) as simulator,
        speak(simulator, *market.symbols, market_time=True) as client,
    ):
        assert hear(client) == {"type": "ping", "at_us": START_US}
        assert [hear(client)["at_us"] for _ in history] == [frame.at_us for frame in history]
        wait_until(simulator.caught_up.is_set)
        assert simulator.frames_sent == len(history)
        assert simulator.now_us == clock.time_us
        clock.time_us += MINUTE_US
        live = [hear(client) for _ in expected[len(history) :]]
    sent = [[(each["s"], Decimal(str(each["p"]))) for each in message["data"]] for message in live]
    assert sent == [[(each.s, each.p) for each in frame.trades] for frame in expected[len(history) :]]
    assert {"c" in each for message in live for each in message["data"]} == {True, False}


def test_control_tells_the_state_and_injects_faults(tmp_path: Path) -> None:
    """Each first fault can be asked for by name."""
    frames = [(500 * n, [("IBM", f"{n}", 500 * n - 1, "1")]) for n in range(1, 400)]
    recording = Recording([write_recording(tmp_path / "tape.jsonl.gz", frames)])
    with simulated(recording, SimulatorConfig(speed=10)) as simulator:
        assert control(simulator, "/control/faults", {"fault": "earthquake"})[0] == 400
        assert control(simulator, "/control/faults", {"fault": "duplicate", "times": 0})[0] == 400
        assert control(simulator, "/control/faults", {"fault": "duplicate", "times": 2}) == (204, None)
        with speak(simulator, "IBM") as client:
            assert hear(client) == hear(client) == hear(client)
            assert control(simulator, "/control/faults", {"fault": "late", "by_s": 2}) == (204, None)
            prices = [hear(client)["data"][0]["p"] for _ in range(12)]
            assert prices != sorted(prices)
            assert control(simulator, "/control/faults", {"fault": "drop", "how": "abrupt"}) == (204, None)
            hear_until_closed(client)
        _, status = control(simulator, "/control/status")
    assert status["faults"] == {"duplicate": 2, "late": 1, "drop": 1}
    assert (status["source"], status["subscribers"], status["symbols"]) == ("recording", 0, [])
    assert status["trades_sent"] == status["frames_sent"] > 12
    assert START_US < status["now_us"] <= recording.ends_us


def test_the_market_waits_until_all_its_symbols_are_subscribed(two_symbols: Recording) -> None:
    """Two clients with a symbol each both hear the whole of it, whoever came first."""
    with (
        simulated(two_symbols, SimulatorConfig(keys=("one", "two"))) as simulator,
        speak(simulator, "IBM", key="one") as first,
        speak(simulator, "AIG", key="two") as second,
    ):
        heard = [hear(client) for _ in range(COUNT) for client in (first, second)]
    assert prints(heard) == recorded(two_symbols)


def test_a_client_that_does_not_read_holds_no_one_up() -> None:
    """It can be dropped though its buffers are full, and the simulator stops though another such client is there."""
    market = SyntheticMarket(5, START_US)
    clock = HandClock(START_US + 24 * 60 * MINUTE_US)
    counts = [0]

    def is_stuck() -> bool:
        counts.append(simulator.frames_sent)
        return counts[-1] == counts[-2] > 0

    with running(Simulator(market, clock=clock)) as simulator:
        with speak(simulator, *market.symbols):
            wait_until(is_stuck, poll_s=0.2)
            assert control(simulator, "/control/faults", {"fault": "drop"}) == (204, None)
            assert simulator.faults_injected == {"drop": 1}
        with speak(simulator, *market.symbols):
            wait_until(lambda: simulator.frames_sent > counts[-1])
            wait_until(is_stuck, poll_s=0.2)
    assert not simulator.caught_up.is_set()


def test_a_taken_port_ends_with_a_clear_line(two_symbols: Recording) -> None:
    """The line names the address and what to do."""
    with simulated(two_symbols) as first:
        port = int(first.url.rpartition(":")[2])
        second = Simulator(two_symbols, SimulatorConfig(port=port))
        with pytest.raises(ServiceFailed, match=rf"can't listen on 127\.0\.0\.1:{port} .*choose another port"):
            second.run(threading.Event())


def test_no_log_line_holds_a_key(
    two_symbols: Recording, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Neither ours nor the server's, for good keys and bad ones."""
    caplog.set_level(logging.INFO)
    config = SimulatorConfig(keys=("good-secret",))
    with simulated(two_symbols, config) as simulator:
        with pytest.raises(InvalidStatus), speak(simulator, key="bad-secret"):
            pass
        with speak(simulator, "IBM", key="good-secret") as client:
            hear(client)
        control(simulator, "/control/status?token=good-secret")
    out, err = capfd.readouterr()
    assert "simulator.connected" in out + err
    assert "secret" not in out + err + caplog.text + repr(config)
