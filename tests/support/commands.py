"""Run the command line as a person does, in a process of its own."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

__all__ = ["TICKHOUSE", "environment", "start", "tickhouse"]

TICKHOUSE = Path(sys.executable).parent / "tickhouse"
OURS = ("TICKHOUSE_", "FINNHUB_", "AWS_", "KAFKA_", "API_KEY")


def environment(home: Path, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return an environment without the tester's own settings, but for the jar cache."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OURS) or name == "TICKHOUSE_CACHE"}
    return kept | {"TICKHOUSE_HOME": str(home), "TICKHOUSE_LOG_FORMAT": "json"} | dict(extra or {})


def tickhouse(
    *words: str | Path,
    home: Path,
    extra: Mapping[str, str] | None = None,
    program: Path = TICKHOUSE,
    expect: int | None = 0,
    timeout_s: float = 240,
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end beside its state folder; fail where it ends otherwise than with `expect`."""
    home.mkdir(parents=True, exist_ok=True)
    result = subprocess.run(  # noqa: S603  # our own program
        [str(program), *map(str, words)],
        env=environment(home, extra),
        cwd=home.parent,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout_s,
    )
    said = f"{' '.join(map(str, words))} ended with {result.returncode}\n{result.stdout}\n{result.stderr[-4000:]}"
    assert expect is None or result.returncode == expect, said
    return result


def start(
    words: Sequence[str | Path], *, home: Path, output: Path, extra: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start a command that goes on, its output in a file; it leads a process group of its own."""
    home.mkdir(parents=True, exist_ok=True)
    with output.open("ab") as file:
        return subprocess.Popen(  # noqa: S603  # our own program
            [str(TICKHOUSE), *map(str, words)],
            env=environment(home, extra),
            cwd=home.parent,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
