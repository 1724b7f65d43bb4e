"""`tickhouse run`: load, transform and publish under one lock."""

from typing import Annotated

import typer

from tickhouse.cli.edge import configured
from tickhouse.cli.output import TextFormat, show_record
from tickhouse.stack import batch

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("run", epilog="Example: tickhouse run")(run)


def run(fmt: Annotated[TextFormat, typer.Option("--format", help="How to report.")] = TextFormat.TABLE) -> None:
    """Load, transform and publish under one lock: what a scheduler calls each minute."""
    row = batch.run(configured()).row()
    show_record(row, fmt)
