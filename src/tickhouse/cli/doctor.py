"""`tickhouse doctor`: what is configured, from where, and what is wrong."""

from dataclasses import asdict
from typing import Annotated

import typer

from tickhouse.cli.edge import configured
from tickhouse.cli.output import TextFormat, out, show_rows
from tickhouse.stack.checkup import check_up

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("doctor", epilog="Example: tickhouse doctor")(doctor)


def doctor(fmt: Annotated[TextFormat, typer.Option("--format", help="How to report.")] = TextFormat.TABLE) -> None:
    """Check what is configured, say where each value was found and how to mend what is wrong; exit 1 if anything is."""
    findings = check_up(configured())
    if fmt is TextFormat.JSON:
        show_rows([asdict(finding) for finding in findings], ["check", "is_well", "found", "origin"], fmt)
    else:
        for finding in findings:
            mark = "[green]ok  [/green]" if finding.is_well else "[red]bad [/red]"
            out.print(mark, end="")
            out.print(f"{finding.check}: {finding.found} ({finding.origin})", markup=False, soft_wrap=True)
    if not all(finding.is_well for finding in findings):
        raise typer.Exit(1)
