"""The commands that run services, or look at them, end well and say how things are."""

import re
import socket
from pathlib import Path

from tests.support.command_line import CommandLine
from tests.support.conditions import default_table_text
from tests.support.simulated import write_recording


def test_a_state_of_another_source_is_refused(changing: CommandLine) -> None:
    """Record Finnhub's data into a folder that holds synthetic data."""
    tickhouse = changing.but(FINNHUB_API_KEY="key")
    for words in ("up", "produce"):
        complaint = tickhouse(words, expect=1).complaint()
        assert "holds synthetic data, and finnhub data was about to be mixed in" in complaint
        assert "--mix-sources" in complaint


def test_a_missing_key_is_found_before_anything_is_recorded(served: CommandLine) -> None:
    """Produce without a key."""
    complaint = served("produce", expect=1).complaint()
    assert "the Finnhub API key is not set; searched FINNHUB_API_KEY in the environment" in complaint


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
        r"^  TICKHOUSE_FINNHUB_WS_URL=ws://127\.0\.0\.1:[1-9]\d* TICKHOUSE_SOURCE=synthetic FINNHUB_API_KEY=… ",
        said.out,
        re.MULTILINE,
    )
    assert "[b]" not in said.out + said.err


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
