"""Fixtures that all tests share."""

import os
import re
import uuid
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from tests.support.recordings import recordings_dir
from tickhouse.kafka import BrokerHandle, TopicSpec, ensure_topics, start_broker

hypothesis.settings.register_profile("here", deadline=None, print_blob=True)
hypothesis.settings.load_profile("here")


@pytest.fixture(scope="session")
def recordings() -> Path:
    """Return the folder of the recordings, which are no part of the repository."""
    found = recordings_dir()
    if found is None:
        pytest.skip("the recordings are not here: set TICKHOUSE_RECORDINGS to their folder")
    return found


@pytest.fixture(scope="session")
def jar_cache() -> Path:
    """Return the folder of Kafka's jars, the same one that the product uses."""
    return Path(os.environ.get("TICKHOUSE_CACHE", "~/.cache/tickhouse")).expanduser()


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory, jar_cache: Path) -> Iterator[BrokerHandle]:
    """Run one real Kafka for the whole session."""
    with start_broker(tmp_path_factory.mktemp("kafka"), jar_cache, attached=True) as handle:
        yield handle


@pytest.fixture
def topic(kafka: BrokerHandle, request: pytest.FixtureRequest) -> str:
    """Create a topic of three partitions that no other test has, and return its name."""
    test = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower())[:60].strip("-")
    name = f"{test}-{uuid.uuid4().hex[:8]}"
    ensure_topics(kafka.bootstrap_servers, [TopicSpec(name, partitions=3, retention_hours=24)])
    return name
