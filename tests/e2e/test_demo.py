"""Run the live demo and end it in all ways in which people end things."""

import os
import signal
from pathlib import Path

import psutil

from tests.support.commands import start, tickhouse
from tests.support.waiting import wait_until

HISTORY = ("--history", "5")
LIVE = "Live now"


def _processes_of(home: Path) -> list[psutil.Process]:
    """Return the processes whose command line names a state folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if str(home) in " ".join(process.cmdline()):
                found.append(process)
        except psutil.Error:
            continue
    return found


def _is_live(log: Path) -> bool:
    return LIVE in log.read_text()


def test_ctrl_c_leaves_no_process_and_a_sound_state(tmp_path: Path) -> None:
    """Send an interrupt to the live demo: it ends well, alone, and its raw zone is whole."""
    home, log = tmp_path / ".tickhouse", tmp_path / "demo.log"
    demo = start(["demo", *HISTORY], home=home, output=log, extra={"TICKHOUSE_RUN_EVERY_S": "2"})
    wait_until(lambda: _is_live(log), timeout_s=120)
    wait_until(lambda: "run " in log.read_text().split(LIVE)[1], timeout_s=60)
    os.killpg(demo.pid, signal.SIGINT)
    assert demo.wait(60) == 0, log.read_text()
    assert not _processes_of(home)
    tickhouse("lake", "verify", home=home / "demo")


def test_a_demo_that_is_killed_leaves_no_kafka_and_is_gone_on_with(tmp_path: Path) -> None:
    """Kill the demo's process outright: Kafka ends with it, and the next demo builds on what was recorded."""
    home, log = tmp_path / ".tickhouse", tmp_path / "demo.log"
    demo = start(["demo", *HISTORY], home=home, output=log)
    wait_until(lambda: _is_live(log), timeout_s=120)
    assert _processes_of(home)
    demo.kill()
    demo.wait()
    wait_until(lambda: not _processes_of(home), timeout_s=40)
    tickhouse("demo", "--once", *HISTORY, home=home)
    tickhouse("lake", "verify", home=home / "demo")


def test_a_second_demo_at_the_same_time_is_refused_in_one_line(tmp_path: Path) -> None:
    """Start a demo beside one that runs: it says so and ends with the code for later."""
    home, log = tmp_path / ".tickhouse", tmp_path / "demo.log"
    demo = start(["demo", *HISTORY], home=home, output=log)
    wait_until((home / "demo.lock").exists, timeout_s=60)
    try:
        second = tickhouse("demo", "--once", home=home, expect=75)
    finally:
        demo.terminate()
        demo.wait(60)
    assert "held by another tickhouse process" in second.stderr
    assert len(second.stderr.strip().splitlines()) == 1
