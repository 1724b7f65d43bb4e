"""Tell when a symbol's feed was recorded and when not, from its feed-status events."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby, pairwise
from operator import attrgetter

from tickhouse.market.types import FeedState, FeedStatus, Span

__all__ = ["FeedRecord", "Gap", "feed_record", "gap_ledger"]

UNCOVERED, NO_SIGN_OF_LIFE = "uncovered", "no sign of life"
# rate_limited is about REST calls: no trade is lost by it.
LOSSES = frozenset({FeedState.SILENT, FeedState.DISCONNECTED, FeedState.SUBSCRIBE_REFUSED, FeedState.DROPPED})
ABSENCES = LOSSES - {FeedState.DROPPED}  # what is dropped had come in: it explains no missing coverage


@dataclass(frozen=True, slots=True)
class Gap:
    """A stretch of time in which trades of a symbol may be missing, UTC epoch microseconds.

    `state` is that of the feed-status event that tells of it, or `uncovered` where none does.
    """

    symbol: str
    from_us: int
    to_us: int
    state: str
    reason: str


@dataclass(frozen=True, slots=True)
class FeedRecord:
    """When one symbol's feed was recorded and when trades were lost; spans that touch are merged, in time order."""

    coverage: tuple[Span, ...] = ()
    losses: tuple[Span, ...] = ()

    @property
    def covered_until_us(self) -> int | None:
        """Return the end of the latest coverage."""
        return self.coverage[-1].to_us if self.coverage else None

    def is_whole(self, from_us: int, to_us: int) -> bool:
        """Tell whether one coverage span holds all of [from_us, to_us] and no loss reaches into it."""
        at = bisect_right(self.coverage, from_us, key=attrgetter("from_us")) - 1
        if at < 0 or self.coverage[at].to_us < to_us:
            return False
        loss = bisect_right(self.losses, from_us, key=attrgetter("to_us"))
        return loss == len(self.losses) or self.losses[loss].from_us >= to_us


def feed_record(statuses: Iterable[FeedStatus]) -> FeedRecord:
    """Merge the events of one symbol into coverage and losses."""
    events = list(statuses)
    return FeedRecord(
        coverage=_merged(Span(one.from_us, one.to_us) for one in events if one.state.covers),
        losses=_merged(Span(one.from_us, one.to_us) for one in events if one.state in LOSSES),
    )


def gap_ledger(statuses: Iterable[FeedStatus]) -> list[Gap]:
    """List the gaps of all symbols: holes between coverage spans, and losses outside of these.

    The hole between two coverage spans takes state and reason of the first absence (a loss other than `dropped`) that
    reaches into it. A loss that lies within a hole is no gap of its own. Repeated events change nothing.
    """
    ordered = sorted(set(statuses), key=attrgetter("symbol", "from_us", "to_us", "state", "reason"))
    return [gap for symbol, events in groupby(ordered, attrgetter("symbol")) for gap in _gaps_of(symbol, list(events))]


def _gaps_of(symbol: str, events: list[FeedStatus]) -> list[Gap]:
    losses = [event for event in events if event.state in LOSSES]
    holes = [Span(one.to_us, other.from_us) for one, other in pairwise(feed_record(events).coverage)]
    gaps = [_explained(symbol, hole, losses) for hole in holes]
    gaps += [
        Gap(symbol, loss.from_us, loss.to_us, loss.state.value, loss.reason)
        for loss in losses
        if not any(hole.from_us <= loss.from_us and loss.to_us <= hole.to_us for hole in holes)
    ]
    return sorted(gaps, key=attrgetter("from_us", "to_us", "state", "reason"))


def _explained(symbol: str, hole: Span, losses: list[FeedStatus]) -> Gap:
    for loss in losses:
        if loss.state in ABSENCES and loss.from_us < hole.to_us and loss.to_us > hole.from_us:
            return Gap(symbol, hole.from_us, hole.to_us, loss.state.value, loss.reason)
    return Gap(symbol, hole.from_us, hole.to_us, UNCOVERED, NO_SIGN_OF_LIFE)


def _merged(spans: Iterable[Span]) -> tuple[Span, ...]:
    return tuple(_merge_ordered(sorted(spans, key=attrgetter("from_us", "to_us"))))


def _merge_ordered(spans: list[Span]) -> Iterator[Span]:
    pending: Span | None = None
    for span in spans:
        if pending is None or span.from_us > pending.to_us:
            if pending is not None:
                yield pending
            pending = span
        else:
            pending = Span(pending.from_us, max(pending.to_us, span.to_us))
    if pending is not None:
        yield pending
