"""Carry librdkafka's own log lines into ours."""

import logging

from tickhouse.log import get_logger

__all__ = ["client_logger"]


class _Forward(logging.Handler):
    """Log each line as one event: what it says is about connections, and clears up by itself or ends in an error."""

    def __init__(self, room: str) -> None:
        super().__init__()
        self._log = get_logger(room)

    def emit(self, record: logging.LogRecord) -> None:
        level = logging.WARNING if record.levelno >= logging.WARNING else logging.DEBUG
        self._log.log(level, "kafka.client", line=record.getMessage())


def client_logger(room: str) -> logging.Logger:
    """Return what to give to a confluent-kafka client as `logger`; lines come when it is polled."""
    logger = logging.Logger(room, logging.WARNING)  # noqa: LOG001  # in no tree: root handlers must not print it again
    logger.addHandler(_Forward(room))
    return logger
