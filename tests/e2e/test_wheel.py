"""Install the built wheel outside of the checkout and do what a stranger would."""

import json
import re
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.commands import TICKHOUSE, environment, tickhouse

ROOT = Path(__file__).parent.parent.parent
PYTHON = Path(sys.executable)


@dataclass(frozen=True, slots=True)
class Demo:
    """A demo that ended by itself: its folder, the program that ran it, and what it printed."""

    folder: Path
    program: Path
    printed: str

    @property
    def home(self) -> Path:
        """Return the state folder that the demo left."""
        return self.folder / ".tickhouse" / "demo"


def _run(*command: str | Path, cwd: Path) -> None:
    result = subprocess.run(  # noqa: S603  # our own tools
        [str(word) for word in command], cwd=cwd, capture_output=True, text=True, check=False, timeout=280
    )
    assert result.returncode == 0, result.stderr[-4000:]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel."""
    folder = tmp_path_factory.mktemp("dist")
    build = ("-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir")
    _run(PYTHON, *build, folder, ROOT, cwd=folder)
    (built,) = folder.glob("tickhouse-*.whl")
    return built


@pytest.fixture(scope="module")
def demo(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """Install the wheel with its pinned dependencies into an empty environment, and run `tickhouse demo --once`."""
    folder = tmp_path_factory.mktemp("stranger")
    uv, python = TICKHOUSE.parent / "uv", folder / "env" / "bin" / "python"
    _run(uv, "venv", "--quiet", "--python", PYTHON, folder / "env", cwd=folder)
    install = (uv, "pip", "install", "--quiet", "--python", python)
    _run(*install, "--require-hashes", "-r", ROOT / "requirements" / "runtime.txt", cwd=folder)
    _run(*install, "--no-deps", wheel, cwd=folder)
    program = folder / "env" / "bin" / "tickhouse"
    home = folder / ".tickhouse"
    printed = tickhouse("demo", "--once", "--history", "60", home=home, program=program).stdout
    return Demo(folder, program, printed)


def test_the_wheel_has_what_is_no_python_in_it(wheel: Path) -> None:
    """Find the models, the jar lock, the condition table and the type marker in it, and nothing that was built."""
    names = zipfile.ZipFile(wheel).namelist()
    for wanted in ("kafka/jars.lock", "market/trade_conditions.csv", "transform/dbt_project.yml", "py.typed"):
        assert f"tickhouse/{wanted}" in names
    assert any(name.endswith("models/gold/candlesticks.sql") for name in names)
    assert not [name for name in names if re.search(r"/(target|logs|tests/unit)/|\.pyc$", name)]


def test_a_demo_ends_with_a_summary_of_a_first_gold(demo: Demo) -> None:
    """Read counts, bars per interval, lags and what to look at next; find all 50 symbols and no reject."""
    counts = _printed_counts(demo)
    assert counts["symbols"] == 50
    assert counts["trades"] > 10_000
    assert counts["gaps"] == counts["rejects"] == 0
    assert all(counts[f"{interval} bars"] >= 50 for interval in ("1m", "5m", "15m", "1h", "1d"))
    for layer in ("raw zone", "warehouse", "gold"):
        assert layer in demo.printed
    assert "candles AAPL" in demo.printed


def test_the_commands_that_the_summary_names_work(demo: Demo) -> None:
    """Run each of them as it is printed."""
    named = re.findall(r"^  (TICKHOUSE_HOME=\S+ \S+tickhouse .+)$", demo.printed, re.MULTILINE)
    assert len(named) == 3
    for line in named:
        result = subprocess.run(  # noqa: S602  # as a person types it
            line, shell=True, cwd=demo.folder, capture_output=True, text=True, check=False
        )
        assert result.returncode == 0, result.stderr


def test_the_readmes_commands_work_on_the_demo(demo: Demo) -> None:
    """Run each `tickhouse` line of README that reads, as it stands there."""
    lines = re.findall(
        r"^\$ (TICKHOUSE_HOME=\S+ \.venv/bin/tickhouse .+)$", (ROOT / "README.md").read_text(), re.MULTILINE
    )
    assert lines
    for line in lines:
        result = subprocess.run(  # noqa: S602  # as a person types it
            line.replace(".venv/bin/tickhouse", str(demo.program)),
            shell=True,
            cwd=demo.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == 0, f"{line}\n{result.stderr}"


def test_a_second_demo_goes_on_with_the_same_data(demo: Demo) -> None:
    """Run it again: more trades, none of the old ones doubled, and no gap but the time in between."""
    before = _bars(demo)
    printed = tickhouse(
        "demo", "--once", "--history", "60", "--format", "json", home=demo.folder / ".tickhouse", program=demo.program
    ).stdout
    counts = json.loads(printed)["counts"]
    after = _bars(demo)
    closed = {at: bar for at, bar in before.items() if bar["is_complete"]}
    assert counts["repeats"] == counts["gaps"] == 0
    assert counts["trades"] > _printed_counts(demo)["trades"]
    assert before.keys() <= after.keys()
    assert {at: after[at] for at in closed} == closed


def _printed_counts(demo: Demo) -> dict[str, int]:
    """Return the numbers of the first demo's summary."""
    return {
        match[1]: int(match[2].replace(",", ""))
        for match in re.finditer(r"^ (.+?) +([\d,]+) *$", demo.printed, re.MULTILINE)
    }


def _bars(demo: Demo) -> dict[str, dict[str, object]]:
    printed = tickhouse("candles", "AAPL", "--format", "json", home=demo.home, program=demo.program).stdout
    return {bar["opened_at"]: bar for bar in json.loads(printed)}


def test_the_environment_that_ran_it_has_no_checkout_on_its_path(demo: Demo) -> None:
    """See that the program imports its package from the environment, not from the checkout."""
    code = "import tickhouse, sys; sys.stdout.write(tickhouse.__file__)"
    found = subprocess.run(  # noqa: S603  # our own interpreter
        [str(demo.program.parent / "python"), "-c", code],
        cwd=demo.folder,
        env=environment(demo.home),
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert str(ROOT) not in found
