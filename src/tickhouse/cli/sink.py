"""`tickhouse sink`: Kafka → raw zone."""

import typer

from tickhouse.cli.edge import configured, stop_on_signals
from tickhouse.cli.kafka import downloading
from tickhouse.stack import services

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("sink", epilog="Example: tickhouse sink")(sink)


def sink() -> None:
    """Write what is in Kafka into the raw zone, each record exactly once, until Ctrl-C."""
    settings = configured()
    with stop_on_signals() as stop, downloading() as report, services.kafka(settings, report) as bootstrap:
        services.prepare(settings, bootstrap)
        services.make_sink(settings, bootstrap).run(stop)
