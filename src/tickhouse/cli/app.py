"""Assemble the commands."""

import typer

from tickhouse.cli import (
    candles,
    demo,
    doctor,
    gaps,
    init,
    kafka,
    lake,
    load,
    produce,
    publish,
    rebuild,
    replay,
    run,
    simulate,
    sink,
    status,
    transform,
    up,
)

__all__ = ["app"]

app = typer.Typer(
    name="tickhouse",
    help="Record the stock market tick by tick and turn it into candles one can trust.",
    epilog="Start here: tickhouse demo",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
for module in (
    demo,
    up,
    simulate,
    produce,
    sink,
    load,
    transform,
    publish,
    run,
    replay,
    rebuild,
    candles,
    gaps,
    status,
    doctor,
    init,
):
    module.register(app)
app.add_typer(lake.app, name="lake")
app.add_typer(kafka.app, name="kafka")
