"""Write the references that follow from the code, or check that they do: `python docs/references.py [--check]`."""

import sys
from pathlib import Path

import typer
from typer.testing import CliRunner

from tickhouse.cli.app import app
from tickhouse.settings import Settings, environment_names

ROOT = Path(__file__).parent.parent
WIDTH = 100


def settings_page() -> str:
    """Return docs/settings.md: a row per setting."""
    lines = [
        "# Settings",
        "",
        "Read once, from the environment first and then from `.env` in the working directory. Where two names are",
        "given the first one wins. `tickhouse doctor` shows what is set and where it was found.",
        "",
        "| name | default | what it is |",
        "|---|---|---|",
    ]
    for field, info in Settings.model_fields.items():
        names = ", else ".join(f"`{name}`" for name in environment_names(field))
        lines.append(f"| {names} | {_default(info.default) or 'none'} | {info.description} |")
    return "\n".join(lines) + "\n"


def env_example() -> str:
    """Return .env.example: a comment and a commented-out line per setting."""
    lines = ["# Copy to .env and fill in what you need; all of it has a default but the API key.", ""]
    for field, info in Settings.model_fields.items():
        lines += [f"# {info.description}", f"#{environment_names(field)[0]}={_default(info.default).strip('`')}", ""]
    return "\n".join(lines[:-1]) + "\n"


def cli_page() -> str:
    """Return docs/cli.md: the help of each command as it prints."""
    lines = [
        "# Command line",
        "",
        "| exit code | meaning |",
        "|---|---|",
        "| 0 | done |",
        "| 1 | a person has to act; the line on standard error says how |",
        "| 2 | the command was called in a wrong way |",
        "| 75 | something did not answer in time; the same call may succeed later |",
        "| 130 | ended by Ctrl-C |",
        "",
    ]
    for words in ([], *_commands()):
        lines += [f"## `{' '.join(['tickhouse', *words])}`", "", "```text", _help(words), "```", ""]
    return "\n".join(lines[:-1]) + "\n"


def _commands() -> list[list[str]]:
    found = []
    for name, command in sorted(typer.main.get_command(app).commands.items()):  # type: ignore[attr-defined]
        inner = sorted(getattr(command, "commands", {}))
        found += [[name, sub] for sub in inner] or [[name]]
    return found


def _help(words: list[str]) -> str:
    result = CliRunner().invoke(
        app, [*words, "--help"], env={"COLUMNS": str(WIDTH), "TERM": "dumb"}, prog_name="tickhouse"
    )
    return "\n".join(line.rstrip() for line in result.output.strip().splitlines())


def _default(value: object) -> str:
    if value is None:
        return ""
    text = ",".join(value) if isinstance(value, tuple) else str(value)
    return f"`{text}`"


def main() -> int:
    """Write the pages; with --check only compare, and name what differs."""
    pages = {"docs/settings.md": settings_page(), ".env.example": env_example(), "docs/cli.md": cli_page()}
    stale = [name for name, text in pages.items() if not (ROOT / name).is_file() or (ROOT / name).read_text() != text]
    if "--check" not in sys.argv:
        for name in stale:
            (ROOT / name).write_text(pages[name])
        return 0
    if stale:
        sys.stderr.write(f"not what the code says: {', '.join(stale)}; mend it by `python docs/references.py`\n")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
