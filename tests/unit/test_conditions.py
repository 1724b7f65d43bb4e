"""Tests of the trade condition table."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.conditions import default_table_text, vendor_2013_table, write_vendor_2013
from tickhouse.errors import ConditionTableInvalid
from tickhouse.market import ConditionTable, Flags, SessionName, load_default

HEADER = "code,name,session,updates_last,updates_high_low,updates_volume"
untimed = settings(deadline=None)  # the machine may be busy
UNRESTRICTED = Flags(last=True, high_low=True, volume=True)
VOLUME_ONLY = Flags(last=False, high_low=False, volume=True)
REGULAR, PRE, POST = SessionName.REGULAR, SessionName.PRE, SessionName.POST


def table(*rows: str) -> ConditionTable:
    """Build a table of these rows."""
    return ConditionTable.parse("\n".join([HEADER, *rows]).encode(), "table.csv")


def refusal(content: bytes) -> tuple[int, str, str]:
    """Return line, column and problem with which a table is refused."""
    with pytest.raises(ConditionTableInvalid) as caught:
        ConditionTable.parse(content, "table.csv")
    assert f"table.csv, line {caught.value.line}, column {caught.value.column}: " in str(caught.value)
    return caught.value.line, caught.value.column, caught.value.problem


def test_the_default_table_has_all_of_finnhubs_codes() -> None:
    """Find the codes 1 to 41, each with a name."""
    rows = load_default().rows
    assert {row.code for row in rows} == {str(code) for code in range(1, 42)}
    assert all(row.name for row in rows)


@pytest.mark.parametrize(
    ("code", "session", "expected"),
    [
        ("1", REGULAR, UNRESTRICTED),
        ("8", REGULAR, UNRESTRICTED),
        ("12", REGULAR, VOLUME_ONLY),
        ("16", REGULAR, Flags(last=False, high_low=False, volume=False)),
        ("20", REGULAR, Flags(last=False, high_low=True, volume=False)),
        ("24", REGULAR, VOLUME_ONLY),
        ("24", PRE, UNRESTRICTED),
        ("24", POST, UNRESTRICTED),
        ("27", REGULAR, VOLUME_ONLY),
        ("30", REGULAR, Flags(last=False, high_low=True, volume=True)),
        ("41", REGULAR, UNRESTRICTED),
    ],
)
def test_the_default_table_says_what_todays_rules_say(code: str, session: SessionName, expected: Flags) -> None:
    """Ask for the codes that matter most."""
    assert load_default().flags((code,), session) == expected


def test_a_print_without_codes_is_unrestricted() -> None:
    """Treat no codes as a regular trade."""
    assert load_default().flags((), REGULAR) == UNRESTRICTED


def test_a_print_outside_of_all_sessions_sets_nothing() -> None:
    """Give no flag to a print of closed hours."""
    assert not load_default().flags(("1",), SessionName.CLOSED).counts


def test_an_unknown_code_adds_volume_only_and_is_told() -> None:
    """Count a code that the table doesn't have, but let it set no price."""
    assert load_default().flags(("1", "99"), REGULAR) == VOLUME_ONLY
    assert load_default().unknown(("1", "99", "", "41")) == ("99", "")


@untimed
@given(st.lists(st.sampled_from([*map(str, range(1, 43))]), max_size=4), st.sampled_from([PRE, REGULAR, POST]))
def test_codes_combine_by_and_in_any_order(codes: list[str], session: SessionName) -> None:
    """Allow only what each single code allows."""
    flags = load_default().flags(tuple(codes), session)
    singles = [load_default().flags((code,), session) for code in codes]
    assert flags.last == all(one.last for one in singles)
    assert flags.high_low == all(one.high_low for one in singles)
    assert flags.volume == all(one.volume for one in singles)
    assert flags == load_default().flags(tuple(reversed(codes)), session)


def test_the_half_that_a_file_leaves_out_does_not_restrict() -> None:
    """Fill the other half in, so that every reader of the rows sees the same rule."""
    half = table("8,iso,regular,false,false,true", "24,form_t,extended,false,true,true")
    assert half.flags(("8",), REGULAR) == VOLUME_ONLY
    assert half.flags(("8",), POST) == UNRESTRICTED
    assert half.flags(("24",), REGULAR) == UNRESTRICTED
    assert [(row.code, row.session) for row in half.rows] == [
        ("8", "regular"),
        ("8", "extended"),
        ("24", "extended"),
        ("24", "regular"),
    ]


def test_a_table_saved_by_a_spreadsheet_is_read() -> None:
    """Take the byte order mark, capitals, other line ends, quotes, blank lines and another order of columns."""
    lines = (
        "\ufeffname,code,session,updates_volume,updates_high_low,updates_last",
        '"a, b",7,any,TRUE,True,false',
        ",,,,,",
        "",
    )
    content = "\r\n".join(lines)
    (row,) = ConditionTable.parse(content.encode(), "table.csv").rows
    assert (row.code, row.name, row.flags) == ("7", "a, b", Flags(last=False, high_low=True, volume=True))


@pytest.mark.parametrize(
    ("content", "line", "column", "problem"),
    [
        ("", 1, "code", "the file is empty"),
        ("\n\n", 3, "code", "the file is empty"),
        (HEADER, 2, "code", "no rows"),
        (HEADER.replace(",updates_volume", ""), 1, "updates_volume", "is missing"),
        (HEADER + ",notes", 1, "notes", "is not a column"),
        (HEADER + ",", 1, "(no name)", "is not a column"),
        (HEADER + ",code", 1, "code", "twice in the header"),
        (HEADER + "\n1,a,any,true,true,true\n2,b,any,true,yes,true", 3, "updates_high_low", "'yes' is neither"),
        (HEADER + "\n1,a,any,true,true", 2, "updates_volume", "'' is neither"),
        (HEADER + "\n1,a,any,true,true,true,x", 2, "7", "has 7 values"),
        (HEADER + "\n1,a,night,true,true,true", 2, "session", "'night' is not one of"),
        (HEADER + "\n,a,any,true,true,true", 2, "code", "is empty"),
        (HEADER + "\n1,a,any,true,false,true", 2, "updates_high_low", "must be true where updates_last is"),
        (HEADER + "\n1,a,any,true,true,true\n1,a,any,true,true,true", 3, "session", "has a line for any already"),
        (HEADER + "\n1,a,any,true,true,true\n1,a,regular,true,true,true", 3, "session", "has a line for any:"),
        (HEADER + '\n1,"a\nb",any,true,true,true\n2,b,any,1,true,true', 4, "updates_last", "'1' is neither"),
        (HEADER + '\n1,"a,any,true,true,true', 2, "code", "is not CSV"),
    ],
)
def test_a_bad_table_is_refused_with_line_and_column(content: str, line: int, column: str, problem: str) -> None:
    """Say where it is bad, by the name that the file's header has for the column."""
    found_line, found_column, found_problem = refusal(content.encode())
    assert (found_line, found_column) == (line, column)
    assert problem in found_problem


def test_a_table_in_another_encoding_is_refused_where_it_is_bad() -> None:
    """Point to the first byte that is no UTF-8."""
    line, column, problem = refusal(f"{HEADER}\n1,café,any,true,true,true".encode("latin-1"))
    assert (line, column) == (2, "name")
    assert "UTF-8" in problem


@untimed
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_by_name(content: bytes) -> None:
    """Never fail with another error, whatever the file holds."""
    for candidate in (content, HEADER.encode() + b"\n" + content):
        with suppress(ConditionTableInvalid):
            assert ConditionTable.parse(candidate, "table.csv").rows


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """Name the path and the operating system's reason."""
    with pytest.raises(ConditionTableInvalid, match=r"none\.csv.*can't be read"):
        ConditionTable.read(tmp_path / "none.csv")


def test_a_file_replaces_the_table(tmp_path: Path) -> None:
    """Read the vendor's rule of 2013 from a file."""
    replaced = ConditionTable.read(write_vendor_2013(tmp_path))
    assert replaced.rows == vendor_2013_table().rows
    assert replaced.flags(("8",), REGULAR) == VOLUME_ONLY
    assert replaced.flags(("8",), PRE) == UNRESTRICTED


def test_the_default_table_reads_as_a_file_of_its_own(tmp_path: Path) -> None:
    """Let a user start from a copy of it."""
    copy = tmp_path / "copy.csv"
    copy.write_text(default_table_text(), encoding="utf-8")
    assert ConditionTable.read(copy).rows == load_default().rows
