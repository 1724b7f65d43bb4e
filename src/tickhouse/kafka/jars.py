"""Fetch the jars of Apache Kafka once and verify them before each start."""

import hashlib
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

import stamina
from filelock import FileLock

from tickhouse.errors import BrokerFailed
from tickhouse.log import get_logger

__all__ = ["KAFKA_VERSION", "Jar", "Progress", "fetch_jars", "locked_jars", "parse_lock"]

Progress = Callable[[str, int, int], None]
"""Told what is being done, how many parts of it are done, and of how many."""

KAFKA_VERSION = "4.3.1"
DOWNLOADS_AT_ONCE = 4
ATTEMPTS = 4
TIMEOUT_S = 30
LOCK_TIMEOUT_S = 900.0  # another process may be downloading over a slow line

log = get_logger("kafka.jars")


@dataclass(frozen=True, slots=True)
class Jar:
    """One jar of the lock: its Maven coordinates and the sha256 that its bytes must have."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def coordinates(self) -> str:
        """Return `group:artifact:version`."""
        return f"{self.group}:{self.artifact}:{self.version}"

    @property
    def file_name(self) -> str:
        """Return the name of the file in the cache."""
        return f"{self.artifact}-{self.version}.jar"


def parse_lock(text: str) -> tuple[Jar, ...]:
    """Read lines of `sha256  group:artifact:version`."""
    jars = []
    for line in text.splitlines():
        if line and not line.startswith("#"):
            sha256, coordinates = line.split()
            group, artifact, version = coordinates.split(":")
            jars.append(Jar(group, artifact, version, sha256))
    return tuple(jars)


@cache
def locked_jars() -> tuple[Jar, ...]:
    """Return the jars that this version of Tickhouse runs Kafka with."""
    return parse_lock(files("tickhouse.kafka").joinpath("jars.lock").read_text(encoding="utf-8"))


def fetch_jars(
    cache_folder: Path,
    progress: Progress | None = None,
    jars: Sequence[Jar] | None = None,
    repositories: Mapping[str, str] | None = None,
) -> list[Path]:
    """Return the verified jar files, downloading those that `cache_folder` lacks; no network where none is missing.

    `repositories` (name to URL) stand for Maven's central one. Raises BrokerFailed where a file has other bytes than
    the lock says, or can't be had.
    """
    wanted = locked_jars() if jars is None else jars
    folder = cache_folder / f"kafka-{KAFKA_VERSION}"
    try:
        if _missing(folder, wanted):
            folder.mkdir(parents=True, exist_ok=True)
            with FileLock(cache_folder / f"kafka-{KAFKA_VERSION}.lock", timeout=LOCK_TIMEOUT_S):
                for abandoned in folder.glob(".download-*"):
                    shutil.rmtree(abandoned)
                missing = _missing(folder, wanted)  # another start may have fetched them meanwhile
                _download_all(missing, folder, progress, repositories)
        for jar in wanted:
            _verify(jar, folder / jar.file_name)
    except OSError as error:
        raise BrokerFailed(
            f"the jar cache {folder} can't be used: {error}; mend that, or set TICKHOUSE_CACHE to another folder"
        ) from error
    return [folder / jar.file_name for jar in wanted]


def _missing(folder: Path, jars: Iterable[Jar]) -> list[Jar]:
    return [jar for jar in jars if not (folder / jar.file_name).exists()]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _verify(jar: Jar, path: Path) -> None:
    if _sha256(path) != jar.sha256:
        raise BrokerFailed(
            f"{path} does not have the bytes of {jar.coordinates} (sha256 {jar.sha256}): delete it and start again, "
            "it is then downloaded anew"
        )


def _download_all(
    jars: Sequence[Jar], folder: Path, progress: Progress | None, repositories: Mapping[str, str] | None
) -> None:
    started = time.perf_counter()
    with ThreadPoolExecutor(DOWNLOADS_AT_ONCE, thread_name_prefix="jars") as pool:
        futures = [pool.submit(_download, jar, folder, repositories) for jar in jars]
        try:
            for done, future in enumerate(as_completed(futures), start=1):
                future.result()
                if progress is not None:
                    progress("downloading Apache Kafka", done, len(jars))
        finally:
            pool.shutdown(cancel_futures=True)
    log.info("jars.fetched", folder=str(folder), jars=len(jars), ms=round((time.perf_counter() - started) * 1000))


def _download(jar: Jar, folder: Path, repositories: Mapping[str, str] | None) -> None:
    """Bring one jar to its place whole and right, or not at all."""
    try:
        for attempt in stamina.retry_context(on=(OSError, RuntimeError), attempts=ATTEMPTS, timeout=None):
            # a partial file of a failed attempt would be taken for a good one: each has its own folder
            with attempt, tempfile.TemporaryDirectory(dir=folder, prefix=".download-") as temporary:
                path = _resolve(jar, Path(temporary), repositories)
                if _sha256(path) != jar.sha256:
                    raise OSError(f"what came has not the sha256 {jar.sha256}")  # noqa: TRY301  # cut short: try again
                path.replace(folder / jar.file_name)
    except (OSError, RuntimeError) as error:
        raise BrokerFailed(
            f"{jar.coordinates} can't be fetched from Maven's central repository ({error}); the first start needs the "
            f"network: try again with it, or copy {folder} from a machine that has it"
        ) from error


def _resolve(jar: Jar, repository: Path, remote: Mapping[str, str] | None) -> Path:
    from jgo.maven import MavenContext  # noqa: PLC0415  # slow to import, and only the first start needs it

    context = MavenContext(
        repo_cache=repository, remote_repos=None if remote is None else dict(remote), timeout=TIMEOUT_S
    )
    path: Path = context.project(jar.group, jar.artifact).at_version(jar.version).artifact().resolve()
    return path
