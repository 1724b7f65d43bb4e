"""`tickhouse produce`: Finnhub → Kafka."""

from typing import Annotated

import typer

from tickhouse.cli.edge import configured, stop_on_signals
from tickhouse.cli.kafka import downloading
from tickhouse.stack import services

__all__ = ["MIX_SOURCES", "register"]

MIX_SOURCES = typer.Option("--mix-sources", help="Let the state folder hold data of several sources.")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("produce", epilog="Example: FINNHUB_API_KEY=… tickhouse produce")(produce)


def produce(mix_sources: Annotated[bool, MIX_SOURCES] = False) -> None:  # noqa: FBT002  # a flag
    """Record the configured symbols' trades into Kafka until Ctrl-C."""
    settings = configured()
    services.stamp(settings, allow_mix=mix_sources)
    with stop_on_signals() as stop, downloading() as report, services.kafka(settings, report) as bootstrap:
        services.prepare(settings, bootstrap)
        services.make_feed(settings, bootstrap).run(stop)
