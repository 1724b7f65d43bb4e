"""`tickhouse load`: raw zone → RAW."""

from dataclasses import asdict
from typing import Annotated

import typer

from tickhouse.cli.edge import configured
from tickhouse.cli.output import TextFormat, show_record
from tickhouse.stack import batch

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("load", epilog="Example: tickhouse load --format json")(load)


def load(fmt: Annotated[TextFormat, typer.Option("--format", help="How to report.")] = TextFormat.TABLE) -> None:
    """Load the raw zone's new objects into the warehouse, each once, whole, or not at all."""
    row = asdict(batch.load(configured()))
    show_record(row, fmt)
