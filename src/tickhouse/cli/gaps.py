"""`tickhouse gaps`: the gap ledger from the gold snapshot."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from tickhouse.cli.candles import FROM, TO
from tickhouse.cli.edge import configured
from tickhouse.cli.output import DataFormat, err, write_arrow
from tickhouse.stack import open_lake
from tickhouse.warehouse import open_snapshot

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("gaps", epilog="Example: tickhouse gaps AAPL --from 2026-11-23")(gaps)


def gaps(
    symbol: Annotated[str | None, typer.Argument(help="Only this symbol.")] = None,
    start: Annotated[datetime | None, FROM] = None,
    end: Annotated[datetime | None, TO] = None,
    fmt: Annotated[DataFormat, typer.Option("--format", help="How to write them.")] = DataFormat.TABLE,
    output: Annotated[Path | None, typer.Option(help="File to write to instead of standard output.")] = None,
) -> None:
    """Print the stretches of time in which the feed was not recorded, and why."""
    snapshot = open_snapshot(open_lake(configured()))
    found = snapshot.gaps(None if symbol is None else symbol.upper(), start, end)
    write_arrow(found, fmt, output)
    if found.num_rows == 0:
        err.print("no gaps: the feed was recorded without a break in that time")
