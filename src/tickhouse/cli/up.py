"""`tickhouse up`: all services against what is configured."""

from typing import Annotated

import typer

from tickhouse.cli.edge import configured, stop_on_signals
from tickhouse.cli.kafka import downloading
from tickhouse.cli.produce import MIX_SOURCES
from tickhouse.stack import services
from tickhouse.stack.up import run_stack

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("up", epilog="Example: FINNHUB_API_KEY=… tickhouse up")(up)


def up(
    no_run: Annotated[bool, typer.Option("--no-run", help="Leave load, transform and publish to a scheduler.")] = False,  # noqa: FBT002  # a flag
    mix_sources: Annotated[bool, MIX_SOURCES] = False,  # noqa: FBT002  # a flag
) -> None:
    """Run producer, sink and the minute runs against the configured Finnhub, Kafka, lake and warehouse until Ctrl-C."""
    settings = configured()
    services.stamp(settings, allow_mix=mix_sources)
    with stop_on_signals() as stop, downloading() as report, services.kafka(settings, report) as bootstrap:
        run_stack(settings, bootstrap, stop, with_runs=not no_run)
