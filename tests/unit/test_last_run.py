"""The record of the last batch keeps when the last good one was."""

from pathlib import Path

import pytest

from tickhouse.stack.last_run import LastRun, read_last_run, record_run


def test_a_failed_run_keeps_the_time_of_the_last_good_one(tmp_path: Path) -> None:
    """Succeed, fail twice, and succeed again."""
    home = tmp_path / "state"
    record_run(home, LastRun.succeeded(1_000, 2.5))
    assert read_last_run(home) == LastRun(1_000, 2.5, None, 1_000)
    for now_us in (2_000, 3_000):
        record_run(home, LastRun.failed(now_us, 0.5, "the store is away"))
        assert read_last_run(home) == LastRun(now_us, 0.5, "the store is away", 1_000)
    record_run(home, LastRun.succeeded(4_000, 1.0))
    assert read_last_run(home) == LastRun(4_000, 1.0, None, 4_000)
    assert [path.name for path in home.iterdir()] == ["last_run.json"]


def test_a_first_run_that_fails_has_no_good_one_before_it(tmp_path: Path) -> None:
    """Fail in a folder without a record."""
    record_run(tmp_path, LastRun.failed(1_000, 0.5, "no"))
    assert read_last_run(tmp_path) == LastRun(1_000, 0.5, "no", None)


@pytest.mark.parametrize("content", [None, b"", b"{", b"[]", b"\xff"])
def test_a_record_that_is_missing_or_cannot_be_read_is_none(tmp_path: Path, content: bytes | None) -> None:
    """Read nothing, half a record, and no record; the next run writes a good one."""
    if content is not None:
        (tmp_path / "last_run.json").write_bytes(content)
    assert read_last_run(tmp_path) is None
    record_run(tmp_path, LastRun.failed(1_000, 0.5, "no"))
    assert read_last_run(tmp_path) == LastRun(1_000, 0.5, "no", None)
