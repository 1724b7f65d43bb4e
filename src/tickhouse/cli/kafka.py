"""`tickhouse kafka`: the local Apache Kafka."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from tickhouse.cli.edge import configured, progress
from tickhouse.cli.output import TextFormat, out, show_record
from tickhouse.kafka import broker_status, start_broker, stop_broker

__all__ = ["app", "downloading"]

app = typer.Typer(help="Run the local Apache Kafka.", no_args_is_help=True)


@app.command(epilog="Example: tickhouse kafka start")
def start() -> None:
    """Start the local Apache Kafka in the background; one that runs is left as it is."""
    settings = configured()
    with downloading() as report:
        handle = start_broker(settings.home, settings.cache, attached=False, progress=report)
    out.print(f"Apache Kafka serves at {handle.bootstrap_servers}")


@app.command(epilog="Example: tickhouse kafka stop")
def stop() -> None:
    """Stop the local Apache Kafka cleanly; what it holds stays."""
    stopped = stop_broker(configured().home)
    out.print("Apache Kafka stopped" if stopped else "no Apache Kafka runs here")


@app.command(epilog="Example: tickhouse kafka status --format json")
def status(fmt: Annotated[TextFormat, typer.Option("--format", help="How to report.")] = TextFormat.TABLE) -> None:
    """Say whether the local Apache Kafka runs, and where."""
    found = broker_status(configured().home)
    row = {
        "is_running": found.is_running,
        "is_answering": found.is_answering,
        "bootstrap_servers": found.bootstrap_servers,
        "pid": found.pid,
    }
    show_record(row, fmt)


@contextmanager
def downloading() -> Iterator[Callable[[str, int, int], None]]:
    """Show the first download of Kafka's jars."""
    with progress() as display:
        task = display.add_task("Fetching Apache Kafka", total=None, detail="", visible=False)

        def report(name: str, done: int, total: int) -> None:
            display.update(task, completed=done, total=total, detail=f"{done}/{total} {name}", visible=True)

        yield report
