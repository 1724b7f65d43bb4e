"""Read recordings: what is in them, in which order, and which files are refused."""

import gzip
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.simulated import START_MS, write_recording
from tickhouse.errors import RecordingInvalid
from tickhouse.finnhub import Recording, WireTrade

GOOD = '{"received_at":2000,"message":{"type":"trade","data":[{"s":"IBM","p":1.5,"t":1900,"v":3,"c":["1"]}]}}'
MINUTE_US = 60_000_000


def written(path: Path, *lines: str) -> Path:
    """Write lines as they are."""
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    return path


@pytest.mark.parametrize(
    ("name", "frames", "trades"),
    [
        ("AIG-20131007", 6_112, 25_351),
        ("AIG-20131008", 10_879, 43_342),
        ("IBM-20131007", 8_338, 24_293),
        ("IBM-20131008", 10_912, 33_381),
        ("SPY-20131007", 31_898, 250_601),
    ],
)
def test_a_real_recording_holds_what_was_measured(recordings: Path, name: str, frames: int, trades: int) -> None:
    """Frames and prints are those of the facts page, all of the file's own symbol, and none is decoded away."""
    recording = Recording([recordings / f"{name}.frames.jsonl.gz"])
    assert (recording.frame_count, recording.trade_count) == (frames, trades)
    assert recording.symbols == (name.partition("-")[0],)
    assert sum(len(frame.trades) for frame in recording.frames()) == trades


def test_several_files_merge_by_time(tmp_path: Path) -> None:
    """Frames of different files come in the order in which they were received."""
    aig = write_recording(tmp_path / "aig.gz", [(250, [("AIG", "49.1", 1, "1")]), (750, [("AIG", "49.2", 2, "1")])])
    ibm = write_recording(tmp_path / "ibm.gz", [(500, [("IBM", "181", 3, "1")]), (60_250, [("IBM", "182", 4, "1")])])
    recording = Recording([ibm, aig])
    assert [frame.trades[0].s for frame in recording.frames()] == ["AIG", "IBM", "AIG", "IBM"]
    assert recording.symbols == ("AIG", "IBM")
    assert (recording.starts_us, recording.ends_us) == (START_MS * 1_000, START_MS * 1_000 + 2 * MINUTE_US + 5_000_000)


def test_numbers_keep_their_decimal_text(tmp_path: Path) -> None:
    """A price is no float on its way: not even its last zero changes."""
    path = write_recording(tmp_path / "tape.gz", [(250, [("BINANCE:BTCUSDT", "60000.12345678901230", 1, "0.10")])])
    (frame,) = Recording([path]).frames()
    assert frame.trades == (
        WireTrade("BINANCE:BTCUSDT", Decimal("60000.12345678901230"), START_MS + 1, Decimal("0.10"), ("1",)),
    )
    assert str(frame.trades[0].p) == "60000.12345678901230"


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("{", "truncated"),
        ("", "truncated"),
        (GOOD.replace("2000", "1000"), "before that of the line above"),
        (GOOD.replace("1.5", "0"), "price 0"),
        (GOOD.replace("1.5", '"NaN"'), "price NaN"),
        (GOOD.replace(":3,", ":-3,"), "volume -3"),
        (GOOD.replace('"s":"IBM",', ""), "missing required field `s`"),
        (GOOD.replace('"trade"', '"ping"'), "Invalid enum value 'ping'"),
        (GOOD.replace("1900", '"noon"'), "Expected `int`"),
    ],
)
def test_a_bad_line_is_refused_by_its_number(tmp_path: Path, line: str, problem: str) -> None:
    """The file is refused when it is opened, before anything is sent."""
    path = written(tmp_path / "bad.gz", GOOD, line, GOOD)
    with pytest.raises(RecordingInvalid, match=problem) as refused:
        Recording([path])
    assert (refused.value.path, refused.value.line) == (path, 2)


def test_a_file_that_is_no_recording_is_refused(tmp_path: Path) -> None:
    """Missing, empty, plain and cut files all end with the same kind of line."""
    cut = written(tmp_path / "cut.gz", *[GOOD] * 2_000)
    cut.write_bytes(cut.read_bytes()[:-20])
    plain = tmp_path / "plain.jsonl"
    plain.write_text(GOOD)
    for path, problem in [
        (tmp_path / "none.gz", "No such file"),
        (written(tmp_path / "empty.gz"), "no frame"),
        (plain, "Not a gzipped file"),
        (cut, "can't be read"),
    ]:
        with pytest.raises(RecordingInvalid, match=problem):
            Recording([path])
    with pytest.raises(ValueError, match="at least one file"):
        Recording([])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(noise=st.one_of(st.binary(max_size=80), st.tuples(st.integers(0, 100), st.binary(max_size=4))))
def test_no_bytes_do_more_than_be_refused(tmp_path: Path, noise: bytes | tuple[int, bytes]) -> None:
    """Any file is either read or refused as a recording."""
    good = GOOD.encode()
    line = noise if isinstance(noise, bytes) else good[: noise[0]] + noise[1] + good[noise[0] + len(noise[1]) :]
    path = tmp_path / "fuzz.gz"
    path.write_bytes(gzip.compress(line))
    try:
        recording = Recording([path])
    except RecordingInvalid:
        return
    assert recording.frame_count == len(list(recording.frames()))
