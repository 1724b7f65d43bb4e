"""Make a market up: repeatable, continuous, and like a real tape."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from decimal import Decimal
from itertools import islice, takewhile

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tickhouse.errors import SettingInvalid
from tickhouse.finnhub import SyntheticMarket, TimedFrame, WireTrade, read_listings
from tickhouse.finnhub.synthetic_prices import PriceWalk

MINUTE_US = 60_000_000
START_US = 1_763_900_040_000_000
STOCKS = [listing.symbol for listing in read_listings() if not listing.is_fractional]


def until(market: SyntheticMarket, ends_us: int) -> Iterator[TimedFrame]:
    """Return the frames up to a time."""
    return takewhile(lambda frame: frame.at_us <= ends_us, market.frames())


@pytest.fixture(scope="module")
def hour() -> list[TimedFrame]:
    """Return one hour of the market."""
    return list(until(SyntheticMarket(11, START_US), START_US + 60 * MINUTE_US))


@pytest.fixture(scope="module")
def tape(hour: list[TimedFrame]) -> list[WireTrade]:
    """Return the prints of that hour."""
    return [trade for frame in hour for trade in frame.trades]


def test_there_are_fifty_symbols_with_sectors_and_caps() -> None:
    """They are as many as one connection of Finnhub's free plan takes."""
    listings = read_listings()
    assert len({listing.symbol for listing in listings}) == 50
    assert len({listing.sector for listing in listings}) >= 10
    assert all(listing.market_cap_musd > 0 and listing.name for listing in listings)


def test_one_seed_is_one_market() -> None:
    """The same seed prints the same, another one prints something else."""
    first, again, other = (list(islice(SyntheticMarket(seed, START_US).frames(), 500)) for seed in (4, 4, 5))
    assert first == again
    assert first != other


@settings(max_examples=20, deadline=None)
@given(offset_us=st.integers(0, 3 * MINUTE_US))
@example(offset_us=250_000)  # the moment of a frame
@example(offset_us=MINUTE_US)
@example(offset_us=2 * MINUTE_US)
def test_a_restart_goes_on_exactly_where_it_was(offset_us: int) -> None:
    """What comes before a moment and what a market says that starts at it are the whole."""
    ends_us = START_US + 4 * MINUTE_US
    whole = list(until(SyntheticMarket(2, START_US), ends_us))
    before = list(until(SyntheticMarket(2, START_US), START_US + offset_us))
    after = list(until(SyntheticMarket(2, START_US + offset_us), ends_us))
    assert before + after == whole


def test_a_choice_of_symbols_changes_no_print() -> None:
    """Prints of a chosen symbol are those that it has among all."""
    chosen = ("BINANCE:BTCUSDT", "IBM")
    some = [t for f in islice(SyntheticMarket(2, START_US, chosen).frames(), 200) for t in f.trades]
    everything = [t for f in islice(SyntheticMarket(2, START_US).frames(), 2_000) for t in f.trades if t.s in chosen]
    assert some == everything[: len(some)]
    assert {trade.s for trade in some} == set(chosen)


def test_a_symbol_that_is_not_listed_is_refused() -> None:
    """The line names it and the setting."""
    with pytest.raises(SettingInvalid, match="TICKHOUSE_SYMBOLS: the synthetic market has no ZZZZ"):
        SyntheticMarket(1, START_US, ["IBM", "ZZZZ"])


def test_frames_batch_a_quarter_of_a_second(hour: list[TimedFrame]) -> None:
    """A frame is sent at the end of its batch, with the prints of the batch in their order."""
    assert [frame.at_us for frame in hour] == sorted({frame.at_us for frame in hour})
    for frame in hour:
        times = [trade.t for trade in frame.trades]
        assert frame.at_us % 250_000 == 0
        assert frame.at_us - 250_000 <= times[0] * 1_000
        assert times[-1] * 1_000 < frame.at_us
        assert times == sorted(times)
    assert any(len({trade.s for trade in frame.trades}) > 1 for frame in hour)


def test_prices_lie_on_their_tick_and_sizes_are_whole_shares(tape: list[WireTrade]) -> None:
    """Stocks have cents and whole shares; crypto has finer prices and fractions."""
    for trade in tape:
        if ":" in trade.s:
            assert trade.p == trade.p.quantize(Decimal("0.0001"))
            assert trade.v == trade.v.quantize(Decimal("0.00001"))
        else:
            assert trade.p == trade.p.quantize(Decimal("0.01"))
            assert trade.v == int(trade.v) > 0
        assert trade.p > 0
    assert any(trade.v % 1 for trade in tape)
    assert any(trade.v == 0 for trade in tape if ":" in trade.s)


def test_condition_codes_are_those_of_a_tape(tape: list[WireTrade]) -> None:
    """Odd lots carry 12 and nothing else does, sweeps carry 8 and 41, and some prints have no code."""
    stocks = [trade for trade in tape if ":" not in trade.s]
    kinds = Counter(trade.c for trade in stocks)
    assert set(kinds) == {("1",), ("12",), ("8", "41"), ("8", "12", "41"), None}
    assert min(kinds.values()) > len(stocks) / 50
    assert all((trade.v < 100) == ("12" in (trade.c or ())) for trade in stocks)
    assert {trade.c for trade in tape if ":" in trade.s} == {None}


def test_prints_cluster_in_one_millisecond_and_some_are_equal(tape: list[WireTrade]) -> None:
    """As on a real tape, (symbol, time) is no key, and neither is the whole print."""
    assert 0.5 < len({(t.s, t.t) for t in tape}) / len(tape) < 0.8
    assert 0.75 < len({(t.s, t.t, t.p, t.v, t.c) for t in tape}) / len(tape) < 0.95


def test_every_symbol_trades_and_big_names_trade_most(tape: list[WireTrade]) -> None:
    """The whole comes to some 600 prints a minute."""
    counts = Counter(trade.s for trade in tape)
    assert set(counts) == set(SyntheticMarket(1, 0).symbols)
    assert 500 < len(tape) / 60 < 700
    assert counts["NVDA"] > 5 * counts["AIG"]


def test_neighbouring_prints_have_neighbouring_prices(tape: list[WireTrade]) -> None:
    """Minutes join without a jump: no two successive prints of a stock lie a per cent apart."""
    prices = defaultdict(list)
    for trade in tape:
        if ":" not in trade.s:
            prices[trade.s].append(float(trade.p))
    for path in prices.values():
        assert np.abs(np.diff(np.log(path))).max() < 0.01


@pytest.mark.parametrize("step", [1, 60, 24 * 60])
def test_prices_walk_as_far_as_a_stock_at_every_scale(step: int) -> None:
    """Per minute, hour and day alike, volatility comes to 0.5 to 4 % a day, and companies of one sector go together."""
    walk = PriceWalk(3, read_listings())
    first = START_US // MINUTE_US
    steps = np.diff(np.log([walk.minute(first + n * step)[:, 0] for n in range(400)]), axis=0)
    daily = steps.std(axis=0) * np.sqrt(24 * 60 / step)
    assert daily.min() > 0.005
    assert daily.max() < 0.04
    names = [listing.symbol for listing in read_listings()]
    together = np.corrcoef(steps.T)
    assert together[names.index("KO"), names.index("PG")] > 0.3
    assert together[names.index("SPY"), [names.index(name) for name in STOCKS]].mean() > 0.3
