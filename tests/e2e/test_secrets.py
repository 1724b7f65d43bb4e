"""Look for the key in everything that a full run writes."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.commands import start, tickhouse
from tests.support.waiting import wait_until

KEY = "c0ffee-marker-key-5d1f"  # nothing else looks like it


@contextmanager
def _simulator(folder: Path, *options: str) -> Iterator[str]:
    """Run the simulator and give its URL."""
    log = folder / "simulate.log"
    process = start(
        ["simulate", "--port", "0", "--key", KEY, "--history", "2", *options], home=folder / "simulator", output=log
    )
    try:
        wait_until(lambda: "simulator.listening" in log.read_text(), timeout_s=60)
        line = next(line for line in log.read_text().splitlines() if "simulator.listening" in line)
        yield line.split('"url": "')[1].split('"')[0]
    finally:
        process.terminate()
        process.wait(30)


def test_the_key_is_in_no_output_of_a_full_run(tmp_path: Path) -> None:
    """Run producer, sink and minute runs at debug level, dropped connections included, and search all of it."""
    home, log = tmp_path / "state", tmp_path / "up.log"
    with _simulator(tmp_path, "--drop-every", "60") as url:
        extra = {
            "FINNHUB_API_KEY": KEY,
            "TICKHOUSE_FINNHUB_WS_URL": url,
            "TICKHOUSE_SOURCE": "synthetic",
            "TICKHOUSE_CALENDAR": "24/7",
            "TICKHOUSE_SYMBOLS": "AAPL,MSFT,NVDA",
            "TICKHOUSE_LOG_LEVEL": "debug",
            "TICKHOUSE_SINK_FLUSH_IDLE_S": "1",
            "TICKHOUSE_RUN_EVERY_S": "3",
        }
        up = start(["up"], home=home, output=log, extra=extra)
        try:
            wait_until(lambda: "publish.done" in log.read_text(), timeout_s=120)
            wait_until(lambda: log.read_text().count("feed.connected") > 1, timeout_s=60)
        finally:
            up.terminate()
            assert up.wait(60) == 0, log.read_text()[-3000:]
        for words in (("doctor",), ("status",), ("candles", "AAPL")):
            result = tickhouse(*words, home=home, extra=extra, expect=None)
            assert KEY not in result.stdout + result.stderr
    written = [log, *(path for path in home.rglob("*") if path.is_file())]
    assert len(written) > 20
    assert not [path for path in written if KEY.encode() in path.read_bytes()]


def test_a_refused_key_is_one_line_that_names_the_variable_and_not_the_key(tmp_path: Path) -> None:
    """Produce with a key that the server doesn't know: exit 1, no retry, no secret."""
    home = tmp_path / "state"
    wrong = KEY.replace("5d1f", "wrong")
    with _simulator(tmp_path) as url:
        extra = {"API_KEY": wrong, "TICKHOUSE_FINNHUB_WS_URL": url, "TICKHOUSE_SOURCE": "synthetic"}
        result = tickhouse("produce", home=home, extra=extra, expect=1)
    complaint = result.stderr.strip().splitlines()[-1]
    assert "API_KEY in the environment" in complaint
    assert wrong not in result.stdout + result.stderr
