"""Hold the documents against the code."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


def test_the_generated_references_are_what_the_code_says() -> None:
    """Find docs/cli.md, docs/settings.md and .env.example as `docs/references.py` would write them."""
    result = subprocess.run(  # noqa: S603  # our own script
        [sys.executable, str(ROOT / "docs" / "references.py"), "--check"], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    """Find the file behind each relative link."""
    links = re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", page.read_text())
    missing = [link for link in links if not (page.parent / link).exists()]
    assert not missing


def test_the_readme_names_only_targets_that_the_makefile_has() -> None:
    """Find each `make target` of README and CONTRIBUTING in the Makefile."""
    makefile = (ROOT / "Makefile").read_text()
    for page in ("README.md", "CONTRIBUTING.md"):
        named = set(re.findall(r"\bmake ([a-z][a-z-]*)", (ROOT / page).read_text()))
        assert named <= set(re.findall(r"^([a-z][a-z-]*):", makefile, flags=re.MULTILINE))


def test_the_readme_stays_a_first_screen() -> None:
    """Keep README at 150 lines or fewer."""
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150


def test_the_makefile_stays_short() -> None:
    """Keep it at 20 targets or fewer, each of 4 lines at the most."""
    targets: dict[str, int] = {}
    current = ""
    for line in (ROOT / "Makefile").read_text().splitlines():
        if match := re.match(r"^([a-z$(][^:=]*):(?!=)", line):
            current = match[1]
            targets[current] = 0
        elif line.startswith("\t"):
            targets[current] += 1
    assert len(targets) <= 20
    assert max(targets.values()) <= 4


def test_no_tracked_file_names_a_registry_or_a_machine() -> None:
    """Find no index address and no absolute path of a machine in what git tracks."""
    tracked = subprocess.run(
        ["git", "ls-files", "-z"],  # noqa: S607  # git is on the PATH
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\0")
    registry = re.compile('https?://[^ "]+/simple|pypi' + r"\.org|repo1\.maven|--(extra-)?index-url")
    for name in filter(None, tracked):
        text = (ROOT / name).read_bytes().decode("utf-8", "replace")
        assert not registry.search(text), name
