"""Talk to people and schedulers: one file per command, thin."""

import sys
from typing import NoReturn

from tickhouse.cli.app import app
from tickhouse.cli.edge import INTERRUPTED
from tickhouse.cli.output import err
from tickhouse.errors import TickhouseError

__all__ = ["main"]


def main() -> None:
    """Run the command line; an error that a person can mend is one line on standard error and its exit code."""
    try:
        app()
    except TickhouseError as error:
        _end_with(error, error.exit_code)
    except OSError as error:  # a full disk, a folder without rights: nothing that a traceback would explain
        _end_with(error, TickhouseError.exit_code)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _end_with(error: Exception, code: int) -> NoReturn:
    err.print("error:", style="red", end=" ")
    err.print(" ".join(str(error).split()), markup=False, soft_wrap=True)
    sys.exit(code)
