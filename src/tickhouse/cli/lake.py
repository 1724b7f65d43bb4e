"""`tickhouse lake`: the raw zone."""

from dataclasses import asdict
from typing import Annotated

import typer

from tickhouse.cli.edge import configured
from tickhouse.cli.output import TextFormat, err, show_rows
from tickhouse.lake import verify as verify_chains
from tickhouse.stack import open_lake

__all__ = ["app"]

app = typer.Typer(help="Prove and count the raw zone.", no_args_is_help=True)
COLUMNS = ["topic", "partition", "objects", "rows", "first_offset", "last_offset", "bytes", "is_whole"]


@app.callback()
def _group() -> None:
    """Keep `verify` a word of its own while it is the only one."""


@app.command(epilog="Example: tickhouse lake verify")
def verify(fmt: Annotated[TextFormat, typer.Option("--format", help="How to report.")] = TextFormat.TABLE) -> None:
    """Prove the chain of each partition: no hole, no overlap, counts as the offsets say; exit 1 where it is broken."""
    report = verify_chains(open_lake(configured()))
    rows = [{**asdict(chain), "is_whole": chain.is_whole} for chain in report.chains]
    show_rows(rows, COLUMNS, fmt)
    if not report.chains:
        err.print("the raw zone holds nothing yet")
    for problem in report.problems:
        err.print(problem, style="red", markup=False, soft_wrap=True)
    if not report.is_whole:
        raise typer.Exit(1)
