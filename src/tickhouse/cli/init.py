"""`tickhouse init`: topics, lake and warehouse objects."""

import typer

from tickhouse.cli.edge import configured
from tickhouse.cli.kafka import downloading
from tickhouse.cli.output import TextFormat, show_rows
from tickhouse.stack import services

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("init", epilog="Example: tickhouse init")(init)


def init() -> None:
    """Create the topics, the lake and the warehouse's tables; what exists is left as it is."""
    settings = configured()
    with downloading() as report:
        done = services.prepare_all(settings, report)
    show_rows([{"what": what, "where": where} for what, where in done], ["what", "where"], TextFormat.TABLE)
