"""`tickhouse demo`: everything embedded, no account."""

import shutil
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from tickhouse import log
from tickhouse.cli.edge import INTERRUPTED, configured, progress, stop_on_signals
from tickhouse.cli.output import TextFormat, out, print_table, show_json, table_of
from tickhouse.clock import SystemClock
from tickhouse.stack.demo import DemoOptions, Summary, run_demo

__all__ = ["register"]

LOG_FILE = "tickhouse.log"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("demo", epilog="Example: tickhouse demo --once")(demo)


def demo(
    *,
    once: Annotated[bool, typer.Option("--once", help="End with a summary once a first gold stands.")] = False,
    reset: Annotated[bool, typer.Option("--reset", help="Throw away what earlier demos recorded.")] = False,
    history: Annotated[int, typer.Option(min=1, max=1440, help="Minutes before now to start with.")] = 180,
    seed: Annotated[int, typer.Option(help="Seed of the synthetic market.")] = 1,
    fmt: Annotated[TextFormat, typer.Option("--format", help="How to report.")] = TextFormat.TABLE,
) -> None:
    """Run the whole house on a synthetic market, from simulator to candles: live until Ctrl-C."""
    settings = configured()
    options = DemoOptions(once=once, reset=reset, history_min=history, seed=seed)
    log_path = settings.home / LOG_FILE
    settings.home.mkdir(parents=True, exist_ok=True)
    show = _Show(fmt, is_live=not once)
    with stop_on_signals() as stop, progress() as display, log_path.open("a", encoding="utf-8") as log_file:
        task = display.add_task("Starting", total=None, detail="")

        def stage(text: str) -> None:
            display.update(task, description=text, total=None, detail="")

        def report(name: str, count: int, total: int) -> None:
            display.update(task, description=name, completed=count, total=total, detail=f"{count}/{total}")

        def done(summary: Summary) -> None:
            display.stop()
            show(summary)

        log.configure(settings.log_level, "json", log_file)
        try:
            run_demo(settings, options, stop, report=report, stage=stage, done=done)
        finally:
            log.configure(settings.log_level, settings.log_format)
    if not show.has_shown:
        sys.exit(INTERRUPTED)
    if not once:
        out.print("Stopped. What was recorded stays; `tickhouse demo` goes on with it.")


class _Show:
    """Print the first summary whole and each later one as a line."""

    def __init__(self, fmt: TextFormat, *, is_live: bool) -> None:
        self._fmt = fmt
        self._is_live = is_live
        self.has_shown = False

    def __call__(self, summary: Summary) -> None:
        if self._fmt is TextFormat.JSON:
            show_json(_as_dict(summary))
        elif self.has_shown:
            out.print(_line(summary))
        else:
            _print_whole(summary, is_live=self._is_live)
        self.has_shown = True


def _print_whole(summary: Summary, *, is_live: bool) -> None:
    counts, lags = summary.counts, summary.lags
    recorded = [
        {"recorded": "symbols", "count": counts.symbols},
        {"recorded": "trades", "count": counts.trades},
        {"recorded": "repeats collapsed", "count": counts.repeats},
        {"recorded": "rejects", "count": counts.rejects},
        {"recorded": "gaps", "count": counts.gaps},
        *({"recorded": f"{interval} bars", "count": bars} for interval, bars in counts.bars.items()),
    ]
    print_table(table_of(recorded, ["recorded", "count"]))
    behind = [
        {"layer": "raw zone", "behind": f"{lags.raw_zone:,} records"},
        {"layer": "warehouse", "behind": f"{lags.warehouse:,} records"},
        {"layer": "gold", "behind": _age(counts.closed_until_us)},
    ]
    print_table(table_of(behind, ["layer", "behind"]))
    out.print(f"Gold stands {summary.run.seconds:.0f} s after its load began. Look at it:", markup=False)
    for line in _next_steps(summary):
        out.print(f"  {line}", markup=False, soft_wrap=True)
    if is_live:
        out.print("Live now: a line per run, until Ctrl-C.")


def _next_steps(summary: Summary) -> list[str]:
    home = summary.home
    shown = home.relative_to(Path.cwd()) if home.is_relative_to(Path.cwd()) else home
    command = f"TICKHOUSE_HOME={shown} {_called_as()}"
    return [f"{command} candles AAPL --interval 15m --last 8", f"{command} gaps", f"{command} lake verify"]


def _called_as() -> str:
    """Return what a person has to type to call this program again."""
    program = Path(sys.argv[0]).absolute()
    if shutil.which(program.name) == str(program):
        return program.name
    return str(program.relative_to(Path.cwd()) if program.is_relative_to(Path.cwd()) else program)


def _line(summary: Summary) -> str:
    counts, run = summary.counts, summary.run
    return (
        f"{datetime.now(UTC):%H:%M:%S}  +{run.load.rows:,} events  {counts.trades:,} trades  "
        f"{counts.bars['1m']:,} bars  {counts.gaps} gaps  gold {_age(counts.closed_until_us)} behind  "
        f"run {run.seconds:.1f} s"
    )


def _age(closed_until_us: int | None) -> str:
    if closed_until_us is None:
        return "no closed bar yet"
    return f"{max((SystemClock().now_us() - closed_until_us) / 1e6, 0.0):.0f} s"


def _as_dict(summary: Summary) -> dict[str, Any]:
    return {
        "counts": asdict(summary.counts),
        "lags": asdict(summary.lags),
        "run": summary.run.row(),
        "home": str(summary.home),
    }
