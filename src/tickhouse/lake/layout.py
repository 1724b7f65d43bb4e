"""Say what every object of the lake is called, both ways.

The raw zone is never renamed: its names are a pure function of the records, and per partition name order is offset
order.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from tickhouse.errors import TerminalError

__all__ = [
    "GOLD_MANIFEST",
    "RAW",
    "RawKey",
    "gold_key",
    "parse_raw_key",
    "parse_raw_prefix",
    "raw_key",
    "raw_prefix",
]

RAW = "raw"
GOLD_MANIFEST = "gold/manifest.json"
UNDATED = "all"
# the topic's alphabet is Kafka's own: it needs no escaping in a key, on S3 or in a folder
RAW_KEY = re.compile(
    r"raw/(?P<topic>[a-zA-Z0-9._-]{1,249})/(?P<partition>\d{5})/"
    r"(?P<hour>\d{4}/\d{2}/\d{2}/\d{2})/(?P<first_offset>\d{20})\.parquet",
    re.ASCII,
)
RAW_FOLDER = re.compile(r"raw/(?P<topic>[a-zA-Z0-9._-]{1,249})/(?P<partition>\d{5})", re.ASCII)


@dataclass(frozen=True, slots=True)
class RawKey:
    """What an object's name says; `hour` is the UTC hour of its first record's Kafka timestamp."""

    topic: str
    partition: int
    first_offset: int
    hour: datetime


def raw_key(topic: str, partition: int, timestamp_ms: int, first_offset: int) -> str:
    """Name the object that starts with the record at `first_offset`, stamped `timestamp_ms` by Kafka."""
    hour = datetime.fromtimestamp(max(timestamp_ms, 0) // 1000, UTC)  # -1 is Kafka's word for no time
    return f"{raw_prefix(topic, partition)}/{hour:%Y/%m/%d/%H}/{first_offset:020d}.parquet"


def parse_raw_key(key: str) -> RawKey:
    """Read a raw object's name; raises TerminalError for any other."""
    match = RAW_KEY.fullmatch(key)
    try:
        if match is not None:
            hour = datetime.strptime(match["hour"], "%Y/%m/%d/%H").replace(tzinfo=UTC)
            return RawKey(match["topic"], int(match["partition"]), int(match["first_offset"]), hour)
    except ValueError:  # digits that are no date
        pass
    message = f"{key!r} is no name of a raw object: something else writes to the raw zone"
    raise TerminalError(message)


def raw_prefix(topic: str, partition: int | None = None) -> str:
    """Return the folder of a topic, or of one of its partitions, without a slash at the end."""
    return f"{RAW}/{topic}" if partition is None else f"{RAW}/{topic}/{partition:05d}"


def parse_raw_prefix(prefix: str) -> tuple[str, int] | None:
    """Return (topic, partition) of a partition's folder; None for any other."""
    match = RAW_FOLDER.fullmatch(prefix)
    return None if match is None else (match["topic"], int(match["partition"]))


def gold_key(table: str, trading_date: str | None, publish_id: str) -> str:
    """Name one immutable file of the gold snapshot; tables without dates are written whole (`trading_date` None)."""
    return f"gold/{table}/{UNDATED if trading_date is None else trading_date}/{publish_id}.parquet"
