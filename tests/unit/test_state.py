"""A state folder says what it holds, and refuses what would be mixed into it."""

from pathlib import Path
from typing import Any

import pytest

from tickhouse.errors import SettingInvalid, StateMismatch
from tickhouse.state import SCHEMA_VERSION, Stamp, adopt_calendar, check_calendar, read_stamp, stamp_state


def test_a_new_folder_becomes_its_first_sources_own(tmp_path: Path) -> None:
    """Stamp a folder that isn't there yet, twice; nothing but the stamp is in it."""
    home = tmp_path / "new" / "state"
    assert read_stamp(home) is None
    expected = Stamp(("synthetic",), SCHEMA_VERSION, "XNYS")
    assert (
        stamp_state(home, "synthetic", "XNYS") == stamp_state(home, "synthetic", "XNYS") == expected == read_stamp(home)
    )
    assert [path.name for path in home.iterdir()] == ["state.json"]


def test_another_source_is_refused_and_the_stamp_stays(tmp_path: Path) -> None:
    """Mix sources without saying so."""
    stamp_state(tmp_path, "synthetic", "XNYS")
    with pytest.raises(StateMismatch, match=r"holds synthetic data, and finnhub data .*TICKHOUSE_HOME.*--mix-sources"):
        stamp_state(tmp_path, "finnhub", "XNYS")
    assert read_stamp(tmp_path) == Stamp(("synthetic",), SCHEMA_VERSION, "XNYS")


def test_sources_that_are_mixed_on_purpose_are_all_remembered(tmp_path: Path) -> None:
    """Mix three, then go on with each of them without saying so again."""
    stamp_state(tmp_path, "synthetic", "XNYS")
    stamp_state(tmp_path, "recording", "XNYS", allow_mix=True)
    with pytest.raises(StateMismatch, match="holds synthetic and recording data"):
        stamp_state(tmp_path, "finnhub", "XNYS")
    stamp_state(tmp_path, "finnhub", "XNYS", allow_mix=True)
    for source in ("synthetic", "recording", "finnhub"):
        assert stamp_state(tmp_path, source, "XNYS").sources == ("synthetic", "recording", "finnhub")


@pytest.mark.parametrize("allow_mix", [False, True])
def test_a_folder_of_another_schema_is_refused(tmp_path: Path, *, allow_mix: bool) -> None:
    """Find a stamp that a later version wrote."""
    (tmp_path / "state.json").write_text('{"sources":["finnhub"],"schema_version":99}', encoding="utf-8")
    with pytest.raises(StateMismatch, match=f"schema version 99, this tickhouse writes {SCHEMA_VERSION}"):
        stamp_state(tmp_path, "finnhub", "XNYS", allow_mix=allow_mix)


@pytest.mark.parametrize("content", [b"", b"{", b'{"sources":["other"],"schema_version":1}', b"\xff", b"[]"])
def test_a_stamp_that_cannot_be_read_is_refused(tmp_path: Path, content: bytes) -> None:
    """Find the stamp cut off, of another kind, or no text."""
    (tmp_path / "state.json").write_bytes(content)
    with pytest.raises(StateMismatch, match=r"state\.json can't be read .*TICKHOUSE_HOME"):
        read_stamp(tmp_path)


def test_a_source_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    """Stamp with a word that is none of the sources: nothing is written."""
    unknown: Any = "bloomberg"
    with pytest.raises(SettingInvalid, match="'bloomberg' is none of finnhub, recording, synthetic"):
        stamp_state(tmp_path / "state", unknown, "XNYS")
    assert not (tmp_path / "state").exists()


def test_another_calendar_is_refused_until_it_is_adopted(tmp_path: Path) -> None:
    """Sessions and bars of one folder follow one calendar."""
    check_calendar(tmp_path, "24/7")
    stamp_state(tmp_path, "synthetic", "24/7")
    for refused in (check_calendar, lambda home, name: stamp_state(home, "synthetic", name)):
        with pytest.raises(StateMismatch, match="sessions by calendar 24/7, and TICKHOUSE_CALENDAR is XNYS"):
            refused(tmp_path, "XNYS")
    adopt_calendar(tmp_path, "XNYS")
    check_calendar(tmp_path, "XNYS")
    assert read_stamp(tmp_path) == Stamp(("synthetic",), SCHEMA_VERSION, "XNYS")
