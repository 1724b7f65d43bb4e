"""`tickhouse candles`: bars from the gold snapshot."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from tickhouse.cli.edge import configured
from tickhouse.cli.output import DataFormat, err, write_arrow
from tickhouse.market import Interval, SessionName
from tickhouse.stack import open_lake
from tickhouse.warehouse import open_snapshot

__all__ = ["FROM", "TO", "register"]


def _moment(text: str) -> datetime:
    """Return an ISO 8601 time in UTC, taking one without a zone as UTC."""
    try:
        value = datetime.fromisoformat(text)
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    except (ValueError, OverflowError):
        raise typer.BadParameter(f"{text} is no ISO 8601 time such as 2026-11-23 or 2026-11-23T14:30Z") from None


FROM = typer.Option("--from", parser=_moment, metavar="TIME", help="First time, ISO 8601; UTC where it has no zone.")
TO = typer.Option("--to", parser=_moment, metavar="TIME", help="Time before which to end, ISO 8601.")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("candles", epilog="Example: tickhouse candles AAPL --interval 5m --last 12")(candles)


def candles(
    symbol: Annotated[str, typer.Argument(help="Symbol as it was recorded.")],
    interval: Annotated[Interval, typer.Option(help="Length of a bar.")] = Interval.MINUTE,
    session: Annotated[SessionName, typer.Option(help="Session that the bars are of.")] = SessionName.REGULAR,
    start: Annotated[datetime | None, FROM] = None,
    end: Annotated[datetime | None, TO] = None,
    last: Annotated[int | None, typer.Option(min=1, help="Only the newest so many bars.")] = None,
    fmt: Annotated[DataFormat, typer.Option("--format", help="How to write them.")] = DataFormat.TABLE,
    output: Annotated[Path | None, typer.Option(help="File to write to instead of standard output.")] = None,
) -> None:
    """Print the bars of a symbol from the gold snapshot, stamped at their open in UTC."""
    snapshot = open_snapshot(open_lake(configured()))
    bars = snapshot.candles(symbol.upper(), interval, session, start, end)
    if last is not None:
        bars = bars.slice(max(bars.num_rows - last, 0))
    if fmt is DataFormat.TABLE:
        bars = bars.drop_columns(["symbol", "interval", "session"])  # the same in each row, and asked for
    write_arrow(bars, fmt, output)
    if bars.num_rows == 0:
        known = ", ".join(snapshot.symbols()) or "none"
        missing = f"no {session} {interval} bars of {symbol.upper()} in that time; symbols with bars: {known}"
        err.print(missing, markup=False, soft_wrap=True)
