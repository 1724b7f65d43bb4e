"""Kafka records as Parquet objects."""

import base64
import io
import json

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tickhouse.errors import TerminalError
from tickhouse.lake import RAW_SCHEMA, Header, ObjectFooter, RawRecord, Store, encode_object, open_store, read_footer
from tickhouse.lake import records as records_module

HEADERS: st.SearchStrategy[tuple[Header, ...]] = st.lists(st.tuples(st.text(), st.none() | st.binary())).map(tuple)
ROWS = st.lists(
    st.tuples(st.integers(-1, 2**62), st.none() | st.binary(), HEADERS, st.none() | st.binary()), min_size=1
)


@pytest.fixture
def store() -> Store:
    """Return an empty store."""
    return open_store("memory:///")


def record(offset: int, value: bytes | None = b"{}") -> RawRecord:
    """Return a plain record."""
    return RawRecord("t", 2, offset, 1_000 + offset, b"IBM", (("type", b"trade"),), value)


@settings(deadline=None)  # the first call warms up pyarrow
@given(ROWS, st.integers(0, 2**62))
def test_bytes_come_back_as_they_went_in(
    rows: list[tuple[int, bytes | None, tuple[Header, ...], bytes | None]], first: int
) -> None:
    """Keys, values and headers are any bytes or none; text in header names is any text."""
    sent = [RawRecord("t", 2, first + place, *row) for place, row in enumerate(rows)]
    table = pq.read_table(io.BytesIO(encode_object(sent)))
    assert table.schema.equals(RAW_SCHEMA)
    for row, kept in zip(sent, table.to_pylist(), strict=True):
        headers = [
            (name, None if value is None else base64.b64decode(value)) for name, value in json.loads(kept["headers"])
        ]
        assert row == RawRecord(**(kept | {"headers": tuple(headers)}))


def test_headers_are_a_list_of_name_and_base64() -> None:
    """A header may come twice, and without a value."""
    headers = (("type", b"trade"), ("type", b""), ("source", None))
    table = pq.read_table(io.BytesIO(encode_object([replace(record(1), headers=headers)])))
    assert table["headers"].to_pylist() == ['[["type","dHJhZGU="],["type",""],["source",null]]']


def test_the_same_records_give_the_same_bytes() -> None:
    """An object is a pure function of its records."""
    sent = [record(offset) for offset in range(100)]
    assert encode_object(sent) == encode_object(list(sent))


@pytest.mark.parametrize("count", [1, 50_000])
def test_the_footer_is_read_from_the_tail(store: Store, count: int) -> None:
    """Last offset, rows, schema version and last time stand in the footer of objects of any size."""
    store.put("object", encode_object([record(offset, b"%032x" % (offset**7)) for offset in range(7, 7 + count)]))
    assert read_footer(store, "object") == ObjectFooter(6 + count, count, 1, 1_006 + count)


def test_a_footer_longer_than_what_is_read_first_is_read(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second read fetches what the first left out."""
    monkeypatch.setattr(records_module, "TAIL_BYTES", 100)
    store.put("object", encode_object([record(7)]))
    assert read_footer(store, "object").last_offset == 7


@pytest.mark.parametrize("data", [b"", b"PAR1", b"no parquet at all", b"\xff\xff\xff\x7fPAR1"])
def test_what_is_no_object_of_ours_is_refused(store: Store, data: bytes) -> None:
    """A truncated or foreign file is named."""
    store.put("raw/object", data)
    with pytest.raises(TerminalError, match="raw/object is no raw object"):
        read_footer(store, "raw/object")


def test_a_truncated_object_is_refused(store: Store) -> None:
    """Half an object has no footer."""
    store.put("raw/object", encode_object([record(1)])[:-20])
    with pytest.raises(TerminalError, match="is no raw object"):
        read_footer(store, "raw/object")


def test_a_foreign_parquet_file_is_refused(store: Store) -> None:
    """Parquet without our footer isn't ours."""
    out = io.BytesIO()
    pq.write_table(RAW_SCHEMA.empty_table(), out)
    store.put("raw/object", out.getvalue())
    with pytest.raises(TerminalError, match=r"tickhouse\.last_offset"):
        read_footer(store, "raw/object")
