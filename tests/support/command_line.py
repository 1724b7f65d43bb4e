"""Run the command line inside the test's own process, which is fast and is measured."""

import contextlib
import io
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import msgspec
import structlog

from tests.support.commands import environment
from tests.support.waiting import wait_until
from tickhouse.cli import main

__all__ = ["CommandLine", "Said"]


@dataclass(frozen=True, slots=True)
class Said:
    """How a command ended, and what it wrote."""

    code: int
    out: str
    err: str
    raw: bytes

    def json(self) -> Any:  # noqa: ANN401  # whatever was printed
        """Return what was printed as JSON."""
        return msgspec.json.decode(self.raw)

    def complaint(self) -> str:
        """Return the one line of complaint; fail where there is more or a traceback."""
        assert "Traceback" not in self.err, self.err
        (line,) = self.err.strip().splitlines()
        return line


class Stream(io.TextIOWrapper):
    """Standard output or error in memory."""

    def __init__(self, *, is_terminal: bool = False) -> None:
        self.bytes = io.BytesIO()
        self._is_terminal = is_terminal
        super().__init__(self.bytes, encoding="utf-8", write_through=True)

    def isatty(self) -> bool:
        """Say whether it is a terminal."""
        return self._is_terminal

    def text(self) -> str:
        """Return what was written so far."""
        return self.bytes.getvalue().decode(errors="replace")


@dataclass(frozen=True)
class CommandLine:
    """Commands on one state folder; only errors are logged, so that standard error is what a person sees."""

    home: Path
    extra: Mapping[str, str] = field(default_factory=dict)

    def but(self, **extra: str) -> "CommandLine":
        """Return the same with other variables."""
        return CommandLine(self.home, {**self.extra, **extra})

    def __call__(
        self,
        *words: str | Path,
        expect: int = 0,
        on_terminal: bool = False,
        interrupt_when: Callable[[str], bool] | None = None,
    ) -> Said:
        """Run a command beside the state folder; fail where it ends otherwise than with `expect`.

        With `interrupt_when`, send SIGINT once that holds for what it has written.
        """
        self.home.parent.mkdir(parents=True, exist_ok=True)
        out, err = Stream(is_terminal=on_terminal), Stream()
        known = {"TICKHOUSE_LOG_LEVEL": "error", "COLUMNS": "80", "HOME": os.environ["HOME"], "NO_COLOR": "1"}
        with (
            mock.patch.dict(os.environ, environment(self.home, {**known, **self.extra}), clear=True),
            mock.patch.object(sys, "argv", ["tickhouse", *map(str, words)]),
            contextlib.chdir(self.home.parent),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            ended = threading.Event()
            if interrupt_when is not None:
                threading.Thread(target=_interrupt, args=(interrupt_when, out, err, ended), daemon=True).start()
            code = _run(ended)
        said = Said(code, out.text(), err.text(), out.bytes.getvalue())
        assert code == expect, said
        return said


def _run(ended: threading.Event) -> int:
    try:
        main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else -1
    finally:
        ended.set()
        structlog.reset_defaults()  # the streams end with the command
    return 0


def _interrupt(when: Callable[[str], bool], out: Stream, err: Stream, ended: threading.Event) -> None:
    try:
        wait_until(lambda: ended.is_set() or when(out.text() + err.text()), timeout_s=60)
    finally:
        if not ended.is_set():  # else it would end the tests
            os.kill(os.getpid(), signal.SIGINT)
