"""The errors are the tree that their module draws, and each says what to do."""

import re
from pathlib import Path

import pytest

from tickhouse import errors
from tickhouse.errors import (
    BrokerFailed,
    ChainBroken,
    ConditionTableInvalid,
    FeedLost,
    KafkaAway,
    KeyRefused,
    LockBusy,
    ObjectMissing,
    RawZoneShort,
    RecordingInvalid,
    ServiceFailed,
    SettingInvalid,
    SettingMissing,
    SnapshotMissing,
    StateMismatch,
    StoreAway,
    TerminalError,
    TickhouseError,
    TopicMismatch,
    TopicRecreated,
    TopicReplaced,
    TransformFailed,
    TransientError,
    WarehouseFailed,
)

WITH_A_TEXT = (
    BrokerFailed,
    FeedLost,
    KafkaAway,
    ServiceFailed,
    StateMismatch,
    StoreAway,
    TopicMismatch,
    TransformFailed,
    WarehouseFailed,
)
WITH_VALUES = [
    (
        LockBusy(Path("a.lock"), 50),
        "a.lock is held by another tickhouse process (waited 50 s); try again when it has ended",
    ),
    (SettingMissing("the key", ["A", "B"]), "the key is not set; searched A, B"),
    (SettingInvalid("NAME", "is no number"), "NAME: is no number"),
    (
        KeyRefused(401, "API_KEY in .env"),
        "Finnhub refused the API key (HTTP 401); it was read from API_KEY in .env: put a valid key there",
    ),
    (ConditionTableInvalid("t.csv", 3, "code", "is empty"), "t.csv, line 3, column code: is empty"),
    (RecordingInvalid(Path("r.gz"), 7, "is no JSON"), "r.gz, line 7: is no JSON"),
    (
        RawZoneShort("file:///lake", "t", 3, "raw/k is gone"),
        (
            "the raw zone in file:///lake lacks what the warehouse has loaded from it: t partition 3, raw/k is gone; "
            "see that TICKHOUSE_LAKE_URL is right, or restore the raw zone; "
            "`tickhouse rebuild --force` gives up what is gone"
        ),
    ),
    (
        ChainBroken("t", 2, 5, 9, "raw/k"),
        (
            "hole in the raw zone: t partition 2 should go on at offset 5, but raw/k starts at 9; "
            "`tickhouse lake verify` shows the whole chain"
        ),
    ),
    (
        ChainBroken("t", 2, 5, 4, "raw/k"),
        (
            "overlap in the raw zone: t partition 2 should go on at offset 5, but raw/k starts at 4; "
            "`tickhouse lake verify` shows the whole chain"
        ),
    ),
    (
        TopicRecreated("t", 2, 10, 3),
        (
            "t partition 2 ends at offset 3, but the raw zone already holds it up to 9: the topic was recreated; "
            "set TICKHOUSE_TOPIC to a new name, or TICKHOUSE_LAKE_URL to a new raw zone"
        ),
    ),
    (
        TopicReplaced("t", 2, 5, "raw/k"),
        (
            "t partition 2, offset 5: Kafka holds another record than raw/k in the raw zone: the topic was recreated; "
            "set TICKHOUSE_TOPIC to a new name, or TICKHOUSE_LAKE_URL to a new raw zone"
        ),
    ),
    (
        SnapshotMissing("file:///lake"),
        "no gold snapshot in file:///lake yet; `tickhouse run` makes one from what was recorded",
    ),
    (
        ObjectMissing("file:///lake", "raw/k"),
        "raw/k is not in file:///lake; `tickhouse doctor` shows which lake is set",
    ),
    (
        ObjectMissing("file:///lake", ""),
        "the folder is not in file:///lake; `tickhouse doctor` shows which lake is set",
    ),
]


def _classes() -> dict[str, type[Exception]]:
    return {
        name: value
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, Exception) and value.__module__ == errors.__name__
    }


def _drawn() -> dict[str, tuple[str | None, str]]:
    """Return name → (parent, what is said of it), as the docstring draws it."""
    found: dict[str, tuple[str | None, str]] = {}
    path: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        match = re.fullmatch(r"    ([ │├└─]*)(\w+) *(.*)", line)
        if match is None or not match[2][0].isupper():
            continue
        del path[len(match[1]) // 4 :]
        found[match[2]] = (path[-1] if path else None, match[3])
        path.append(match[2])
    return found


def test_the_drawn_tree_is_the_real_one() -> None:
    """Compare names and parents of the drawing with the classes."""
    real = {name: value.__bases__[0].__name__ for name, value in _classes().items()}
    drawn = {name: parent for name, (parent, _) in _drawn().items()}
    assert drawn == real | {"TickhouseError": None}


def test_the_drawing_says_of_each_leaf_what_its_class_says() -> None:
    """Compare the drawing's words with the first line of each docstring."""
    for name, (_, said) in _drawn().items():
        if name not in {"TickhouseError", "TransientError", "TerminalError"}:
            assert (_classes()[name].__doc__ or "").lower() == f"{said}.".lower()


def test_all_errors_are_exported() -> None:
    """Compare `__all__` with the classes."""
    assert errors.__all__ == sorted(_classes())


def test_every_error_is_transient_or_terminal_and_has_the_exit_code_for_it() -> None:
    """Look at each leaf: a scheduler retries on 75 and gives up on 1."""
    leaves = set(_classes().values()) - {TickhouseError, TransientError, TerminalError}
    assert {*WITH_A_TEXT, *(type(error) for error, _ in WITH_VALUES)} == leaves
    for leaf in leaves:
        assert issubclass(leaf, TransientError) != issubclass(leaf, TerminalError)
        assert vars(leaf).get("exit_code") is None
    assert (TransientError.exit_code, TerminalError.exit_code, TickhouseError.exit_code) == (75, 1, 1)


@pytest.mark.parametrize(("error", "message"), WITH_VALUES, ids=lambda value: type(value).__name__)
def test_an_error_says_what_is_wrong_in_one_line(error: TickhouseError, message: str) -> None:
    """Read the message that is made of the values, and find each value again as an attribute."""
    assert str(error) == message
    assert all(value is not None for value in vars(error).values())
    assert vars(error)


@pytest.mark.parametrize("kind", WITH_A_TEXT)
def test_an_error_that_is_given_a_text_says_just_that(kind: type[TickhouseError]) -> None:
    """Pass a text through."""
    assert str(kind("what happened, and what to do")) == "what happened, and what to do"
