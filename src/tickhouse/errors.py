"""Name every way in which Tickhouse fails.

The tree::

    TickhouseError
    ├── TransientError             try again; the retry loops key on this type
    │   ├── FeedLost               the WebSocket closed, went silent or could not be opened
    │   ├── KafkaAway              no broker answered in time
    │   ├── StoreAway              the object store failed or did not answer
    │   └── LockBusy               another process holds a lock that was waited for
    └── TerminalError              a person has to act; the message says how
        ├── SettingMissing         a value that is needed is nowhere
        ├── SettingInvalid         a value can't be used
        ├── KeyRefused             Finnhub refused the API key
        ├── ConditionTableInvalid  the trade condition table has a bad line
        ├── RecordingInvalid       a recording has a bad line
        ├── BrokerFailed           the local Apache Kafka can't be fetched or started
        ├── TopicMismatch          a topic exists with another shape than the settings ask for
        ├── ChainBroken            the raw zone has a hole or an overlap
        ├── TopicRecreated         the raw zone is ahead of the topic
        │   └── TopicReplaced      the topic's records aren't those of the raw zone
        ├── ObjectMissing          the store has no object of that key
        ├── RawZoneShort           the raw zone lacks what the warehouse has loaded from it
        ├── StateMismatch          the state folder belongs to another source, schema or calendar
        ├── WarehouseFailed        the warehouse refused a statement
        ├── TransformFailed        dbt ended with failed models or tests
        ├── SnapshotMissing        nothing was published yet
        └── ServiceFailed          a supervised service ended for good

Each carries its values as attributes and the next step in its message.
"""

from pathlib import Path
from typing import ClassVar

__all__ = [
    "BrokerFailed",
    "ChainBroken",
    "ConditionTableInvalid",
    "FeedLost",
    "KafkaAway",
    "KeyRefused",
    "LockBusy",
    "ObjectMissing",
    "RawZoneShort",
    "RecordingInvalid",
    "ServiceFailed",
    "SettingInvalid",
    "SettingMissing",
    "SnapshotMissing",
    "StateMismatch",
    "StoreAway",
    "TerminalError",
    "TickhouseError",
    "TopicMismatch",
    "TopicRecreated",
    "TopicReplaced",
    "TransformFailed",
    "TransientError",
    "WarehouseFailed",
]


class TickhouseError(Exception):
    """Base of all errors that Tickhouse raises on purpose."""

    exit_code: ClassVar[int] = 1


class TransientError(TickhouseError):
    """Say that the same call may succeed later."""

    exit_code = 75  # EX_TEMPFAIL of sysexits.h: schedulers retry on it


class TerminalError(TickhouseError):
    """Say that no retry helps: a person has to act."""


class FeedLost(TransientError):
    """The WebSocket closed, went silent or could not be opened."""


class KafkaAway(TransientError):
    """No broker answered in time."""


class StoreAway(TransientError):
    """The object store failed or did not answer."""


class LockBusy(TransientError):
    """Another process holds a lock that was waited for."""

    def __init__(self, path: Path, waited_s: float) -> None:
        super().__init__(
            f"{path} is held by another tickhouse process (waited {waited_s:.0f} s); try again when it has ended"
        )
        self.path = path
        self.waited_s = waited_s


class SettingMissing(TerminalError):
    """A value that is needed is nowhere."""

    def __init__(self, what: str, searched: list[str]) -> None:
        super().__init__(f"{what} is not set; searched {', '.join(searched)}")
        self.what = what
        self.searched = searched


class SettingInvalid(TerminalError):
    """A value can't be used."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"{name}: {problem}")
        self.name = name
        self.problem = problem


class KeyRefused(TerminalError):
    """Finnhub refused the API key."""

    def __init__(self, status: int, found_in: str) -> None:
        super().__init__(
            f"Finnhub refused the API key (HTTP {status}); it was read from {found_in}: put a valid key there"
        )
        self.status = status
        self.found_in = found_in


class ConditionTableInvalid(TerminalError):
    """The trade condition table has a bad line."""

    def __init__(self, path: str, line: int, column: str, problem: str) -> None:
        super().__init__(f"{path}, line {line}, column {column}: {problem}")
        self.path = path
        self.line = line
        self.column = column
        self.problem = problem


class RecordingInvalid(TerminalError):
    """A recording has a bad line."""

    def __init__(self, path: Path, line: int, problem: str) -> None:
        super().__init__(f"{path}, line {line}: {problem}")
        self.path = path
        self.line = line
        self.problem = problem


class BrokerFailed(TerminalError):
    """The local Apache Kafka can't be fetched or started."""


class TopicMismatch(TerminalError):
    """A topic exists with another shape than the settings ask for."""


class ChainBroken(TerminalError):
    """The raw zone has a hole or an overlap."""

    def __init__(self, topic: str, partition: int, expected: int, found: int, key: str) -> None:
        kind = "hole" if found > expected else "overlap"
        super().__init__(
            f"{kind} in the raw zone: {topic} partition {partition} should go on at offset {expected}, "
            f"but {key} starts at {found}; `tickhouse lake verify` shows the whole chain"
        )
        self.topic = topic
        self.partition = partition
        self.expected = expected
        self.found = found
        self.key = key


class TopicRecreated(TerminalError):
    """The raw zone is ahead of the topic."""

    def __init__(self, topic: str, partition: int, lake_next: int, log_end: int) -> None:
        super().__init__(
            f"{topic} partition {partition} ends at offset {log_end}, but the raw zone already holds it up to "
            f"{lake_next - 1}: the topic was recreated; set TICKHOUSE_TOPIC to a new name, or TICKHOUSE_LAKE_URL to a "
            "new raw zone"
        )
        self.topic = topic
        self.partition = partition
        self.lake_next = lake_next
        self.log_end = log_end


class RawZoneShort(TerminalError):
    """The raw zone lacks what the warehouse has loaded from it."""

    def __init__(self, url: str, topic: str, partition: int, lacking: str) -> None:
        super().__init__(
            f"the raw zone in {url} lacks what the warehouse has loaded from it: {topic} partition {partition}, "
            f"{lacking}; see that TICKHOUSE_LAKE_URL is right, or restore the raw zone; `tickhouse rebuild --force` "
            "gives up what is gone"
        )
        self.url = url
        self.topic = topic
        self.partition = partition
        self.lacking = lacking


class StateMismatch(TerminalError):
    """The state folder belongs to another source, schema or calendar."""


class WarehouseFailed(TerminalError):
    """The warehouse refused a statement."""


class TransformFailed(TerminalError):
    """dbt ended with failed models or tests."""


class SnapshotMissing(TerminalError):
    """Nothing was published yet."""

    def __init__(self, where: str) -> None:
        super().__init__(f"no gold snapshot in {where} yet; `tickhouse run` makes one from what was recorded")
        self.where = where


class ServiceFailed(TerminalError):
    """A supervised service ended for good."""


class TopicReplaced(TopicRecreated):
    """The topic's records aren't those of the raw zone."""

    def __init__(self, topic: str, partition: int, offset: int, key: str) -> None:
        TerminalError.__init__(
            self,
            f"{topic} partition {partition}, offset {offset}: Kafka holds another record than {key} in the raw zone: "
            "the topic was recreated; set TICKHOUSE_TOPIC to a new name, or TICKHOUSE_LAKE_URL to a new raw zone",
        )
        self.topic = topic
        self.partition = partition
        self.offset = offset
        self.key = key


class ObjectMissing(TerminalError):
    """The store has no object of that key."""

    def __init__(self, url: str, key: str) -> None:
        mend = (
            "publish --full` writes the snapshot anew" if key.startswith("gold/") else "doctor` shows which lake is set"
        )
        super().__init__(f"{key or 'the folder'} is not in {url}; `tickhouse {mend}")
        self.url = url
        self.key = key
