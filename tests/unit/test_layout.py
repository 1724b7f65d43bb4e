"""The names of the lake's objects."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickhouse.errors import TerminalError
from tickhouse.lake import RawKey, gold_key, parse_raw_key, parse_raw_prefix, raw_key, raw_prefix

TOPICS = st.from_regex(r"[a-zA-Z0-9._-]{1,249}", fullmatch=True)
PARTITIONS = st.integers(0, 99_999)
OFFSETS = st.integers(0, 2**63 - 1)
TIMES_MS = st.integers(0, 4_102_444_799_999)  # to the end of 2099


def test_a_name_reads_as_the_design_says() -> None:
    """Topic, partition, hour of the first record and first offset, all padded."""
    key = raw_key("stocks-topic", 3, 1_795_342_801_060, 1234)
    assert key == "raw/stocks-topic/00003/2026/11/22/10/00000000000000001234.parquet"


@settings(deadline=None)
@given(TOPICS, PARTITIONS, TIMES_MS, OFFSETS)
def test_a_name_tells_what_it_was_made_of(topic: str, partition: int, timestamp_ms: int, offset: int) -> None:
    """Names are read back, hour included."""
    hour = datetime.fromtimestamp(timestamp_ms // 3_600_000 * 3_600, UTC)
    key = raw_key(topic, partition, timestamp_ms, offset)
    assert parse_raw_key(key) == RawKey(topic, partition, offset, hour)
    assert key.startswith(raw_prefix(topic, partition) + "/")
    assert parse_raw_prefix(raw_prefix(topic, partition)) == (topic, partition)


@settings(deadline=None)
@given(TOPICS, PARTITIONS, st.lists(st.tuples(OFFSETS, TIMES_MS), unique_by=lambda pair: pair[0]))
def test_name_order_is_offset_order(topic: str, partition: int, pairs: list[tuple[int, int]]) -> None:
    """Kafka's times never run back within a partition, and so neither do names."""
    offsets, times = sorted(offset for offset, _ in pairs), sorted(time for _, time in pairs)
    keys = [raw_key(topic, partition, time, offset) for offset, time in zip(offsets, times, strict=True)]
    assert keys == sorted(keys)


def test_a_record_without_a_time_has_a_name() -> None:
    """Kafka says -1 where it has no time."""
    assert raw_key("t", 0, -1, 0) == "raw/t/00000/1970/01/01/00/00000000000000000000.parquet"


@pytest.mark.parametrize(
    "key",
    [
        "",
        "raw/t/00003/2026/11/22/10/1234.parquet",
        "raw/t/3/2026/11/22/10/00000000000000001234.parquet",
        "raw/t/00003/2026/13/22/10/00000000000000001234.parquet",
        "raw/t/00003/2026/11/22/10/00000000000000001234.parquet#1",
        "raw/t/00003/dt=2026-11-22/00000000000000001234.parquet",
        "gold/candlesticks/2026-11-22/1.parquet",
    ],
)
def test_other_names_are_refused(key: str) -> None:
    """What isn't ours is named, not guessed at."""
    with pytest.raises(TerminalError, match="no name of a raw object"):
        parse_raw_key(key)


def test_other_folders_are_no_partition() -> None:
    """A topic's folder isn't one of its partitions."""
    assert parse_raw_prefix("raw/stocks-topic") is None
    assert parse_raw_prefix("raw/stocks-topic/3") is None


def test_gold_names_say_table_date_and_publication() -> None:
    """Tables without dates are one file a publication."""
    assert gold_key("candlesticks", "2026-11-22", "000007") == "gold/candlesticks/2026-11-22/000007.parquet"
    assert gold_key("symbols", None, "000007") == "gold/symbols/all/000007.parquet"
