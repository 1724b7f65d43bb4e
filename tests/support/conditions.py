"""Derive condition tables from the default one."""

from importlib import resources
from itertools import chain
from pathlib import Path

from tickhouse.market import ConditionTable

VENDOR_2013_CODES = ("3", "8", "27")  # average price, intermarket sweep, stock option


def default_table_text() -> str:
    """Return the CSV text of the table that comes with Tickhouse."""
    return (resources.files("tickhouse.market") / "trade_conditions.csv").read_text(encoding="utf-8")


def vendor_2013_text(*, restrict_others: bool = False) -> str:
    """Return a table in which codes 3, 8 and 27 set no price in the regular session.

    No other code is restricted, unless `restrict_others` leaves them as the default table has them.
    """
    header, *rows = default_table_text().splitlines()
    changed = {}
    for row in rows:
        code, name = row.split(",")[:2]
        if code in VENDOR_2013_CODES:
            changed[code] = [f"{code},{name},regular,false,false,true", f"{code},{name},extended,true,true,true"]
        elif restrict_others:
            changed.setdefault(code, []).append(row)
        else:
            changed[code] = [f"{code},{name},any,true,true,true"]
    return "\n".join([header, *chain.from_iterable(changed.values())]) + "\n"


def vendor_2013_table(*, restrict_others: bool = False) -> ConditionTable:
    """Return the table that comes nearest to how the vendor of the recordings built its bars in 2013."""
    return ConditionTable.parse(vendor_2013_text(restrict_others=restrict_others).encode(), "vendor-2013.csv")


def write_vendor_2013(folder: Path) -> Path:
    """Write that table into a folder, for TICKHOUSE_TRADE_CONDITIONS, and return its path."""
    path = folder / "vendor-2013.csv"
    path.write_text(vendor_2013_text(), encoding="utf-8")
    return path
