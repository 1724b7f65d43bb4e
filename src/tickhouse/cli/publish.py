"""`tickhouse publish`: gold → snapshot for readers."""

from typing import Annotated

import typer

from tickhouse.cli.edge import configured
from tickhouse.cli.output import TextFormat, show_record
from tickhouse.stack import batch

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("publish", epilog="Example: tickhouse publish")(publish)


def publish(
    *,
    full: Annotated[bool, typer.Option("--full", help="Write all dates, not only the changed ones.")] = False,
    fmt: Annotated[TextFormat, typer.Option("--format", help="How to report.")] = TextFormat.TABLE,
) -> None:
    """Write the gold tables' changed dates into the lake and swap the manifest that readers follow."""
    done = batch.publish(configured(), full=full)
    row = {"is_new": done.is_new, "files": done.files, "rows": done.rows, "deleted": done.deleted}
    show_record(row, fmt)
