"""Move the synthetic market's prices: correlated random walks that are a pure function of seed and time."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tickhouse.finnhub.synthetic_listing import Listing

__all__ = ["SECONDS", "PriceWalk", "generator"]

SECONDS = 60
OCTAVES = 15  # periods of 2^k minutes, up to 11 days: prices wander by some ten per cent and come back
DAY_MINUTES = 1440
# over all octaves the variance of an increment comes to about 5 times this squared: to the volatility asked for
OCTAVE_SCALE = 0.45
MARKET_VOLATILITY = 0.009
SECTOR_SHAPES = {"Funds": (1.0, 0.0), "Crypto": (0.5, 0.015)}  # weight of the market, the sector's own volatility
USUAL_SHAPE = (1.0, 0.006)
WALK_STREAM = 1

Floats = NDArray[np.float64]
Words = NDArray[np.uint64]


def generator(seed: int, stream: int, minute: int) -> np.random.Generator:
    """Return the generator of one minute: any minute's numbers are had without those before it."""
    return np.random.Generator(np.random.Philox(key=[(seed << 2 | stream) & (2**64 - 1), minute]))


class PriceWalk:
    """Give each symbol's price at any time.

    The market, each sector and each symbol is a factor: value noise whose octaves' amplitudes grow with the root of
    their period, which looks like a random walk at every scale, yet needs no state.
    """

    def __init__(self, seed: int, listings: Sequence[Listing]) -> None:
        sectors = sorted({listing.sector for listing in listings})
        self._seed = seed
        self._factors = 1 + len(sectors) + len(listings)
        self._base = np.array([listing.base_price for listing in listings])
        self._weights = np.zeros((len(listings), self._factors))
        for row, listing in enumerate(listings):
            beta, sector_volatility = SECTOR_SHAPES.get(listing.sector, USUAL_SHAPE)
            self._weights[row, 0] = beta * MARKET_VOLATILITY
            self._weights[row, 1 + sectors.index(listing.sector)] = sector_volatility
            self._weights[row, 1 + len(sectors) + row] = listing.daily_volatility
        self._octaves = np.arange(OCTAVES, dtype=np.uint64)
        self._periods = 2.0 ** np.arange(OCTAVES)
        self._amplitudes = OCTAVE_SCALE * np.sqrt(self._periods / DAY_MINUTES)
        self._salt = _mixed(
            np.arange(self._factors * OCTAVES, dtype=np.uint64) + np.uint64(seed % 2**32) * np.uint64(1 << 24)
        ).reshape(self._factors, OCTAVES)

    def minute(self, minute: int) -> Floats:
        """Return the prices at each second of a minute, both ends included: an array of symbols by 61."""
        start, end = self._levels(minute), self._levels(minute + 1)
        passed = np.arange(SECONDS + 1) / SECONDS
        steps = generator(self._seed, WALK_STREAM, minute).standard_normal((self._factors, SECONDS))
        walk = np.concatenate([np.zeros((self._factors, 1)), steps.cumsum(axis=1)], axis=1)
        bridge = (walk - passed * walk[:, -1:]) / np.sqrt(DAY_MINUTES * SECONDS)
        factors = start[:, None] + (end - start)[:, None] * passed + bridge
        prices: Floats = self._base[:, None] * np.exp(self._weights @ factors)
        return prices

    def _levels(self, minute: int) -> Floats:
        """Return each factor at the start of a minute, in units of its daily volatility."""
        at = np.full(OCTAVES, minute, dtype=np.uint64)
        knots = at >> self._octaves
        passed = (at - (knots << self._octaves)) / self._periods
        before, after = self._noise(knots), self._noise(knots + np.uint64(1))
        levels: Floats = ((before + (after - before) * passed) * self._amplitudes).sum(axis=1)
        return levels

    def _noise(self, knots: Words) -> Floats:
        """Return a standard normal number per factor and octave, hashed from the knot's place."""
        words = _mixed(self._salt ^ _mixed(knots))
        parts = [(words >> np.uint64(shift)) & np.uint64(0xFFFF) for shift in (0, 16, 32, 48)]
        total = np.sum(parts, axis=0) / 65536.0
        return np.asarray((total - 2.0) * np.sqrt(3.0))  # four uniform numbers make a bell that is good enough


def _mixed(words: Words) -> Words:
    """Scramble 64-bit words (the finaliser of splitmix64)."""
    words = (words + np.uint64(0x9E3779B97F4A7C15)).astype(np.uint64)
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))
