"""`tickhouse rebuild`: raw zone → an empty warehouse → gold."""

from typing import Annotated

import typer

from tickhouse.cli.edge import configured
from tickhouse.cli.output import TextFormat, show_record
from tickhouse.stack import batch

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("rebuild", epilog="Example: tickhouse rebuild")(rebuild)


def rebuild(
    *,
    force: Annotated[
        bool, typer.Option("--force", help="Even if the raw zone has less than was loaded from it.")
    ] = False,
    fmt: Annotated[TextFormat, typer.Option("--format", help="How to report.")] = TextFormat.TABLE,
) -> None:
    """Build an empty warehouse from the raw zone and put it in the old one's place once it stands."""
    row = batch.rebuild(configured(), force=force).row()
    show_record(row, fmt)
