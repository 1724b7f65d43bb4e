"""What every warehouse must do; a second engine joins by a second name in `engines`."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

import pyarrow as pa
import pytest

from tests.support.lake_objects import NOON_MS, TOPIC, put_object, put_values
from tickhouse.errors import WarehouseFailed
from tickhouse.lake import Store, open_store, parse_raw_key, read_footer
from tickhouse.market import ConditionRow, ConditionTable, load_default
from tickhouse.warehouse import RAW_TABLES, Build, DuckDBWarehouse, RawObject, Warehouse, write_reference

NOW_US = NOON_MS * 1000 + 7
engines: dict[str, Callable[[Path], Warehouse]] = {"duckdb": lambda folder: DuckDBWarehouse(folder / "w.duckdb")}


@pytest.fixture(params=engines)
def warehouse(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Warehouse]:
    """Return an empty warehouse that was set up."""
    made = engines[request.param](tmp_path)
    made.init()
    yield made
    made.disconnect()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Return an empty raw zone in a folder."""
    return open_store((tmp_path / "lake").as_uri())


def ready(store: Store, key: str) -> RawObject:
    """Describe an object as the loader does."""
    name, footer, path = parse_raw_key(key), read_footer(store, key), store.local_path(key)
    assert path is not None
    return RawObject(key, name.partition, name.first_offset, footer.last_offset, footer.rows, store.size(key), path)


def rows_of(warehouse: Warehouse, table: str) -> list[dict[str, object]]:
    """Return a table as rows, in no order."""
    found: list[dict[str, object]] = warehouse.query(f"select * from {table}").to_pylist()  # noqa: S608  # a literal
    return found


def test_init_makes_the_tables_of_raw_and_may_be_repeated(warehouse: Warehouse) -> None:
    """Every table has the columns that the port promises, in order."""
    warehouse.init()
    for table, columns in RAW_TABLES.items():
        found = warehouse.query(f"select * from raw.{table}")  # noqa: S608  # our own names
        assert found.column_names == [name for name, _ in columns]


def test_a_loaded_row_is_the_record_decoded(warehouse: Warehouse, store: Store) -> None:
    """Key, headers and value become text; the load is stamped."""
    key = put_values(store, 3, 40, [b'{"price":1.10}'])
    done = warehouse.load(TOPIC, [ready(store, key)], NOW_US)
    assert (done.load_id, done.objects, done.rows, done.rejects) == (1, 1, 1, 0)
    (row,) = rows_of(warehouse, "raw.stock_events")
    assert row == {
        "topic": TOPIC,
        "kafka_partition": 3,
        "kafka_offset": 40,
        "timestamp_ms": NOON_MS,
        "key": "IBM",
        "headers": '[["type","dHJhZGU="],["schema","MQ=="]]',
        "value": '{"price":1.10}',
        "load_id": 1,
        "loaded_at": datetime(2026, 11, 23, 12, 0, 0, 7),  # noqa: DTZ001  # naive UTC is what the column holds
    }


def test_the_ledger_has_a_row_per_object(warehouse: Warehouse, store: Store) -> None:
    """Offsets, counts and size of each object are in the ledger, under the load id of its rows."""
    objects = [ready(store, put_object(store, 0, 0, 5)), ready(store, put_object(store, 0, 5, 3))]
    objects.append(ready(store, put_object(store, 1, 100, 4)))
    warehouse.load(TOPIC, objects, NOW_US)
    ledger = sorted(rows_of(warehouse, "raw.load_ledger"), key=lambda row: str(row["object_key"]))
    names = ("object_key", "kafka_partition", "first_offset", "last_offset", "row_count", "byte_count", "load_id")
    assert [tuple(row[name] for name in names) for row in ledger] == [
        (item.key, item.partition, item.first_offset, item.last_offset, item.rows, item.size, 1) for item in objects
    ]


def test_a_value_that_is_no_text_is_kept_as_null_and_counted(warehouse: Warehouse, store: Store) -> None:
    """Bytes that are not UTF-8, and no value at all, are rejects of their object; the load goes on."""
    bad = ready(store, put_values(store, 0, 0, [b"\xff\xfe", b"fine", None]))
    good = ready(store, put_object(store, 1, 0, 2))
    done = warehouse.load(TOPIC, [bad, good], NOW_US)
    assert (done.rows, done.rejects) == (5, 2)
    assert {row["object_key"]: row["reject_count"] for row in rows_of(warehouse, "raw.load_ledger")} == {
        bad.key: 2,
        good.key: 0,
    }


def test_load_ids_count_up_without_a_hole(warehouse: Warehouse, store: Store) -> None:
    """A load that failed uses up no id."""
    first, second = (ready(store, put_object(store, 0, offset, 2)) for offset in (0, 2))
    assert warehouse.max_load_id() == 0
    assert warehouse.load(TOPIC, [first], NOW_US).load_id == 1
    with pytest.raises(WarehouseFailed):
        warehouse.load(TOPIC, [replace(second, rows=3)], NOW_US)
    assert warehouse.load(TOPIC, [second], NOW_US).load_id == 2
    assert warehouse.max_load_id() == 2


@pytest.mark.parametrize("lie", [{"rows": 4}, {"last_offset": 3}, {"first_offset": 1}])
def test_a_file_that_is_not_as_said_loads_nothing(warehouse: Warehouse, store: Store, lie: dict[str, int]) -> None:
    """Neither its rows nor those of the sound file beside it are there afterwards."""
    sound, other = (ready(store, put_object(store, partition, 0, 3)) for partition in (0, 1))
    with pytest.raises(WarehouseFailed, match="should hold"):
        warehouse.load(TOPIC, [sound, replace(other, **lie)], NOW_US)  # type: ignore[arg-type]  # fields by name
    assert rows_of(warehouse, "raw.stock_events") == []
    assert rows_of(warehouse, "raw.load_ledger") == []


def test_an_unreadable_file_loads_nothing(warehouse: Warehouse, store: Store, tmp_path: Path) -> None:
    """The rows of the objects before it are taken back."""
    sound = ready(store, put_object(store, 0, 0, 3))
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(b"PAR1 nothing PAR1")
    with pytest.raises(WarehouseFailed):
        warehouse.load(TOPIC, [sound, replace(sound, key="raw/other", partition=1, path=broken)], NOW_US)
    assert rows_of(warehouse, "raw.stock_events") == []
    assert warehouse.load(TOPIC, [sound], NOW_US).rows == 3


def test_an_object_is_never_loaded_twice(warehouse: Warehouse, store: Store) -> None:
    """The ledger decides, whoever asks."""
    item = ready(store, put_object(store, 0, 0, 3))
    warehouse.load(TOPIC, [item], NOW_US)
    with pytest.raises(WarehouseFailed, match="loaded already"):
        warehouse.load(TOPIC, [item], NOW_US)
    assert len(rows_of(warehouse, "raw.stock_events")) == 3


def test_loaded_says_how_far_each_partition_is_now_and_was_then(warehouse: Warehouse, store: Store) -> None:
    """Offsets and counts are as of a load id, where one is given."""
    keys = [put_object(store, 0, 0, 3), put_object(store, 0, 3, 2), put_object(store, 1, 9, 1)]
    warehouse.load(TOPIC, [ready(store, keys[0])], NOW_US)
    warehouse.load(TOPIC, [ready(store, keys[1]), ready(store, keys[2])], NOW_US)
    now = warehouse.loaded(TOPIC)
    assert {partition: place.next_offset for partition, place in now.items()} == {0: 5, 1: 10}
    assert (now[0].last_key, now[0].objects, now[0].rows, now[0].rejects) == (keys[1], 2, 5, 0)
    assert {partition: place.next_offset for partition, place in warehouse.loaded(TOPIC, 1).items()} == {0: 3}
    assert warehouse.loaded("another-topic") == {}


def test_builds_are_remembered(warehouse: Warehouse) -> None:
    """The newest build comes back as it was written, and only its own history knows it."""
    assert warehouse.last_build() is None
    first = Build(1, 0, 4, is_full=True, fingerprint="a", finished_us=NOW_US)
    second = Build(2, 4, 5, is_full=False, fingerprint="a", finished_us=NOW_US + 1)
    warehouse.record_build(first)
    warehouse.record_build(second)
    assert warehouse.last_build() == second
    assert warehouse.has_build(1, NOW_US)
    assert not warehouse.has_build(1, NOW_US + 1)
    assert warehouse.is_rebuilt_since(0)
    assert not warehouse.is_rebuilt_since(1)


def test_append_can_take_the_place_of_all_rows(warehouse: Warehouse) -> None:
    """Replacing is one step: a bad row leaves the old ones."""
    columns = [name for name, _ in RAW_TABLES["trade_conditions"]]
    first = pa.table(dict(zip(columns, [["1"], ["Regular"], ["any"], [True], [True], [True]], strict=True)))
    warehouse.append("raw.trade_conditions", first)
    with pytest.raises(WarehouseFailed):
        warehouse.append("raw.trade_conditions", first.drop_columns(["updates_volume"]), replace=True)
    assert warehouse.query("select * from raw.trade_conditions").to_pylist() == first.to_pylist()
    warehouse.append("raw.trade_conditions", first.slice(0, 0), replace=True)
    assert rows_of(warehouse, "raw.trade_conditions") == []


def test_it_goes_on_after_a_disconnect(warehouse: Warehouse, store: Store) -> None:
    """The next use opens the connection again, with all that was written."""
    warehouse.load(TOPIC, [ready(store, put_object(store, 0, 0, 3))], NOW_US)
    warehouse.disconnect()
    assert warehouse.max_load_id() == 1


def test_a_refused_statement_is_an_error_of_ours(warehouse: Warehouse) -> None:
    """No engine's own error type leaves the room."""
    with pytest.raises(WarehouseFailed):
        warehouse.query("select * from raw.no_such_table")


def test_reference_tables_are_written_once_and_after_a_change(warehouse: Warehouse) -> None:
    """Sessions and conditions are in RAW as configured; repeating it writes nothing."""
    conditions = load_default()
    assert write_reference(warehouse, conditions, "XNYS") == ("raw.trade_conditions", "raw.sessions")
    assert write_reference(warehouse, conditions, "XNYS") == ()
    assert len(rows_of(warehouse, "raw.trade_conditions")) == len(conditions.rows)
    day_after_thanksgiving = warehouse.query(
        """
        select applies_to, session, starts_at, ends_at
        from raw.sessions
        where trading_date = date '2026-11-27'
        order by applies_to, starts_at
        """
    ).to_pylist()
    assert [
        (row["applies_to"], row["session"], f"{row['starts_at']:%d %H:%M}", f"{row['ends_at']:%d %H:%M}")
        for row in day_after_thanksgiving
    ] == [
        ("listed", "pre", "27 09:00", "27 14:30"),
        ("listed", "regular", "27 14:30", "27 18:00"),
        ("listed", "post", "27 18:00", "27 22:00"),
        ("round_the_clock", "regular", "27 00:00", "28 00:00"),
    ]


def test_a_changed_condition_table_or_calendar_is_rewritten_alone(warehouse: Warehouse) -> None:
    """Only the table that changed is touched, and it holds nothing of the old one."""
    write_reference(warehouse, load_default(), "24/7")
    other = ConditionTable(
        [ConditionRow("8", "Odd", "any", updates_last=False, updates_high_low=False, updates_volume=True)]
    )
    assert write_reference(warehouse, other, "24/7") == ("raw.trade_conditions",)
    assert [row["code"] for row in rows_of(warehouse, "raw.trade_conditions")] == ["8"]
    assert write_reference(warehouse, other, "XNYS") == ("raw.sessions",)
    found = warehouse.query("select distinct applies_to, calendar from raw.sessions order by applies_to").to_pylist()
    edition = f"XNYS of exchange-calendars {version('exchange-calendars')}"
    assert [tuple(row.values()) for row in found] == [("listed", edition), ("round_the_clock", "24/7")]
