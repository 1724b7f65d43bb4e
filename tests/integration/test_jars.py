"""Kafka's jars: fetched once from a Maven repository, verified always."""

import functools
import hashlib
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import stamina

from tickhouse.errors import BrokerFailed
from tickhouse.kafka.jars import Jar, fetch_jars, locked_jars, parse_lock

CONTENTS = {"one": b"first jar", "two": b"second jar", "three": b"third jar"}
JARS = [Jar("org.example", name, "1.0", hashlib.sha256(body).hexdigest()) for name, body in CONTENTS.items()]


class QuietHandler(SimpleHTTPRequestHandler):
    """Serve files without a line on standard error for each."""

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[tuple[Path, dict[str, str]]]:
    """Serve a Maven repository with the three jars; yields its folder and its address by name."""
    root = tmp_path / "repository"
    for jar in JARS:
        folder = root / "org" / "example" / jar.artifact / jar.version
        folder.mkdir(parents=True)
        (folder / jar.file_name).write_bytes(CONTENTS[jar.artifact])
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(QuietHandler, directory=root)) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield root, {"test": f"http://127.0.0.1:{server.server_port}"}
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def _two_attempts_without_waiting() -> Iterator[None]:
    with stamina.set_testing(True, attempts=2):
        yield


def test_missing_jars_are_downloaded_with_progress_and_then_need_no_network(
    tmp_path: Path, repository: tuple[Path, dict[str, str]]
) -> None:
    """The second fetch names a repository where nobody answers, and doesn't notice."""
    told: list[tuple[str, int, int]] = []
    paths = fetch_jars(tmp_path / "cache", lambda *step: told.append(step), JARS, repository[1])
    assert [path.read_bytes() for path in paths] == list(CONTENTS.values())
    assert told == [("downloading Apache Kafka", done, 3) for done in (1, 2, 3)]
    assert fetch_jars(tmp_path / "cache", None, JARS, {"nobody": "http://127.0.0.1:1"}) == paths
    assert sorted(path.name for path in paths[0].parent.iterdir()) == ["one-1.0.jar", "three-1.0.jar", "two-1.0.jar"]


def test_a_download_with_other_bytes_never_reaches_its_place(
    tmp_path: Path, repository: tuple[Path, dict[str, str]]
) -> None:
    """The jar is named, and the right ones stay."""
    root, address = repository
    (root / "org/example/two/1.0/two-1.0.jar").write_bytes(b"second")
    with pytest.raises(BrokerFailed, match=r"org\.example:two:1\.0 can't be fetched .*sha256"):
        fetch_jars(tmp_path / "cache", None, JARS, address)
    assert not list(tmp_path.glob("cache/*/two-1.0.jar"))
    (root / "org/example/two/1.0/two-1.0.jar").write_bytes(CONTENTS["two"])
    assert len(fetch_jars(tmp_path / "cache", None, JARS, address)) == 3


def test_without_a_network_the_first_start_says_what_it_needs(tmp_path: Path) -> None:
    """Nobody answers: one clear error, no partial file."""
    with pytest.raises(BrokerFailed, match="the first start needs the network"):
        fetch_jars(tmp_path / "cache", None, JARS, {"nobody": "http://127.0.0.1:1"})
    assert not list(tmp_path.glob("cache/*/*"))


def test_a_jar_that_was_changed_is_refused_until_it_is_deleted(
    tmp_path: Path, repository: tuple[Path, dict[str, str]]
) -> None:
    """Nothing is repaired silently: a changed jar is somebody's doing."""
    paths = fetch_jars(tmp_path / "cache", None, JARS, repository[1])
    paths[1].write_bytes(b"changed")
    with pytest.raises(BrokerFailed, match=r"two-1\.0\.jar .*delete it"):
        fetch_jars(tmp_path / "cache", None, JARS, repository[1])
    paths[1].unlink()
    assert fetch_jars(tmp_path / "cache", None, JARS, repository[1])[1].read_bytes() == CONTENTS["two"]


def test_racing_downloads_share_one_result(tmp_path: Path, repository: tuple[Path, dict[str, str]]) -> None:
    """A file lock lets one download while the others wait."""
    told: list[int] = []
    racers = [
        threading.Thread(
            target=fetch_jars, args=(tmp_path / "cache", lambda *step: told.append(step[1]), JARS, repository[1])
        )
        for _ in range(4)
    ]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join(30)
    assert told == [1, 2, 3]


def test_a_cache_that_can_not_be_written_is_named(tmp_path: Path) -> None:
    """The setting to change is in the message."""
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(BrokerFailed, match="TICKHOUSE_CACHE"):
        fetch_jars(tmp_path / "cache", None, JARS, {})


def test_the_lock_pins_every_jar_by_sha256() -> None:
    """Kafka itself is among them, and no name stands twice."""
    jars = locked_jars()
    assert "org.apache.kafka:kafka_2.13:4.3.1" in {jar.coordinates for jar in jars}
    assert len({jar.file_name for jar in jars}) == len(jars) > 40
    assert all(len(bytes.fromhex(jar.sha256)) == 32 for jar in jars)
    assert parse_lock("# comment\n\nab  g:a:1\n") == (Jar("g", "a", "1", "ab"),)
