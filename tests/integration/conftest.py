"""State folders that the tests of the command line and of the batch share."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.command_line import CommandLine
from tests.support.recorded import record_morning


@pytest.fixture
def empty(tmp_path: Path) -> CommandLine:
    """Return the command line of a state folder that isn't there yet."""
    return CommandLine(tmp_path / "state")


@pytest.fixture(scope="session")
def gold(tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    """Return the command line of a state folder that holds a published morning; tests read it."""
    tickhouse = CommandLine(tmp_path_factory.mktemp("gold") / "state")
    record_morning(tickhouse.home)
    assert tickhouse("run", "--format", "json").json()["objects"] == 11
    return tickhouse


@pytest.fixture
def changing(gold: CommandLine, tmp_path: Path) -> CommandLine:
    """Return the command line of a copy of it, to be changed."""
    shutil.copytree(gold.home, tmp_path / "state")
    return CommandLine(tmp_path / "state")


@pytest.fixture(scope="session")
def served(gold: CommandLine, jar_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    """Return the command line of a copy whose Kafka runs, and whose topics exist."""
    home = tmp_path_factory.mktemp("served") / "state"
    shutil.copytree(gold.home, home)
    tickhouse = CommandLine(home, {"TICKHOUSE_CACHE": str(jar_cache), "TICKHOUSE_SOURCE": "synthetic"})
    assert "serves at 127.0.0.1:" in tickhouse("kafka", "start").out
    try:
        assert "stocks-dlq" in tickhouse("init").out
        yield tickhouse
    finally:
        tickhouse("kafka", "stop")


@pytest.fixture
def replaying(served: CommandLine, tmp_path: Path) -> CommandLine:
    """Return the command line of an empty state that uses that Kafka, with topics of its own."""
    servers = served("kafka", "status", "--format", "json").json()["bootstrap_servers"]
    own = {"KAFKA_BOOTSTRAP_SERVERS": servers, "TICKHOUSE_TOPIC": tmp_path.name, "TICKHOUSE_SINK_FLUSH_IDLE_S": "0.2"}
    return CommandLine(tmp_path / "state", own)
