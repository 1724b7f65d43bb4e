"""Show that builds may be cut, repeated and broken off in any way: gold is a function of the events alone."""

import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from random import Random

import pytest

from tests.support.conditions import vendor_2013_table
from tests.support.transforming import House, epoch_ms, status_value, template, trade_value
from tickhouse.errors import TransformFailed
from tickhouse.market import FeedState, FeedStatus, Trade, load_default
from tickhouse.transform import TransformResult, freshness, run_dbt
from tickhouse.warehouse import Warehouse, write_reference

OPENS = epoch_ms("2013-10-07T13:30")
MINUTE = 60_000
TABLES = ("candlesticks", "feed_gaps", "silver_trades", "silver_bars_1m", "silver_feed_spans")


@pytest.fixture(scope="module")
def made_from(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the warehouse that each test starts from."""
    return template(tmp_path_factory.mktemp("template") / "template.duckdb")


@pytest.fixture
def house(made_from: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> House:
    """Give a warehouse without events; dbt's state is shared, so that it parses the project once."""
    return House(made_from, tmp_path, dbt_state=tmp_path_factory.getbasetemp() / "incremental")


def prints(symbol: str, count: int, seed: int, starts_ms: int = OPENS) -> list[str]:
    """Make prints over a quarter of an hour, some late, some with codes; one in ten comes twice."""
    rng = Random(seed)  # noqa: S311  # a seed, so that a failure comes again
    values = []
    for number in range(count):
        late_ms = rng.choice([0, 0, 0, 0, 200_000])
        trade = Trade(
            symbol=symbol,
            ts_ms=starts_ms + number * 15 * MINUTE // count - late_ms,
            price=Decimal(rng.randint(18_000, 18_500)) / 100,
            volume=Decimal(rng.randint(0, 9) * 50),
            conditions=tuple(rng.sample(["1", "8", "12", "41"], rng.randint(0, 2))),
        )
        values += [trade_value(trade)] * (2 if number % 10 == 0 else 1)
    return values


def alive(symbol: str, from_minute: int, to_minute: int) -> str:
    """Make a sign of life over minutes since the open."""
    from_us, to_us = ((OPENS + minute * MINUTE) * 1_000 for minute in (from_minute, to_minute))
    return status_value(FeedStatus(symbol, FeedState.ALIVE, from_us, to_us))


def told_until(state: FeedState, to_us: int, received_us: int = OPENS * 1_000) -> str:
    """Make a feed status from the open on."""
    return (
        f'{{"type":"status","symbol":"IBM","state":"{state.value}","from_us":{OPENS * 1_000},"to_us":{to_us},'
        f'"reason":"","received_us":{received_us}}}'
    )


def rows_of(result: TransformResult) -> dict[str, int]:
    """Return how many rows each table got."""
    return {node.name: node.rows for node in result.nodes if node.rows is not None}


def test_any_cut_into_builds_gives_the_rows_of_one_build_of_all(house: House) -> None:
    """Four builds, one of them broken off half-way, leave the rows that a build from nothing makes."""
    values = [*prints("IBM", 80, seed=1), *prints("BINANCE:BTCUSDT", 60, seed=2)]
    told = [alive("IBM", 0, 3), alive("IBM", 6, 9), alive("IBM", 2, 5), alive("IBM", 5, 30)]
    for number in range(4):
        house.load([*values[number::4], told[number]])
        if number == 2:
            # what a kill after the first models leaves behind: rows, but no record of a build
            run_dbt(house.warehouse, ["run", "--select", "+silver_trades", "silver_feed_spans"], state_dir=house.state)
            house.load([])
        house.transform(tests="new")
    in_steps = {name: house.table(name) for name in TABLES}
    assert house.transform(full=True).is_full
    assert {name: house.table(name) for name in TABLES} == in_steps
    assert sum(row["revision"] for row in in_steps["candlesticks"]) > 0


POISON = [
    trade_value(Trade("IBM", OPENS, Decimal(5), Decimal(1)), received_us=str(2**63 - 1)),
    trade_value(Trade("IBM", OPENS, Decimal(5), Decimal(1)), received_us=str(-(2**63))),
    trade_value(Trade("IBM", 92 * 10**14, Decimal(5), Decimal(1)), received_us=str(92 * 10**17)),
    *(told_until(state, 2**63 - 1) for state in FeedState),
    *(told_until(state, 2**63 - 1, received_us=2**63 - 1) for state in FeedState),
    *(told_until(state, 4_000_000_000_000_000) for state in FeedState),
    *[
        trade_value(Trade("IBM", OPENS + 60_000, Decimal(999_999_999_999), Decimal(999_999_999_999), occurrence=number))
        for number in range(200)
    ],
]


def test_no_event_stops_the_builds_or_changes_a_bar_of_others(house: House) -> None:
    """Times and numbers past all bounds are rejects; bars and gaps are as if nobody had sent them."""
    values = [*prints("IBM", 40, seed=9), alive("IBM", -9, 5), alive("IBM", 7, 12)]
    house.load(values)
    house.transform()
    clean = {name: house.table(name) for name in ("candlesticks", "feed_gaps")}
    house.load(POISON)
    house.transform()
    house.load([trade_value(Trade("AIG", OPENS, Decimal(5), Decimal(1)))])
    house.transform()
    for name, rows in clean.items():
        assert [row for row in house.table(name) if row["symbol"] == "IBM"] == rows
    rejected = house.rows("select count(*) as n from silver.silver_rejects where reject_reason <> 'repeat'")
    assert rejected == [{"n": len(POISON)}]


@pytest.mark.parametrize("reached", ["+silver_symbol_clocks", "+silver_bars_1m", "silver_feed_spans", "+candlesticks"])
def test_a_full_build_that_was_cut_off_is_made_up_for(
    house: House, monkeypatch: pytest.MonkeyPatch, reached: str
) -> None:
    """What a killed rebuild by another condition table left behind is gone after the next build, by the old one."""
    values = prints("IBM", 80, seed=10)
    house.load([*values[:50], alive("IBM", 0, 9)])
    house.transform(tests="new")
    house.load(values[50:])
    write_reference(house.warehouse, vendor_2013_table(), "XNYS")

    def killed(warehouse: Warehouse, arguments: Sequence[str], *, state_dir: Path) -> None:
        run_dbt(warehouse, ["run", *arguments[3:], "--select", *reached.split()], state_dir=state_dir)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("tickhouse.transform.run.run_dbt", killed)
        with pytest.raises(KeyboardInterrupt):
            house.transform(tests="all")
    write_reference(house.warehouse, load_default(), "XNYS")
    assert house.transform(tests="new").is_full
    after = {name: house.table(name) for name in TABLES}
    house.load([trade_value(Trade("IBM", OPENS + MINUTE, Decimal("181.77"), Decimal(3)))])
    assert not house.transform(tests="new").is_full
    in_steps = {name: house.table(name) for name in TABLES}
    assert after["candlesticks"] != in_steps["candlesticks"]
    house.transform(full=True)
    assert {name: house.table(name) for name in TABLES} == in_steps


def test_a_symbol_on_two_partitions_has_one_history(house: House) -> None:
    """Another producer may place keys elsewhere: lateness and the repeat that stands don't depend on cuts."""
    early, late, repeat = (
        trade_value(Trade("IBM", OPENS + at, Decimal(price), Decimal(100)))
        for at, price in ((0, 10), (100_000, 12), (5, 11))
    )
    house.load([early, late, repeat], partition=1)
    house.transform(tests="new")
    house.load([repeat, trade_value(Trade("IBM", OPENS + 7, Decimal(13), Decimal(1)))], partition=0)
    house.transform(tests="new")
    in_steps = {name: house.table(name) for name in (*TABLES, "silver_rejects")}
    house.transform(full=True)
    assert {name: house.table(name) for name in (*TABLES, "silver_rejects")} == in_steps
    assert [row["kafka_partition"] for row in in_steps["silver_rejects"]] == [0]
    minute = "select revision from gold.candlesticks where interval = '1m' and session = 'regular' order by opened_at"
    assert house.rows(minute) == [{"revision": 1}, {"revision": 0}]  # `repeat` came late on its own partition


def test_repeated_records_change_no_candlestick(house: House) -> None:
    """What comes again becomes rejects; no candlestick is written, so that each keeps its build."""
    values = [*prints("IBM", 60, seed=3), alive("IBM", 0, 5)]
    house.load(values)
    house.transform(tests="new")
    before = house.table("candlesticks", without=())
    rejects = len(house.table("silver_rejects"))
    house.load(values)
    result = house.transform(tests="new")
    assert house.table("candlesticks", without=()) == before
    assert rows_of(result)["candlesticks"] == rows_of(result)["silver_trades"] == 0
    assert len(house.table("silver_rejects")) == rejects + len(values) - 1


def test_a_build_writes_in_proportion_to_what_is_new(house: House) -> None:
    """A day of bars is there; one more print writes one trade, one minute and the ten bars that hold it."""
    house.load([*prints("IBM", 200, seed=4), *prints("AIG", 200, seed=5)])
    assert rows_of(house.transform(tests="new"))["silver_trades"] == 400
    house.load([trade_value(Trade("IBM", OPENS + 15 * MINUTE, Decimal("182.3"), Decimal(100)))])
    rows = rows_of(house.transform(tests="new"))
    assert rows["silver_trades"] == rows["silver_bars_1m"] == 1
    # ten bars hold the print; it closes four more: the minute, the five and the quarter of an hour before it
    assert rows["candlesticks"] <= 16
    assert {row["symbol"] for row in house.rows("select * from gold.candlesticks where build_id = 2")} == {"IBM"}


def test_without_new_loads_dbt_is_not_run(house: House) -> None:
    """A second call does nothing and says so."""
    house.load(prints("IBM", 5, seed=6))
    assert house.transform(tests="new").build_id == 1
    again = house.transform(tests="new")
    assert (again.build_id, again.nodes) == (None, ())


def test_a_changed_condition_table_rebuilds_gold(house: House) -> None:
    """Bars are made anew by the new table though no event is new."""
    sweep = Trade("IBM", OPENS, Decimal(100), Decimal(1), ("8",))
    plain = Trade("IBM", OPENS + 1, Decimal(90), Decimal(1))
    house.load([trade_value(sweep), trade_value(plain)])
    house.transform(tests="new")
    assert {row["high"] for row in house.table("candlesticks")} == {100.0}
    write_reference(house.warehouse, vendor_2013_table(), "XNYS")
    assert house.transform(tests="new").is_full
    assert {row["high"] for row in house.table("candlesticks")} == {90.0}


def test_a_status_that_comes_late_closes_its_gap(house: House) -> None:
    """A gap leaves the ledger, and its bars become complete, when a sign of life for it comes in late."""
    house.load([trade_value(Trade("IBM", OPENS, Decimal(5), Decimal(1))), alive("IBM", -9, 0), alive("IBM", 2, 9)])
    house.transform(tests="new")
    minute = "select is_complete from gold.candlesticks where interval = '1m' and session = 'regular'"
    assert [row["state"] for row in house.table("feed_gaps")] == ["uncovered"]
    assert house.rows(minute) == [{"is_complete": False}]
    house.load([alive("IBM", 0, 2)])
    house.transform(tests="new")
    assert house.table("feed_gaps") == []
    assert house.rows(minute) == [{"is_complete": True}]


def test_a_print_of_the_next_day_closes_the_bars_of_the_day_before(house: House) -> None:
    """Bars close by what their symbol shows, also where none of their own prints is new."""
    first = Trade("IBM", OPENS, Decimal(5), Decimal(1))
    house.load([trade_value(first)])
    house.transform(tests="new")
    assert {row["is_closed"] for row in house.table("candlesticks")} == {False}
    house.load([trade_value(replace(first, ts_ms=OPENS + 24 * 60 * MINUTE))])
    house.transform(tests="new")
    closed = {(row["trading_date"].day, row["is_closed"]) for row in house.table("candlesticks")}
    assert closed == {(7, True), (8, False)}


def test_an_unknown_condition_code_warns(house: House) -> None:
    """Its volume counts, its price doesn't, and the result carries the warning."""
    house.load([trade_value(Trade("IBM", OPENS, Decimal(5), Decimal(7), ("new",)))])
    result = house.transform(tests="new")
    assert [node.name for node in result.warnings] == ["warn_unknown_condition_codes"]
    assert house.table("candlesticks") == []
    assert [(row["volume"], row["open"]) for row in house.table("silver_bars_1m")] == [(7, None)]


def test_a_failed_test_is_named_and_its_loads_come_again(house: House) -> None:
    """Without a calendar no print could be in a session: the build fails by name, and is not in the books."""
    house.warehouse.append("raw.sessions", house.warehouse.query("select * from raw.sessions limit 0"), replace=True)
    house.load(prints("IBM", 5, seed=7))
    with pytest.raises(TransformFailed, match=r"assert_calendar_covers_all_times: Got 2 results"):
        house.transform(tests="new")
    assert house.warehouse.last_build() is None
    write_reference(house.warehouse, vendor_2013_table(), "XNYS")
    assert house.transform(tests="new").build_id == 1


def test_another_process_can_open_the_file_after_a_build(house: House) -> None:
    """A build on any thread leaves no handle behind that locks others out, also where it failed."""
    house.load(prints("IBM", 5, seed=8))
    results: list[TransformResult] = []
    thread = threading.Thread(target=lambda: results.append(house.transform(tests="new")))
    thread.start()
    thread.join()
    assert [result.build_id for result in results] == [1]
    house.warehouse.disconnect()
    run_elsewhere(house, "alter table raw.sessions rename to moved")
    with pytest.raises(TransformFailed, match=r"bronze_sessions: .* sessions does not exist"):
        run_dbt(house.warehouse, ["build"], state_dir=house.state)
    run_elsewhere(house, "alter table raw.moved rename to sessions")


def run_elsewhere(house: House, sql: str) -> None:
    """Run a statement in a process of its own."""
    program = "import duckdb, sys; duckdb.connect(sys.argv[1]).execute(sys.argv[2])"
    subprocess.run([sys.executable, "-c", program, str(house.path), sql], check=True, timeout=60)  # noqa: S603  # ours


def test_dbt_writes_nothing_to_the_terminal(house: House, capfd: pytest.CaptureFixture[str]) -> None:
    """Its words go to its log file; standard output belongs to the commands."""
    run_dbt(house.warehouse, ["run", "--select", "bronze_sessions"], state_dir=house.state)
    assert capfd.readouterr() == ("", "")
    assert "bronze_sessions" in (house.state / "dbt" / "logs" / "dbt.log").read_text(encoding="utf-8")


def test_the_unit_tests_of_the_models_pass(house: House) -> None:
    """The rules that each model's yml shows by example hold."""
    run_dbt(house.warehouse, ["run", "--empty"], state_dir=house.state)
    result = run_dbt(house.warehouse, ["test", "--select", "test_type:unit"], state_dir=house.state)
    assert len(getattr(result.result, "results", ())) >= 10


def test_freshness_tells_the_age_of_the_newest_row(house: House) -> None:
    """Rows of just now pass; those of the year 2000 are an error that is told, not raised."""
    house.load(["{}"], loaded_at=datetime(2000, 1, 1))  # noqa: DTZ001  # RAW holds naive UTC
    (old,) = freshness(house.warehouse, state_dir=house.state)
    assert (old.name, old.status) == ("stock_events", "error")
    house.load(["{}"], loaded_at=datetime.now(UTC).replace(tzinfo=None))
    (new,) = freshness(house.warehouse, state_dir=house.state)
    assert new.status == "pass"
    assert new.age_s is not None
    assert new.age_s < 60
