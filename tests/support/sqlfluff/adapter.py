"""Stand for dbt's `adapter` where sqlfluff renders models: a dispatched macro becomes a plain call of its name."""

from collections.abc import Callable

__all__ = ["dispatch"]


def dispatch(macro: str, _package: str) -> Callable[..., str]:
    """Return what renders as SQL of the macro's shape."""
    if macro == "split_to_rows":
        return lambda relation, column, part: f"select {column}, {part} from {relation}"  # noqa: S608  # never run
    return lambda *arguments: f"{macro}({', '.join(map(str, arguments))})"
