"""Make a market up: prints that look like the tape's, the same for the same seed and time."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import count, pairwise

import numpy as np
from numpy.typing import NDArray

from tickhouse.errors import SettingInvalid
from tickhouse.finnhub.source import TimedFrame
from tickhouse.finnhub.synthetic_listing import Listing, read_listings
from tickhouse.finnhub.synthetic_prices import SECONDS, PriceWalk, generator
from tickhouse.finnhub.wire import WireTrade

__all__ = ["SyntheticMarket"]

MINUTE_US = 60_000_000
MINUTE_MS = 60_000
BATCH_MS = 250
TAPE_STREAM = 0

SWEEP_SHARE = 0.35  # prints that share the millisecond of the one before
CLONE_SHARE = 0.3  # of those, prints that equal it
ISO_SHARE = 0.25
MIXED_LOT_SHARE = 0.15
PRICE_UPDATE_SHARE = 0.03  # crypto's messages with volume 0
NO_CODE_SHARE = 0.06  # `c` is null; as many again have no `c` at all
SIZE_DIGITS = 5
BOUNCE_TICKS = 0.8

REGULAR, ODD, ISO, ODD_ISO, NULL, ABSENT = range(6)
CODES: tuple[tuple[str, ...] | None, ...] = (("1",), ("12",), ("8", "41"), ("8", "12", "41"), None, None)

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


class _BareTrade(WireTrade, frozen=True, gc=False, omit_defaults=True):
    """A print that is sent without `c`."""


class SyntheticMarket:
    """Trade round the clock from `starts_us` on, without end.

    A pure function of seed and time: a market that starts later with the same seed goes on exactly where an earlier
    one was. `symbols` keeps some of the listed ones; their prints are the same as among all. Frames batch 250 ms.
    """

    name = "synthetic"
    ends_us = None

    def __init__(self, seed: int, starts_us: int, symbols: Sequence[str] | None = None) -> None:
        self.starts_us = starts_us
        self.listings = read_listings()
        listed = [listing.symbol for listing in self.listings]
        unknown = sorted(set(symbols or ()) - set(listed))
        if unknown:
            raise SettingInvalid("TICKHOUSE_SYMBOLS", f"the synthetic market has no {', '.join(unknown)}")
        self.symbols = tuple(listed if symbols is None else symbols)
        self._kept = np.isin(listed, self.symbols)
        self._tape = _Tape(seed, self.listings)

    def frames(self) -> Iterator[TimedFrame]:
        """Yield the frames after `starts_us`, for ever."""
        for minute in count(self.starts_us // MINUTE_US):
            yield from (frame for frame in self.minute(minute) if frame.at_us > self.starts_us)

    def minute(self, minute: int) -> list[TimedFrame]:
        """Return the frames of one minute, counted from the epoch."""
        ms, trades = self._tape.prints(minute, self._kept)
        batches = ms // BATCH_MS
        edges = [0, *(np.flatnonzero(np.diff(batches)) + 1).tolist(), len(trades)]
        return [
            TimedFrame(minute * MINUTE_US + (int(batches[first]) + 1) * BATCH_MS * 1_000, tuple(trades[first:last]))
            for first, last in pairwise(edges)
            if last > first
        ]


class _Tape:
    """Print what the walk of prices suggests, a minute at a time, all symbols at once."""

    def __init__(self, seed: int, listings: Sequence[Listing]) -> None:
        self._seed = seed
        self._walk = PriceWalk(seed, listings)
        self._names = [listing.symbol for listing in listings]
        self._rates = np.array([listing.trades_per_minute for listing in listings])
        self._mean_sizes = np.array([listing.mean_size for listing in listings])
        self._is_fractional = np.array([listing.is_fractional for listing in listings])
        self._scales = 10 ** np.array([listing.price_digits for listing in listings])

    def prints(self, minute: int, kept: Flags) -> tuple[Ints, list[WireTrade]]:
        """Return the prints of the kept symbols and their milliseconds within the minute, in their order."""
        dice = generator(self._seed, TAPE_STREAM, minute)
        bustle = np.exp(0.35 * dice.standard_normal(len(self._rates)) - 0.06)
        who = np.repeat(np.arange(len(self._rates)), dice.poisson(self._rates * bustle))
        index = np.arange(len(who))
        follows = (who == np.roll(who, 1)) & (index > 0) & (dice.random(len(who)) < SWEEP_SHARE)
        head = np.maximum.accumulate(np.where(follows, 0, index))
        ms = _times(dice, who)[head]
        ticks = self._ticks(dice, minute, who, ms, index - head)
        sizes, kinds = self._sizes_and_codes(dice, who, follows | np.roll(follows, -1))
        like = np.where(follows & (dice.random(len(who)) < CLONE_SHARE), head, index)
        order = np.argsort(ms, kind="stable")
        order = order[kept[who[order]]]
        shown = like[order]
        base_ms = minute * MINUTE_MS
        trades = [
            self._trade(symbol, tick, base_ms + at, size, kind)
            for symbol, tick, at, size, kind in zip(
                who[order].tolist(),
                ticks[shown].tolist(),
                ms[order].tolist(),
                sizes[shown].tolist(),
                kinds[shown].tolist(),
                strict=True,
            )
        ]
        return ms[order], trades

    def _ticks(self, dice: np.random.Generator, minute: int, who: Ints, ms: Ints, place: Ints) -> Ints:
        """Return prices in ticks: the walk's, bounced between bid and ask, swept further within a cluster."""
        path = self._walk.minute(minute)
        second = ms // 1_000
        before, after = path[who, second], path[who, second + 1]
        price = before + (after - before) * (ms % 1_000) / 1_000
        bounce = np.rint(dice.standard_normal(len(who)) * BOUNCE_TICKS) * (place == 0)
        sweep = place // 2 * np.where(who % 2 == minute % 2, 1, -1)
        ticks: Floats = np.rint(price * self._scales[who]) + bounce + sweep
        return np.maximum(ticks, 1).astype(np.int64)

    def _sizes_and_codes(self, dice: np.random.Generator, who: Ints, in_sweep: Flags) -> tuple[Ints, Ints]:
        """Return sizes (fractional symbols: in units of the last digit) and indices into CODES."""
        chance, coin = dice.random((2, len(who)))
        mean = self._mean_sizes[who]
        odd_share = np.clip(0.6 - mean / 500, 0.15, 0.7)
        is_odd = chance < odd_share
        odd_lots = 1 + np.floor(99 * dice.random(len(who)) ** 2)
        lots = dice.geometric(np.clip(100 * (1 - odd_share) / np.maximum(mean - 34 * odd_share, 1), 0.2, 0.95))
        rest = np.where(dice.random(len(who)) < MIXED_LOT_SHARE, odd_lots, 0)
        fractions = np.maximum(np.rint(dice.standard_exponential(len(who)) * mean * 10**SIZE_DIGITS), 1)
        fractions[coin < PRICE_UPDATE_SHARE] = 0
        is_fractional = self._is_fractional[who]
        sizes = np.where(is_fractional, fractions, np.where(is_odd, odd_lots, 100 * lots + rest))
        is_iso = in_sweep | (coin > 1 - ISO_SHARE)
        kinds = np.where(is_odd, np.where(is_iso, ODD_ISO, ODD), np.where(is_iso, ISO, REGULAR))
        kinds[~is_odd & (coin < 2 * NO_CODE_SHARE)] = ABSENT
        kinds[is_fractional | (~is_odd & (coin < NO_CODE_SHARE))] = NULL
        return sizes.astype(np.int64), kinds

    def _trade(self, symbol: int, ticks: int, ts_ms: int, size: int, kind: int) -> WireTrade:
        price = _decimal(ticks / int(self._scales[symbol]))
        volume = _decimal(size / 10**SIZE_DIGITS) if self._is_fractional[symbol] else Decimal(size)
        make = _BareTrade if kind == ABSENT else WireTrade
        return make(self._names[symbol], price, ts_ms, volume, CODES[kind])


def _times(dice: np.random.Generator, who: Ints) -> Ints:
    """Return the prints' milliseconds within the minute, rising per symbol; some seconds are busier than others."""
    busy = np.cumsum(dice.standard_exponential(SECONDS))
    seconds = np.searchsorted(busy / busy[-1], dice.random(len(who)), side="right")
    ms = np.minimum(seconds, SECONDS - 1) * 1_000 + dice.integers(0, 1_000, len(who))
    return np.asarray(ms[np.lexsort((ms, who))])


def _decimal(number: float) -> Decimal:
    """Return the shortest decimal number, exact for up to 12 digits."""
    return Decimal(f"{number:.12g}")
