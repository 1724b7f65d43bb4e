"""Each command does what it says, and what goes wrong is one clear line and an exit code."""

import csv
import gzip
import io
import re
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import typer.main

from tests.support.command_line import CommandLine
from tests.support.conditions import default_table_text
from tests.support.recorded import add_minute, record_morning
from tests.support.simulated import write_recording
from tickhouse.cli.app import app
from tickhouse.lake import open_store
from tickhouse.warehouse import open_snapshot

OPENED = ["14:30", "14:31", "14:32", "14:33", "14:34", "14:35"]


def _commands() -> dict[str, Any]:
    """Return each command by the words that call it."""
    root: Any = typer.main.get_command(app)
    found: dict[str, Any] = {}
    for name, command in root.commands.items():
        inner = getattr(command, "commands", None)
        found |= {name: command} if inner is None else {f"{name} {word}": each for word, each in inner.items()}
    return found


@pytest.fixture
def empty(tmp_path: Path) -> CommandLine:
    """Return the command line of a state folder that isn't there yet."""
    return CommandLine(tmp_path / "state")


@pytest.fixture(scope="module")
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


@pytest.fixture(scope="module")
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


# Help


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


# Errors


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


def test_a_state_of_another_source_is_refused(changing: CommandLine) -> None:
    """Record Finnhub's data into a folder that holds synthetic data."""
    tickhouse = changing.but(FINNHUB_API_KEY="key")
    for words in ("up", "produce"):
        complaint = tickhouse(words, expect=1).complaint()
        assert "holds synthetic data, and finnhub data was about to be mixed in" in complaint
        assert "--mix-sources" in complaint


def test_a_kafka_that_is_away_is_for_later(empty: CommandLine) -> None:
    """Configure a Kafka that isn't there: exit 75, which schedulers retry on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens on it, and nobody else gets it
        servers = f"127.0.0.1:{taken.getsockname()[1]}"
        complaint = empty.but(KAFKA_BOOTSTRAP_SERVERS=servers)("sink", expect=75).complaint()
    assert f"Kafka at {servers} does not answer" in complaint


def test_a_missing_key_is_found_before_anything_is_recorded(served: CommandLine) -> None:
    """Produce without a key."""
    complaint = served("produce", expect=1).complaint()
    assert "the Finnhub API key is not set; searched FINNHUB_API_KEY in the environment" in complaint


# Readers


def test_candles_are_the_same_in_every_format(gold: CommandLine, tmp_path: Path) -> None:
    """Print six minutes as table, CSV, JSON and Parquet, and into a file."""
    table = gold("candles", "ibm").out
    assert re.findall(r"2026-11-23 (\d\d:\d\d):00", table) == OPENED
    rows = gold("candles", "IBM", "--format", "json").json()
    assert [row["opened_at"] for row in rows] == [f"2026-11-23T{time}:00Z" for time in OPENED]
    first = {"open": 100.01, "high": 100.4, "low": 100.01, "close": 100.4, "volume": 30.0, "trades": 3}
    assert {name: rows[0][name] for name in first} == first
    printed = gold("candles", "IBM", "--format", "csv").out
    assert [float(row["close"]) for row in csv.DictReader(io.StringIO(printed))] == [row["close"] for row in rows]
    piped = pq.read_table(io.BytesIO(gold("candles", "IBM", "--format", "parquet").raw))
    assert piped.column("close").to_pylist() == [row["close"] for row in rows]
    for fmt in ("table", "csv", "json", "parquet"):
        said = gold("candles", "IBM", "--format", fmt, "--output", tmp_path / fmt)
        assert (said.out, said.err) == ("", "")
    assert (tmp_path / "csv").read_text(encoding="utf-8") == printed
    assert pq.read_table(tmp_path / "parquet").equals(piped)


@pytest.mark.parametrize(
    ("words", "opened"),
    [
        ("--last 2", OPENED[-2:]),
        ("--last 99", OPENED),
        ("--from 2026-11-23T14:34", OPENED[4:]),
        ("--from 2026-11-23T09:34-05:00 --to 2026-11-23T14:35Z", OPENED[4:5]),
        ("--to 2026-11-23", []),
        ("--from 20261124", []),
        ("--interval 5m --session all", ["14:30", "14:35"]),
        ("--interval 1d", ["14:30"]),
        ("--session pre", []),
    ],
)
def test_candles_can_be_narrowed(words: str, opened: list[str], gold: CommandLine) -> None:
    """Ask for a part of them; times without a zone are UTC."""
    rows = gold("candles", "IBM", "--format", "json", *words.split()).json()
    assert [row["opened_at"][11:16] for row in rows] == opened


def test_a_symbol_without_bars_is_told_which_have_some(gold: CommandLine) -> None:
    """Ask for a symbol that was never recorded: no row, exit 0, and a hint beside the data."""
    said = gold("candles", "[red]x", "--format", "json")
    assert said.json() == []
    assert said.complaint() == "no regular 1m bars of [RED]X in that time; symbols with bars: AAPL, IBM"


def test_parquet_is_not_thrown_at_a_terminal(gold: CommandLine) -> None:
    """Ask for a binary format on a terminal."""
    said = gold("candles", "IBM", "--format", "parquet", expect=1, on_terminal=True)
    assert said.complaint() == "error: --format parquet: is binary; say --output FILE, or send it into a pipe"


def test_a_file_that_cannot_be_written_is_one_line(gold: CommandLine, tmp_path: Path) -> None:
    """Write into a folder that isn't there."""
    missing = tmp_path / "missing" / "bars"
    for fmt in ("csv", "parquet"):
        complaint = gold("candles", "IBM", "--format", fmt, "--output", missing, expect=1).complaint()
        assert complaint.startswith("error: ")
        assert str(missing) in complaint


def test_gaps_say_when_and_why(gold: CommandLine, tmp_path: Path) -> None:
    """Find the minute in which AAPL's feed said nothing, and none for IBM."""
    (gap,) = gold("gaps", "--format", "json").json()
    assert (gap["symbol"], gap["from_at"], gap["to_at"], gap["seconds"]) == (
        "AAPL",
        "2026-11-23T14:33:00Z",
        "2026-11-23T14:34:00Z",
        60.0,
    )
    assert gold("gaps", "aapl", "--from", "2026-11-23T14:34", "--format", "csv").out.count("\n") == 1
    said = gold("gaps", "IBM", "--output", tmp_path / "gaps")
    assert said.complaint() == "no gaps: the feed was recorded without a break in that time"
    assert "no sign of life" in gold("gaps").out


# Batch


def test_steps_with_nothing_to_do_say_so(empty: CommandLine) -> None:
    """Load, publish and look where nothing was ever recorded."""
    loaded = empty("load", "--format", "json").json()
    assert (loaded["load_id"], loaded["objects"], loaded["rows"]) == (None, 0, 0)
    assert not empty("publish", "--format", "json").json()["is_new"]
    assert "no gold snapshot" in empty("candles", "IBM", expect=1).complaint()


def test_steps_alone_carry_a_new_object_into_the_snapshot(changing: CommandLine) -> None:
    """Record one more minute, then load, transform and publish it by hand."""
    add_minute(changing.home)
    loaded = changing("load", "--format", "json").json()
    assert (loaded["objects"], loaded["rows"], loaded["rejects"]) == (1, 4, 0)
    nodes = {row["name"]: row for row in changing("transform", "--format", "json").json()}
    assert nodes["silver_trades"]["rows"] == 3
    assert changing("transform", "--format", "json").json() == []
    assert changing("publish", "--format", "json").json()["is_new"]
    assert not changing("publish", "--format", "json").json()["is_new"]
    rows = changing("candles", "IBM", "--format", "json").json()
    assert [row["opened_at"][11:16] for row in rows] == [*OPENED, "14:36"]
    assert "objects" in changing("run").out


def test_a_hole_in_the_raw_zone_is_found_by_verify_and_stops_a_run(changing: CommandLine) -> None:
    """Prove the lake whole, lose an object, and prove it again."""
    assert [row["is_whole"] for row in changing("lake", "verify", "--format", "json").json()] == [True, True]
    store = open_store((changing.home / "lake").as_uri())
    lost = sorted(found.key for found in store.list("raw/"))[1]
    store.delete([lost])
    said = changing("lake", "verify", expect=1)
    assert said.complaint().startswith("hole: offsets 4 to 7 are missing before raw/stocks-topic/00000/")
    complaint = changing("rebuild", expect=1).err.splitlines()[-1]
    assert complaint.startswith("error: hole in the raw zone: stocks-topic partition 0 should go on at offset 4")
    assert open_snapshot(store).symbols() == ("AAPL", "IBM")


def test_a_rebuild_reports_as_a_run_does(changing: CommandLine) -> None:
    """Rebuild from the raw zone."""
    row = changing("rebuild", "--format", "json").json()
    assert (row["is_full"], row["objects"], row["rows"]) == (True, 11, 44)


def test_an_empty_lake_is_whole(empty: CommandLine) -> None:
    """Verify where nothing was recorded."""
    said = empty("lake", "verify", "--format", "json")
    assert said.json() == []
    assert said.complaint() == "the raw zone holds nothing yet"


# Health


def test_the_status_of_an_empty_state_says_what_to_do(empty: CommandLine) -> None:
    """Look before anything ran: exit 1, and each layer names its command."""
    layers = {row["layer"]: row for row in empty("status", "--format", "json", expect=1).json()}
    assert {name: row["is_well"] for name, row in layers.items()} == {
        "state": True,
        "kafka": False,
        "gold": False,
        "runs": False,
    }
    assert "tickhouse kafka start" in layers["kafka"]["detail"]
    assert "tickhouse run" in layers["gold"]["detail"]
    assert "nothing yet" in empty("status", expect=1).out


def test_the_status_with_a_kafka_counts_what_each_layer_is_behind(served: CommandLine) -> None:
    """Look where all runs: exit 0."""
    layers = {row["layer"]: row for row in served("status", "--format", "json").json()}
    assert list(layers) == ["state", "kafka", "raw zone", "warehouse", "gold", "runs"]
    assert all(row["is_well"] for row in layers.values())
    assert (layers["raw zone"]["behind"], layers["warehouse"]["behind"]) == (0, 0)
    assert layers["state"]["detail"].endswith("holds synthetic")
    assert 0 <= layers["gold"]["age_s"] < 3_600
    assert "the last took" in layers["runs"]["detail"]


def test_the_status_says_that_a_topic_is_missing_or_that_the_last_run_failed(served: CommandLine) -> None:
    """Look with another topic, and after a run that failed."""
    other = served.but(TICKHOUSE_TOPIC="another-topic")
    layers = {row["layer"]: row for row in other("status", "--format", "json", expect=1).json()}
    assert "has no topic another-topic" in layers["kafka"]["detail"]
    failing = served.but(TICKHOUSE_TRADE_CONDITIONS="none.csv")
    assert "none.csv" in failing("run", expect=1).complaint()
    layers = {row["layer"]: row for row in served("status", "--format", "json", expect=1).json()}
    assert "none.csv, line 1" in layers["runs"]["detail"]
    assert layers["runs"]["age_s"] > 0
    served("run")
    served("status")


def test_doctor_names_where_each_value_was_found(served: CommandLine) -> None:
    """Check a good state: exit 0, origins named, no secret."""
    said = served.but(API_KEY="c0ffee", TICKHOUSE_SOURCE="finnhub", TICKHOUSE_CALENDAR="XNYS")("doctor")
    assert "ok  finnhub key: set (API_KEY in the environment)" in said.out
    assert "ok  calendar: XNYS (TICKHOUSE_CALENDAR in the environment)" in said.out
    assert "ok  symbols: 9: AAPL, MSFT" in said.out
    assert re.search(r"ok  kafka: 127\.0\.0\.1:\d+ \(default\)", said.out)
    assert "c0ffee" not in said.out + said.err
    assert not (served.home / "lake" / "probe" / "doctor").exists()
    assert all(row["is_well"] for row in served("doctor", "--format", "json").json())


def test_doctor_names_all_that_is_wrong_at_once(empty: CommandLine, tmp_path: Path) -> None:
    """Check a state with no key, no table, a lake that can't be, and a stamp that can't be read."""
    empty.home.mkdir()
    (empty.home / "state.json").write_text("{", encoding="utf-8")
    (tmp_path / "file").touch()
    wrong = empty.but(
        TICKHOUSE_TRADE_CONDITIONS="none.csv",
        TICKHOUSE_LAKE_URL=(tmp_path / "file" / "lake").as_uri(),
    )
    findings = {row["check"]: row for row in wrong("doctor", "--format", "json", expect=1).json()}
    bad = {name for name, row in findings.items() if not row["is_well"]}
    assert bad == {"state folder", "finnhub key", "trade conditions", "lake"}
    assert "Not a directory" in findings["lake"]["found"]
    assert findings["python"]["origin"] == "this machine"


def test_doctor_on_a_new_machine_misses_nothing_but_the_key(empty: CommandLine, tmp_path: Path) -> None:
    """Check before anything ran, without and with what is configured."""
    findings = {row["check"]: row for row in empty("doctor", "--format", "json", expect=1).json()}
    assert [name for name, row in findings.items() if not row["is_well"]] == ["finnhub key"]
    assert "not running now; a service that needs it starts it" in findings["kafka"]["found"]
    assert findings["state folder"]["found"].endswith(", new")
    table = tmp_path / "table.csv"
    table.write_text(default_table_text(), encoding="utf-8")
    said = empty.but(TICKHOUSE_SOURCE="synthetic", TICKHOUSE_TRADE_CONDITIONS=str(table))("doctor")
    assert "not needed for synthetic data" in said.out
    assert f"rows in {table}" in said.out


# Services


def test_kafka_is_started_found_and_stopped(served: CommandLine, empty: CommandLine) -> None:
    """Ask for its state here and where none runs; a second start finds the first."""
    row = served("kafka", "status", "--format", "json").json()
    assert (row["is_running"], row["is_answering"]) == (True, True)
    assert row["bootstrap_servers"] in served("kafka", "start").out
    assert served("kafka", "status", "--format", "json").json() == row
    row = empty("kafka", "status", "--format", "json").json()
    assert row == {"is_running": False, "is_answering": False, "bootstrap_servers": None, "pid": None}
    assert empty("kafka", "stop").out == "no Apache Kafka runs here\n"


def test_init_creates_what_is_missing_and_leaves_what_exists(served: CommandLine) -> None:
    """Run it again: the same answer; another number of partitions is refused."""
    said = served("init").out
    assert "topic stocks-topic" in said
    assert str(served.home / "warehouse.duckdb") in said
    complaint = served.but(TICKHOUSE_TOPIC_PARTITIONS="3")("init", expect=1).complaint()
    assert "stocks-topic" in complaint


def test_simulate_prints_where_it_listens_and_ends_on_ctrl_c(empty: CommandLine) -> None:
    """Take a free port: what is printed names it, ready to paste in one line."""
    said = empty(
        "simulate", "--port", "0", "--history", "1", "--key", "[b]", interrupt_when=lambda out: "FINNHUB_WS" in out
    )
    assert re.search(
        r"^  TICKHOUSE_FINNHUB_WS_URL=ws://127\.0\.0\.1:[1-9]\d* TICKHOUSE_SOURCE=synthetic FINNHUB_API_KEY=\[b\]$",
        said.out,
        re.MULTILINE,
    )


def test_simulate_says_that_its_port_is_taken(empty: CommandLine) -> None:
    """Listen on a port that somebody has."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = empty("simulate", "--port", str(port), "--speed", "max", expect=1)
    assert f"can't listen on 127.0.0.1:{port}" in said.complaint()
    assert not said.out


def test_sink_ends_well_on_ctrl_c(served: CommandLine, tmp_path: Path) -> None:
    """Interrupt it once it has opened its partitions."""
    sink = served.but(TICKHOUSE_LAKE_URL=(tmp_path / "lake").as_uri(), TICKHOUSE_LOG_LEVEL="info")
    said = sink("sink", interrupt_when=lambda text: "sink.opened" in text)
    assert "Traceback" not in said.err
    assert not said.out


def test_sink_refuses_a_raw_zone_that_is_ahead_of_its_topic(served: CommandLine) -> None:
    """Sink an empty topic into a lake that holds its records already: exit 1, and what to set."""
    complaint = served("sink", expect=1).complaint()
    assert re.match("error: stocks-topic partition [01] ends at offset 0, but the raw zone already holds it", complaint)
    assert "TICKHOUSE_TOPIC" in complaint


def test_up_records_until_ctrl_c(served: CommandLine, tmp_path: Path) -> None:
    """Run all services against a feed that is away: they keep trying, and an interrupt ends them well."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        up = served.but(
            TICKHOUSE_LAKE_URL=(tmp_path / "lake").as_uri(),
            TICKHOUSE_LOG_LEVEL="info",
            TICKHOUSE_FINNHUB_WS_URL=f"ws://127.0.0.1:{taken.getsockname()[1]}",
            FINNHUB_API_KEY="c0ffee",
        )
        said = up("up", "--no-run", interrupt_when=lambda text: "sink.opened" in text and "feed." in text)
    assert "c0ffee" not in said.err
    assert "Traceback" not in said.err


@pytest.fixture
def replaying(served: CommandLine, tmp_path: Path) -> CommandLine:
    """Return the command line of an empty state that uses that Kafka, with topics of its own."""
    servers = served("kafka", "status", "--format", "json").json()["bootstrap_servers"]
    own = {"KAFKA_BOOTSTRAP_SERVERS": servers, "TICKHOUSE_TOPIC": tmp_path.name, "TICKHOUSE_SINK_FLUSH_IDLE_S": "0.2"}
    return CommandLine(tmp_path / "state", own)


def test_replay_reports_what_became_of_a_recording(replaying: CommandLine, tmp_path: Path) -> None:
    """Play two frames, each twice: two prints in silver, two repeats."""
    frames = [(0, [("IBM", "1.5", 0, "10")]), (90_000, [("IBM", "1.75", 90_000, "20")])]
    path = write_recording(tmp_path / "two.gz", frames)
    row = replaying("replay", path, "--duplicate", "1", "--format", "json").json()
    assert (row["files"], row["frames_sent"], row["trades_sent"]) == (1, 2, 2)
    assert (row["trades"], row["repeats"], row["rejects"]) == (2, 2, 0)


def test_a_replay_that_is_interrupted_ends_with_130(replaying: CommandLine, tmp_path: Path) -> None:
    """Interrupt it while it plays slowly: no traceback, no gold, and no half-told report."""
    path = write_recording(tmp_path / "slow.gz", [(at, [("IBM", "1.5", at, "10")]) for at in (0, 3_600_000)])
    slow = replaying.but(TICKHOUSE_LOG_LEVEL="info")
    said = slow("replay", path, "--speed", "1", expect=130, interrupt_when=lambda text: "feed.connected" in text)
    assert "Traceback" not in said.err
    assert not said.out


def test_a_recording_of_too_many_symbols_is_refused(empty: CommandLine, tmp_path: Path) -> None:
    """Play 51 symbols, which no connection takes."""
    path = write_recording(tmp_path / "many.gz", [(0, [(f"S{number}", "1.5", 0, "10") for number in range(51)])])
    complaint = empty("replay", path, expect=1).complaint()
    assert complaint == "error: FILE…: 51 symbols; one connection takes 1 to 50"
