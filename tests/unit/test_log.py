"""Logs are one JSON object a line, or lines for people on a terminal."""

import io
import json
import sys
from collections.abc import Iterator

import pytest
import structlog

from tickhouse.log import configure, get_logger


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Say so."""
        return True


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def test_a_line_is_one_json_object_with_room_event_and_values() -> None:
    """Log values of several kinds, a line break among them."""
    stream = io.StringIO()
    configure("info", "json", stream)
    get_logger("lake.sink").info("sink.flushed", topic="stocks\ntopic", rows=3)
    (line,) = stream.getvalue().splitlines()
    record = json.loads(line)
    assert record.pop("timestamp").endswith("Z")
    assert record == {
        "room": "lake.sink",
        "event": "sink.flushed",
        "topic": "stocks\ntopic",
        "rows": 3,
        "level": "info",
    }


@pytest.mark.parametrize(("level", "lines"), [("debug", 4), ("info", 3), ("warning", 2), ("error", 1)])
def test_only_the_level_and_above_are_logged(level: str, lines: int) -> None:
    """Log one line of each level."""
    stream = io.StringIO()
    configure(level, "json", stream)
    log = get_logger("test")
    for name in ("debug", "info", "warning", "error"):
        getattr(log, name)(f"said.{name}")
    found = [json.loads(line)["level"] for line in stream.getvalue().splitlines()]
    assert found == ["debug", "info", "warning", "error"][-lines:]


def test_a_logger_that_was_made_before_follows_the_configuration() -> None:
    """Make loggers at import, as rooms do, and configure twice after it."""
    log = get_logger("test")
    first, second = io.StringIO(), io.StringIO()
    configure("info", "json", first)
    log.info("one")
    configure("info", "json", second)
    log.info("two")
    assert ("one" in first.getvalue(), "two" in first.getvalue()) == (True, False)
    assert "two" in second.getvalue()


def test_a_crash_is_logged_with_its_traceback_in_the_same_line() -> None:
    """Log an exception as JSON."""
    stream = io.StringIO()
    configure("info", "json", stream)
    try:
        int("what went wrong")
    except ValueError:
        get_logger("test").exception("test.crashed")
    (line,) = stream.getvalue().splitlines()
    record = json.loads(line)
    assert record["level"] == "error"
    assert "Traceback" in record["exception"]
    assert "what went wrong" in record["exception"]


def test_auto_is_for_people_on_a_terminal_and_json_elsewhere() -> None:
    """Log into both; colours go to a terminal only."""
    terminal, file, console = Terminal(), io.StringIO(), io.StringIO()
    for stream, fmt in ((terminal, "auto"), (file, "auto"), (console, "console")):
        configure("info", fmt, stream)  # type: ignore[arg-type]  # both are formats
        get_logger("test").info("said.hello", rows=3)
    assert "said.hello" in terminal.getvalue()
    assert "\x1b[" in terminal.getvalue()
    assert not terminal.getvalue().startswith("{")
    assert json.loads(file.getvalue())["event"] == "said.hello"
    assert "rows=3" in console.getvalue()
    assert "\x1b[" not in console.getvalue()


def test_lines_go_to_standard_error_unless_told_otherwise(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Configure without a stream: standard output stays free for data."""
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    configure("info", "auto")
    get_logger("test").info("said.hello")
    assert json.loads(stream.getvalue())["event"] == "said.hello"
    assert not capsys.readouterr().out
