"""Plan faults: what they may change, and what they must not."""

from collections import Counter, defaultdict
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from tickhouse.finnhub import FaultPlan, TimedFrame, WireTrade
from tickhouse.finnhub.faults import DropFault, DuplicateFault, FaultInjector, LateFault, decode_fault, identity

ENDS_US = 60_000_000
trades = st.builds(
    WireTrade,
    st.sampled_from(["IBM", "AIG"]),
    st.sampled_from([Decimal("1.5"), Decimal(2)]),
    st.integers(0, 3),
    st.sampled_from([Decimal(1), Decimal(100)]),
    st.sampled_from([None, ("1",), ("8", "41"), ("41", "8")]),
)
tapes = st.lists(st.lists(trades, min_size=1, max_size=6), max_size=30).map(
    lambda frames: [TimedFrame(1_000_000 * n, tuple(frame)) for n, frame in enumerate(frames)]
)
plans = st.builds(
    FaultPlan,
    seed=st.integers(0, 99),
    duplicate_rate=st.sampled_from([0.0, 0.3, 1.0]),
    duplicate_times=st.integers(1, 3),
    late_rate=st.sampled_from([0.0, 0.3, 1.0]),
    late_by_s=st.sampled_from([0.5, 3.0, 900.0]),
)


@given(tape=tapes, plan=plans)
def test_faults_lose_no_print_and_keep_the_order_of_sending(tape: list[TimedFrame], plan: FaultPlan) -> None:
    """Every print is sent, once where no frame is repeated, and market time never steps back or past the end."""
    sent = list(FaultInjector(plan).shape(tape, ENDS_US))
    before = Counter(identity(trade) for frame in tape for trade in frame.trades)
    after = Counter(identity(trade) for frame in sent for trade in frame.trades)
    assert after == before if plan.duplicate_rate == 0 else set(after) == set(before)
    assert [frame.at_us for frame in sent] == sorted(min(frame.at_us, ENDS_US) for frame in sent)


@given(tape=tapes, plan=plans)
def test_equal_prints_of_a_frame_stay_together(tape: list[TimedFrame], plan: FaultPlan) -> None:
    """A late print must not be mistaken for a repeat of its equal, so both are held back."""
    sent = list(FaultInjector(plan).shape(tape, ENDS_US))
    groups = defaultdict[tuple[object, ...], set[int]](set)
    for frame in tape:
        for each, count in Counter(identity(trade) for trade in frame.trades).items():
            groups[each].add(count)
    for frame in sent:
        for each, count in Counter(identity(trade) for trade in frame.trades).items():
            assert count in groups[each]


@given(tape=tapes, plan=plans)
def test_one_seed_gives_one_run(tape: list[TimedFrame], plan: FaultPlan) -> None:
    """A fault that was seen once can be had again."""
    first, second = FaultInjector(plan), FaultInjector(plan)
    assert list(first.shape(tape, ENDS_US)) == list(second.shape(tape, ENDS_US))
    assert first.injected == second.injected


def test_drops_come_after_so_many_frames_and_mix_by_seed() -> None:
    """`mixed` has both kinds; without a plan nothing is dropped."""
    injector = FaultInjector(FaultPlan(seed=1, drop_every_frames=3, drop_how="mixed"))
    drops = [injector.drop_due() for _ in range(60)]
    assert [n for n, how in enumerate(drops, start=1) if how is not None] == list(range(3, 61, 3))
    assert set(drops) == {None, "clean", "abrupt"}
    assert not any(FaultInjector(FaultPlan()).drop_due() for _ in range(10))


def test_a_late_print_is_held_back_past_the_end_of_an_endless_source() -> None:
    """Without an end, its own time is its time."""
    injector = FaultInjector(FaultPlan())
    injector.ask(LateFault(by_s=2.0))
    frame = TimedFrame(5, (WireTrade("IBM", Decimal(1), 0, Decimal(1)),))
    assert list(injector.shape([frame], None)) == [TimedFrame(2_000_005, frame.trades)]


def test_faults_are_asked_for_by_name() -> None:
    """Each body of the control endpoint has its type, and its defaults."""
    assert decode_fault(b'{"fault":"drop"}') == DropFault("clean")
    assert decode_fault(b'{"fault":"duplicate","times":3}') == DuplicateFault(3)
    assert decode_fault(b'{"fault":"late","by_s":2}') == LateFault(2.0)
