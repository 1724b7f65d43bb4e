"""The guardian script: what it runs ends with the process that asked for it."""

import fcntl
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.support.waiting import wait_until
from tickhouse.kafka import guardian

STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); signal.pause()"
POLITE = "import signal; print(flush=True); signal.pause()"


@pytest.fixture
def lock(tmp_path: Path) -> Iterator[int]:
    """Return a descriptor that holds a lock."""
    descriptor = os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    yield descriptor
    os.close(descriptor)


def run(program: str, lock: int, grace_s: float) -> tuple[subprocess.Popen[bytes], socket.socket, int]:
    """Run a program under the guardian and return the guardian, our end of the channel, and the program's pid."""
    ours, theirs = socket.socketpair()
    python = [sys.executable, "-I", "-S"]
    with theirs:
        process = subprocess.Popen(  # noqa: S603  # our own script
            [*python, guardian.__file__, str(theirs.fileno()), str(lock), str(grace_s), *python, "-c", program],
            stdout=subprocess.PIPE,
            pass_fds=(theirs.fileno(), lock),
            start_new_session=True,
        )
    ours.settimeout(20)
    pid = int(ours.recv(32))
    assert process.stdout is not None
    with process.stdout as output:
        output.readline()  # the program has set its signals up
    return process, ours, pid


@pytest.mark.parametrize(("program", "code"), [(POLITE, 128 + signal.SIGTERM), (STUBBORN, 128 + signal.SIGKILL)])
def test_the_end_of_the_channel_ends_the_program(lock: int, program: str, code: int) -> None:
    """SIGTERM first; SIGKILL for one that doesn't listen, after the grace."""
    process, channel, pid = run(program, lock, 0.2)
    channel.close()
    assert process.wait(20) == code
    assert not psutil.pid_exists(pid)


def test_a_sigterm_to_the_guardian_is_passed_on(lock: int) -> None:
    """A machine that shuts down signals every process: the program ends in its own way."""
    process, channel, pid = run(POLITE, lock, 20)
    process.terminate()
    assert process.wait(20) == 128 + signal.SIGTERM
    channel.close()
    assert not psutil.pid_exists(pid)


def test_a_detached_program_keeps_running(lock: int) -> None:
    """The guardian leaves at once, its program stays."""
    process, channel, pid = run(POLITE, lock, -1)
    assert process.wait(20) == 0
    channel.close()
    assert psutil.pid_exists(pid)
    os.kill(pid, signal.SIGTERM)
    wait_until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)


def test_the_program_sees_no_variable_of_ours(lock: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key in the environment stays out of the broker's."""
    monkeypatch.setenv("FINNHUB_API_KEY", "secret")
    process, channel, pid = run(POLITE, lock, 20)
    assert "FINNHUB_API_KEY" not in psutil.Process(pid).environ()
    channel.close()
    process.wait(20)
