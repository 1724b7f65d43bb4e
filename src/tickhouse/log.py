"""Set up structured logs: console lines on a terminal, JSON elsewhere."""

import logging
import sys
from typing import Literal, TextIO

import structlog

__all__ = ["LogFormat", "configure", "get_logger"]

LogFormat = Literal["auto", "console", "json"]
Logger = structlog.stdlib.BoundLogger


def get_logger(room: str) -> Logger:
    """Return the logger of one room, such as `lake.sink`."""
    logger: Logger = structlog.get_logger(room=room)
    return logger


def configure(level: str, fmt: LogFormat, stream: TextIO | None = None) -> None:
    """Send all records at or above `level` to `stream` (standard error by default)."""
    out = sys.stderr if stream is None else stream
    console = fmt == "console" or (fmt == "auto" and out.isatty())
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer(colors=out.isatty()) if console else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(out),
        cache_logger_on_first_use=False,
    )
