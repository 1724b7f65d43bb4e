"""Make the minute runs of `up` and `demo`, and keep recording whatever becomes of them."""

import threading
import time
from collections.abc import Callable

from tickhouse.errors import TickhouseError
from tickhouse.log import get_logger
from tickhouse.settings import Settings
from tickhouse.stack import batch

__all__ = ["Runs"]

log = get_logger("stack.runs")


class Runs:
    """Load, transform and publish every `run_every_s`; a run that fails is logged and does not end the recording."""

    def __init__(self, settings: Settings, done: Callable[[batch.RunReport], None] | None = None) -> None:
        self._settings = settings
        self._done = done
        self.failed = 0

    def run(self, stop: threading.Event) -> None:
        """Make runs until `stop` is set."""
        while not stop.is_set():
            started = time.monotonic()
            try:
                report = batch.run(self._settings)
            except TickhouseError as error:
                self.failed += 1
                log.error("run.failed", error=str(error), failed=self.failed)  # noqa: TRY400  # its message says all
            else:
                if self._done is not None:
                    self._done(report)
            stop.wait(max(self._settings.run_every_s - (time.monotonic() - started), 1.0))
