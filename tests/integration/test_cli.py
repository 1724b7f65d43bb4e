"""Each command explains itself, and what goes wrong is one clear line and an exit code."""

import gzip
import re
import socket
from pathlib import Path
from typing import Any

import pytest
import typer.main

from tests.support.command_line import CommandLine
from tests.support.conditions import default_table_text
from tickhouse.cli.app import app


def _commands() -> dict[str, Any]:
    """Return each command by the words that call it."""
    root: Any = typer.main.get_command(app)
    found: dict[str, Any] = {}
    for name, command in root.commands.items():
        inner = getattr(command, "commands", None)
        found |= {name: command} if inner is None else {f"{name} {word}": each for word, each in inner.items()}
    return found


@pytest.mark.parametrize("words", sorted(_commands()))
def test_the_help_of_a_command_ends_with_an_example(words: str, empty: CommandLine) -> None:
    """Read each command's help: what it does, and a line to paste that names the command."""
    said = empty(*words.split(), "--help")
    epilog = _commands()[words].epilog
    assert re.match(rf"Example: (FINNHUB_API_KEY=… )?tickhouse {words}\b", epilog)
    assert " ".join(epilog.split()) in " ".join(said.out.split())
    assert _commands()[words].help.split()[0] in said.out


@pytest.mark.parametrize("words", sorted(_commands()))
def test_the_example_of_a_command_can_be_parsed(words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parse each example as the command line would, in a folder that has the files it names."""
    monkeypatch.chdir(tmp_path)
    command = _commands()[words]
    example = command.epilog.rpartition(f"tickhouse {words}")[2].split()
    for word in example:
        if word.endswith(".gz"):
            Path(word).touch()
    assert command.make_context(words, example).command is command


def test_without_a_word_the_commands_are_listed(empty: CommandLine) -> None:
    """Call the program alone and its groups alone."""
    said = empty(expect=2)
    assert all(words.split()[0] in said.out + said.err for words in _commands())
    for group, word in (("lake", "verify"), ("kafka", "start")):
        said = empty(group, expect=2)
        assert word in said.out + said.err


@pytest.mark.parametrize(
    ("words", "variables", "complaint"),
    [
        ("status", {"TICKHOUSE_SOURCE": "nyse"}, r"TICKHOUSE_SOURCE: Input should be 'finnhub', 'recording' or"),
        (
            "status",
            {"TICKHOUSE_TOPIC_PARTITIONS": "six"},
            "TICKHOUSE_TOPIC_PARTITIONS: Input should be a valid integer",
        ),
        ("run", {"TICKHOUSE_SYMBOLS": ","}, "TICKHOUSE_SYMBOLS: 0 symbols; one connection takes 1 to 50"),
        ("run", {"TICKHOUSE_LAKE_URL": "ftp://x"}, "TICKHOUSE_LAKE_URL: 'ftp://x' is none of s3://bucket/prefix"),
        ("run", {"TICKHOUSE_TRADE_CONDITIONS": "none.csv"}, r"none\.csv, line 1, column code: can't be read: No such"),
        ("candles IBM", {}, "no gold snapshot in file://.*/state/lake yet; `tickhouse run` makes one"),
        ("gaps", {}, "no gold snapshot in file://.*/state/lake yet; `tickhouse run` makes one"),
        ("run", {"TICKHOUSE_HOME": "/dev/null/state"}, "Not a directory: '/dev/null/state"),
    ],
)
def test_what_a_person_has_to_mend_is_one_line_and_exit_1(
    words: str, variables: dict[str, str], complaint: str, empty: CommandLine
) -> None:
    """Make the mistakes that people make with what is configured."""
    said = empty.but(**variables)(*words.split(), expect=1)
    assert re.match(f"error: .*{complaint}", said.complaint())
    assert not said.out


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("frobnicate", "No such command 'frobnicate'"),
        ("run --frobnicate", "No such option: --frobnicate"),
        ("candles", "Missing argument"),
        ("candles IBM --interval 2m", "'2m' is not one of '1m', '5m', '15m', '1h', '1d'"),
        ("candles IBM --session night", "'night' is not one of"),
        ("candles IBM --format xml", "'xml' is not one of"),
        ("candles IBM --last 0", "greater than or equal to 1"),
        ("candles IBM --from yesterday", "yesterday is no ISO 8601 time such as 2026-11-23 or 2026-11-23T14:30Z"),
        ("candles IBM --from 2026-13-01", "2026-13-01 is no ISO 8601 time"),
        ("gaps --to 0001-01-01T00:00+14:00", "is no ISO 8601 time"),
        ("simulate --speed fast", "fast is neither a positive number nor max"),
        ("simulate --speed 0", "0 is neither a positive number nor max"),
        ("simulate --speed nan", "nan is neither a positive number nor max"),
        ("simulate --speed inf", "inf is neither a positive number nor max"),
        ("simulate --duplicate 2", "less than or equal to 1"),
        ("replay", "Missing argument"),
        ("replay none.gz", "'none.gz' does not exist"),
        ("demo --history 0", "greater than or equal to 1"),
        ("transform --tests some", "'some' is not one of"),
    ],
)
def test_what_was_typed_wrong_is_named_and_exit_2(words: str, complaint: str, empty: CommandLine) -> None:
    """Make the mistakes that people make with words and options."""
    said = empty(*words.split(), expect=2)
    assert complaint in re.sub(r"[\s│]+", " ", said.err)
    assert "Traceback" not in said.err
    assert not said.out
    assert not empty.home.exists()


def test_a_bad_condition_table_is_named_with_line_and_column(empty: CommandLine, tmp_path: Path) -> None:
    """Break one cell of the table."""
    table = tmp_path / "table.csv"
    lines = default_table_text().splitlines()
    lines[2] = lines[2].rpartition(",")[0] + ",maybe"
    table.write_text("\n".join(lines), encoding="utf-8")
    tickhouse = empty.but(TICKHOUSE_TRADE_CONDITIONS=str(table))
    complaint = f"{table}, line 3, column updates_volume: 'maybe' is neither true nor false"
    assert tickhouse("run", expect=1).complaint() == f"error: {complaint}"
    assert f"bad trade conditions: {complaint} (TICKHOUSE_TRADE_CONDITIONS in the environment)" in (
        tickhouse("doctor", expect=1).out
    )


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (gzip.compress(b'{"received_at":1,"message":{"type":"trade","data":[]}}\nnot json\n'), "line 2: "),
        (gzip.compress(b""), "line 1: the file holds no frame"),
        (b"not gzip", "line 1: the file can't be read: Not a gzipped file"),
    ],
)
def test_a_bad_recording_is_named_with_its_line(
    content: bytes, complaint: str, empty: CommandLine, tmp_path: Path
) -> None:
    """Replay and simulate what is no recording: nothing is started."""
    path = tmp_path / "bad.gz"
    path.write_bytes(content)
    for words in ("replay", "simulate"):
        assert empty(words, path, expect=1).complaint().startswith(f"error: {path}, {complaint}")
    assert not (empty.home / "kafka").exists()


def test_a_kafka_that_is_away_is_for_later(empty: CommandLine) -> None:
    """Configure a Kafka that isn't there: exit 75, which schedulers retry on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens on it, and nobody else gets it
        servers = f"127.0.0.1:{taken.getsockname()[1]}"
        complaint = empty.but(KAFKA_BOOTSTRAP_SERVERS=servers)("sink", expect=75).complaint()
    assert f"Kafka at {servers} does not answer" in complaint
