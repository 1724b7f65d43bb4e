"""Plan what goes wrong on the simulator's wire: dropped connections, repeated frames, late prints."""

import random
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Annotated, Literal

import msgspec

from tickhouse.finnhub.source import TimedFrame
from tickhouse.finnhub.wire import WireTrade

__all__ = ["DropFault", "DuplicateFault", "Fault", "FaultInjector", "FaultPlan", "LateFault", "decode_fault"]

DropKind = Literal["clean", "abrupt", "mixed"]


@dataclass(frozen=True, slots=True)
class FaultPlan:
    """Say how often each fault happens, the same for the same seed; the default is none.

    `drop_every_frames` counts sent frames (0 is never); `mixed` tosses a coin for each drop. `duplicate_rate` is the
    share of frames that are repeated, `duplicate_times` times each. `late_rate` is the share of prints that are held
    back by `late_by_s` of market time; prints that are equal are held back together, so that none is mistaken for
    another's repeat.
    """

    seed: int = 0
    drop_every_frames: int = 0
    drop_how: DropKind = "clean"
    duplicate_rate: float = 0.0
    duplicate_times: int = 1
    late_rate: float = 0.0
    late_by_s: float = 60.0


class DropFault(msgspec.Struct, frozen=True, tag_field="fault", tag="drop", forbid_unknown_fields=True):
    """Drop every connection now: by a closing handshake, or by a reset that loses what is in flight."""

    how: DropKind = "clean"


class DuplicateFault(msgspec.Struct, frozen=True, tag_field="fault", tag="duplicate", forbid_unknown_fields=True):
    """Repeat the next frame."""

    times: Annotated[int, msgspec.Meta(ge=1, le=100)] = 1


class LateFault(msgspec.Struct, frozen=True, tag_field="fault", tag="late", forbid_unknown_fields=True):
    """Hold the next frame's first print, and its equals, back for so much market time."""

    by_s: Annotated[float, msgspec.Meta(gt=0)] = 60.0


Fault = DropFault | DuplicateFault | LateFault
_fault_decoder: msgspec.json.Decoder[Fault] = msgspec.json.Decoder(Fault)


def decode_fault(body: bytes) -> Fault:
    """Decode the body of a fault request; raise `msgspec.DecodeError` where it is none."""
    return _fault_decoder.decode(body)


@dataclass(slots=True)
class FaultInjector:
    """Apply a plan, and faults asked for one by one, to a stream of frames; `injected` counts them by kind."""

    plan: FaultPlan
    injected: Counter[str] = field(default_factory=Counter)
    _random: random.Random = field(init=False)
    _held: list[tuple[int, int, tuple[WireTrade, ...]]] = field(default_factory=list)
    _asked_repeats: int = 0
    _asked_late_s: float | None = None
    _frames_until_drop: int = field(init=False)

    def __post_init__(self) -> None:
        """Seed the dice."""
        self._random = random.Random(self.plan.seed)  # noqa: S311  # a fault has to be repeatable, not secret
        self._frames_until_drop = self.plan.drop_every_frames

    def ask(self, fault: DuplicateFault | LateFault) -> None:
        """Inject a fault into the next frame."""
        if isinstance(fault, DuplicateFault):
            self._asked_repeats = fault.times
        else:
            self._asked_late_s = fault.by_s

    def shape(self, frames: Iterable[TimedFrame], ends_us: int | None) -> Iterator[TimedFrame]:
        """Yield the frames with repeats put in and late prints moved, in the order of `at_us`.

        What is still held back when the source ends is sent at `ends_us` at the latest.
        """
        for frame in frames:
            yield from self._released(frame.at_us)
            kept = self._hold_back(frame)
            if kept.trades:
                yield from (kept for _ in range(1 + self._repeats()))
        for late in self._released(None):
            yield late if ends_us is None else TimedFrame(min(late.at_us, ends_us), late.trades)

    def drop_due(self) -> Literal["clean", "abrupt"] | None:
        """Count one sent frame; return how to drop the connections where it is time to."""
        if self.plan.drop_every_frames <= 0:
            return None
        self._frames_until_drop -= 1
        if self._frames_until_drop > 0:
            return None
        self._frames_until_drop = self.plan.drop_every_frames
        return self.drop_kind(self.plan.drop_how)

    def drop_kind(self, how: DropKind) -> Literal["clean", "abrupt"]:
        """Choose between the two kinds where it is left open."""
        if how == "mixed":
            return "clean" if self._random.random() < 0.5 else "abrupt"  # noqa: PLR2004  # a coin
        return how

    def _released(self, until_us: int | None) -> Iterator[TimedFrame]:
        while self._held and (until_us is None or self._held[0][0] <= until_us):
            due_us, _, trades = heappop(self._held)
            yield TimedFrame(due_us, trades)

    def _repeats(self) -> int:
        repeats, self._asked_repeats = self._asked_repeats, 0
        if self.plan.duplicate_rate and self._random.random() < self.plan.duplicate_rate:
            repeats += self.plan.duplicate_times
        self.injected["duplicate"] += repeats
        return repeats

    def _hold_back(self, frame: TimedFrame) -> TimedFrame:
        """Take late prints out of a frame and keep them for later."""
        late, by_s = self._choose_late(frame), self.plan.late_by_s
        if self._asked_late_s is not None:
            late, by_s, self._asked_late_s = {identity(frame.trades[0])}, self._asked_late_s, None
        if not late:
            return frame
        held = tuple(trade for trade in frame.trades if identity(trade) in late)
        # the count settles the order of prints that are due at one time: structs don't compare
        self.injected["late"] += len(held)
        heappush(self._held, (frame.at_us + round(by_s * 1e6), self.injected["late"], held))
        return TimedFrame(frame.at_us, tuple(trade for trade in frame.trades if identity(trade) not in late))

    def _choose_late(self, frame: TimedFrame) -> set[tuple[object, ...]]:
        if not self.plan.late_rate:
            return set()
        return {identity(trade) for trade in frame.trades if self._random.random() < self.plan.late_rate}


def identity(trade: WireTrade) -> tuple[object, ...]:
    """Return what makes two prints of a frame equal."""
    return (trade.s, trade.t, trade.p, trade.v, tuple(sorted(trade.c or ())))
