"""Read the companies of the synthetic market: real tickers, invented figures."""

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

__all__ = ["Listing", "read_listings"]


@dataclass(frozen=True, slots=True)
class Listing:
    """One symbol of the synthetic market.

    `market_cap_musd` is in millions of dollars, as in Finnhub's profiles. `daily_volatility` is the symbol's own,
    beside what it shares with the market and its sector. Typical volume is `trades_per_minute` times `mean_size`.
    """

    symbol: str
    name: str
    sector: str
    market_cap_musd: int
    base_price: float
    trades_per_minute: float
    mean_size: float
    daily_volatility: float

    @property
    def is_fractional(self) -> bool:
        """Tell whether it trades in fractions and without condition codes, as crypto does."""
        return ":" in self.symbol

    @property
    def price_digits(self) -> int:
        """Return the decimals of its tick."""
        return 4 if self.is_fractional else 2


@cache
def read_listings() -> tuple[Listing, ...]:
    """Return all symbols of the synthetic market."""
    text = files("tickhouse.finnhub").joinpath("synthetic_symbols.csv").read_text("utf-8")
    return tuple(
        Listing(
            row["symbol"],
            row["name"],
            row["sector"],
            int(row["market_cap_musd"]),
            float(row["base_price"]),
            float(row["trades_per_minute"]),
            float(row["mean_size"]),
            float(row["daily_volatility"]),
        )
        for row in csv.DictReader(text.splitlines())
    )
