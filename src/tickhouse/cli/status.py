"""`tickhouse status`: health, lag and freshness of each layer."""

from dataclasses import asdict
from typing import Annotated

import typer

from tickhouse.cli.edge import configured
from tickhouse.cli.output import TextFormat, show_rows
from tickhouse.stack.health import status as look

__all__ = ["register"]

COLUMNS = ["layer", "is_well", "behind", "age_s", "detail"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("status", epilog="Example: tickhouse status --format json")(status)


def status(fmt: Annotated[TextFormat, typer.Option("--format", help="How to report.")] = TextFormat.TABLE) -> None:
    """Say how each layer is: records behind, seconds since it last moved; exit 1 where one is not well."""
    layers = look(configured())
    show_rows([asdict(layer) for layer in layers], COLUMNS, fmt)
    if not all(layer.is_well for layer in layers):
        raise typer.Exit(1)
