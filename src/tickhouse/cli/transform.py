"""`tickhouse transform`: dbt, bronze → silver → gold."""

from dataclasses import asdict
from enum import StrEnum
from typing import Annotated

import typer

from tickhouse.cli.edge import configured
from tickhouse.cli.output import TextFormat, show_rows
from tickhouse.stack import batch

__all__ = ["register"]


class Tests(StrEnum):
    """Which data tests run with the models."""

    NEW = "new"
    ALL = "all"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("transform", epilog="Example: tickhouse transform --tests all")(transform)


def transform(
    full: Annotated[bool, typer.Option("--full", help="Build every model anew from RAW.")] = False,  # noqa: FBT002  # a flag
    tests: Annotated[Tests, typer.Option(help="Data tests: those fit for each minute, or all.")] = Tests.NEW,
    fmt: Annotated[TextFormat, typer.Option("--format", help="How to report.")] = TextFormat.TABLE,
) -> None:
    """Build the models from what was loaded since the last build, and test them."""
    result = batch.transform(configured(), full=full, tests=tests.value)
    show_rows([asdict(node) for node in result.nodes], ["name", "status", "seconds", "rows"], fmt)
