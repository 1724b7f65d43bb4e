"""Meet the user: read the settings, set up the logs, turn errors into one line and an exit code."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from tickhouse import log
from tickhouse.cli.output import err
from tickhouse.settings import Settings, read_settings

__all__ = ["INTERRUPTED", "configured", "progress", "stop_on_signals"]

INTERRUPTED = 130  # what a shell gives a program that Ctrl-C ended


def configured(**overrides: Any) -> Settings:  # noqa: ANN401  # values of any field
    """Read the settings and send the logs to standard error."""
    settings = read_settings(**{name: value for name, value in overrides.items() if value is not None})
    log.configure(settings.log_level, settings.log_format)
    return settings


@contextmanager
def stop_on_signals() -> Iterator[threading.Event]:
    """Give an event that Ctrl-C or SIGTERM sets; a second Ctrl-C ends the process at once."""
    stop = threading.Event()

    def ask(number: int, _frame: object) -> None:
        if stop.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        stop.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def progress() -> Progress:
    """Return a progress display on standard error, quiet where that is no terminal."""
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[detail]}"),
        TimeElapsedColumn(),
        console=err,
        transient=True,
        disable=not err.is_terminal,
    )
