"""Read what a warehouse holds, to compare it with another state of it."""

from pathlib import Path
from typing import Any

from tickhouse.warehouse import open_warehouse

__all__ = ["ask", "gold_rows"]

UNCOMPARED = {"build_id"}  # load columns: a rebuild numbers its builds anew


def ask(home: Path, sql: str) -> list[tuple[Any, ...]]:
    """Return the rows of a query on a state folder's warehouse."""
    with open_warehouse(home / "warehouse.duckdb") as warehouse:
        return [tuple(row.values()) for row in warehouse.query(sql).to_pylist()]


def gold_rows(home: Path, table: str, *, with_build: bool = False) -> list[dict[str, Any]]:
    """Return all rows of a gold table, sorted; without its load columns unless asked for."""
    with open_warehouse(home / "warehouse.duckdb") as warehouse:
        rows: list[dict[str, Any]] = warehouse.query(f"select * from gold.{table}").to_pylist()  # noqa: S608  # our tables
    left_out = set() if with_build else UNCOMPARED
    kept = [{name: value for name, value in row.items() if name not in left_out} for row in rows]
    return sorted(kept, key=lambda row: [str(value) for value in row.values()])
