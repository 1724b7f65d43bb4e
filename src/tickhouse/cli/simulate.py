"""`tickhouse simulate`: a server that speaks Finnhub's protocol."""

import math
import threading
from pathlib import Path
from typing import Annotated

import typer

from tickhouse.cli.edge import configured, stop_on_signals
from tickhouse.cli.output import out
from tickhouse.clock import SystemClock
from tickhouse.finnhub import FaultPlan
from tickhouse.stack import services

__all__ = ["SPEED", "register", "speed_of"]

DEFAULT_KEY = "demo"
MINUTE_US = 60_000_000
SPEED = typer.Option("--speed", help="Times market time, or max: as fast as the client reads.")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("simulate", epilog="Example: tickhouse simulate --port 8090 --history 30")(simulate)


def simulate(
    recordings: Annotated[
        list[Path] | None, typer.Argument(help="Recordings to play; without one, a synthetic market.")
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on loopback; 0 takes a free one.")] = 8090,
    key: Annotated[str, typer.Option(help="API key that is let in.")] = DEFAULT_KEY,
    seed: Annotated[int, typer.Option(help="Seed of the synthetic market and of the faults.")] = 1,
    history: Annotated[int, typer.Option(min=0, help="Minutes of the synthetic market before now.")] = 180,
    speed: Annotated[str, SPEED] = "1",
    drop_every: Annotated[int, typer.Option(min=0, help="Drop the connection after so many frames; 0 never.")] = 0,
    duplicate: Annotated[float, typer.Option(min=0, max=1, help="Share of frames that are sent twice.")] = 0.0,
    late: Annotated[float, typer.Option(min=0, max=1, help="Share of trades that are held back.")] = 0.0,
) -> None:
    """Serve Finnhub's WebSocket protocol on loopback, with a synthetic market or recordings, faults on demand."""
    configured()
    faults = FaultPlan(seed=seed, drop_every_frames=drop_every, duplicate_rate=duplicate, late_rate=late)
    starts_us = SystemClock().now_us() - history * MINUTE_US
    source = services.make_source(recordings or [], seed, starts_us)
    simulator = services.make_simulator(source, key=key, port=port, speed=speed_of(speed), faults=faults)

    def announce() -> None:
        simulator.ready.wait()
        shown = key if key == DEFAULT_KEY else "…"  # a key of one's own is a secret here too
        line = f"TICKHOUSE_FINNHUB_WS_URL={simulator.url} TICKHOUSE_SOURCE={source.name} FINNHUB_API_KEY={shown}"
        if source.name == "synthetic":
            line += " TICKHOUSE_CALENDAR=24/7"
        out.print(f"serving {source.name} data; point a producer at it by", markup=False, soft_wrap=True)
        out.print(f"  {line}", markup=False, soft_wrap=True)

    threading.Thread(target=announce, name="announce", daemon=True).start()  # a port of 0 is known once it listens
    with stop_on_signals() as stop:
        simulator.run(stop)


def speed_of(text: str) -> float | None:
    """Return the factor, or None for as fast as the client reads."""
    if text == "max":
        return None
    try:
        factor = float(text)
    except ValueError:
        factor = 0.0
    if not (math.isfinite(factor) and factor > 0):
        raise typer.BadParameter(f"{text} is neither a positive number nor max", param_hint="--speed")
    return factor
