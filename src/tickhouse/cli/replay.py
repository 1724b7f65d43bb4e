"""`tickhouse replay`: recordings through the whole real path."""

from pathlib import Path
from typing import Annotated

import typer

from tickhouse.cli.edge import configured, progress, stop_on_signals
from tickhouse.cli.output import TextFormat, show_record
from tickhouse.cli.produce import MIX_SOURCES
from tickhouse.cli.simulate import SPEED, speed_of
from tickhouse.finnhub import FaultPlan
from tickhouse.stack.replay import ReplayOptions
from tickhouse.stack.replay import replay as replay_files

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("replay", epilog="Example: tickhouse replay IBM-20131007.frames.jsonl.gz")(replay)


def replay(
    files: Annotated[
        list[Path], typer.Argument(exists=True, dir_okay=False, help="Recordings: gzip, one frame a line.")
    ],
    speed: Annotated[str, SPEED] = "max",
    duplicate: Annotated[float, typer.Option(min=0, max=1, help="Share of frames that are sent twice.")] = 0.0,
    late: Annotated[float, typer.Option(min=0, max=1, help="Share of trades that are held back.")] = 0.0,
    seed: Annotated[int, typer.Option(help="Seed of these faults.")] = 1,
    mix_sources: Annotated[bool, MIX_SOURCES] = False,  # noqa: FBT002  # a flag
    fmt: Annotated[TextFormat, typer.Option("--format", help="How to report.")] = TextFormat.TABLE,
) -> None:
    """Play recordings through simulator, Kafka, raw zone, warehouse and models until all is in gold."""
    settings = configured()
    factor = speed_of(speed)
    faults = FaultPlan(seed=seed, duplicate_rate=duplicate, late_rate=late)
    with stop_on_signals() as stop, progress() as display:
        task = display.add_task("Replaying", total=None, detail="")

        def show(stage: str, done: int, total: int | None) -> None:
            display.update(
                task, description=stage, completed=done, total=total, detail=f"{done:,} frames" if total else ""
            )

        def report(name: str, done: int, total: int) -> None:
            display.update(task, description=name, completed=done, total=total, detail=f"{done}/{total}")

        options = ReplayOptions(speed=factor, faults=faults, allow_mix=mix_sources)
        row = replay_files(settings, files, options, stop, show, report)
    show_record(row, fmt)
