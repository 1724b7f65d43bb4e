"""Where a sink goes on, and which of Kafka's errors end it."""

import pytest
from confluent_kafka import KafkaError

from tickhouse.errors import ChainBroken, TerminalError, TopicRecreated
from tickhouse.lake import SinkConfig
from tickhouse.lake.chain import LogBounds, Tail, start_offset
from tickhouse.lake.membership import check, consumer_config, raise_gone

TAIL = Tail("raw/key", 9, 0)


@pytest.mark.parametrize(
    ("tail", "log", "start"),
    [
        (None, LogBounds(0, 0), 0),
        (None, LogBounds(5, 50), 5),
        (TAIL, LogBounds(0, 50), 10),
        (TAIL, LogBounds(10, 10), 10),
    ],
)
def test_a_sink_starts_after_the_lakes_tail(tail: Tail | None, log: LogBounds, start: int) -> None:
    """An empty lake begins at the oldest record that Kafka has."""
    assert start_offset("t", 0, tail, log) == start


def test_a_lake_ahead_of_the_log_is_another_topics() -> None:
    """Offsets that restarted mean that the topic was made anew."""
    with pytest.raises(TopicRecreated, match="ends at offset 9"):
        start_offset("t", 0, TAIL, LogBounds(0, 9))


def test_a_log_that_begins_past_the_tail_left_a_hole() -> None:
    """Retention that outran the sink is said, not written."""
    with pytest.raises(ChainBroken, match="starts at 11"):
        start_offset("t", 0, TAIL, LogBounds(11, 20))


def test_a_position_that_is_gone_is_explained() -> None:
    """Before the log's begin it's a hole, past its end another topic, and between them nothing is wrong."""
    with pytest.raises(ChainBroken):
        raise_gone("t", 0, 4, LogBounds(5, 9))
    with pytest.raises(TopicRecreated):
        raise_gone("t", 0, 10, LogBounds(5, 9))
    raise_gone("t", 0, 9, LogBounds(5, 9))


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED), "may read"),
        (KafkaError(KafkaError.FENCED_INSTANCE_ID, "fenced", fatal=True), "same instance id"),
    ],
)
def test_errors_that_no_retry_mends_end_the_sink(error: KafkaError, said: str) -> None:
    """A refusal and a fatal error name what to look at."""
    with pytest.raises(TerminalError, match=said):
        check(error)


def test_other_errors_are_waited_out() -> None:
    """A broker that went away comes back."""
    check(KafkaError(KafkaError._ALL_BROKERS_DOWN))  # noqa: SLF001  # its public name


def test_a_named_member_is_static() -> None:
    """The instance id reaches the group only where there is one."""
    assert "group.instance.id" not in consumer_config("localhost:1", SinkConfig())
    assert consumer_config("localhost:1", SinkConfig(instance_id="one"))["group.instance.id"] == "one"
