"""The watched ramp: what the loss can do to it, whatever the constants are."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.rules.any_settings import WATCHES, begun

from autowarmup.rules import Run, Status, WarmupState, Watched, begin, step
from autowarmup.rules.decay import DECAYS, decay_factor
from autowarmup.rules.watched import fall

W = Watched()
TOTALS = st.integers(1, 120)
GOOD = st.one_of(st.floats(1e-3, 20), st.sampled_from([1.0, 2.0, 3.0]))
ANY = st.one_of(
    st.none(), GOOD, st.floats(-1e30, 1e30), st.sampled_from([math.nan, math.inf, -math.inf])
)


def losses_of(least: int, most: int) -> st.SearchStrategy[list[float | None]]:
    return st.lists(ANY, min_size=least, max_size=most).map(begun)


def run(losses: list[Any], total: int, watch: Watched = W, **told: Any) -> list[WarmupState]:
    """Return the state before each update, and the one after the last."""
    held = [begin(watch, Run(total, **told))]
    for loss in losses:
        held.append(step(held[-1], loss))
    return held


def size_of(total: int, watch: Watched = W) -> int:
    return max(1, math.floor(watch.share * total))


def ramp(step: float, window: int, watch: Watched = W) -> float:
    """Return the plain ramp at an update."""
    return min(1.0, (step + 1) / window) ** watch.power


def looks_of(window: int, watch: Watched = W) -> list[int]:
    """Return after how many updates the loss is looked at."""
    parts = [k * watch.looks // window for k in range(window + 1)]
    return [k for k in range(1, window + 1) if parts[k] > parts[k - 1]]


def falling(count: int, window: int, watch: Watched = W) -> list[float]:
    """Return losses of which each stretch between two looks is just low enough for a full ramp."""
    ratio = 1.0 - watch.least - 1e-6
    seen = [sum(look <= k for look in looks_of(window, watch)) for k in range(count)]
    return [8.0 * ratio**looks for looks in seen]


@given(TOTALS, losses_of(0, 130), WATCHES)
def test_the_level_never_leaves_its_bounds(
    total: int, losses: list[float | None], watch: Watched
) -> None:
    window = size_of(total, watch)
    least = (1 / watch.most) ** watch.looks * (1 / window) ** watch.power
    for state in run(losses, total, watch):
        assert least * (1 - 1e-9) <= state.share <= 1.0
        assert 0.0 < state.factor <= state.share
        assert len(state.memory.means) <= min(watch.looks, window)


@given(TOTALS, WATCHES)
def test_a_loss_that_falls_enough_gives_the_plain_ramp(total: int, watch: Watched) -> None:
    window = size_of(total, watch)
    for losses in (falling(total, window, watch), [None] * total, [math.nan] * total):
        for k, state in enumerate(run(losses, total, watch)[:-1]):
            assert state.share == pytest.approx(ramp(k, window, watch), rel=1e-9)
            assert not state.memory.holding


@given(st.floats(0.0, 0.99), st.integers(20, 400))
def test_a_stall_lowers_the_rate_by_what_is_missing(missing_share: float, total: int) -> None:
    window = size_of(total)
    looks = looks_of(window)
    got = W.least * missing_share  # relative fall between any two looks that are compared
    seen = [sum(look <= k for look in looks) for k in range(window)]
    losses = [3.0 * (1.0 - got) ** (n / W.apart) for n in seen]
    held = run(losses, total)
    for number, look in enumerate(looks):
        before, after = held[look - 1].share, held[look].share
        if number == 0:  # nothing to compare with
            assert after > before
            continue
        fallen = 1.0 - (1.0 - got) ** (min(number, W.apart) / W.apart)
        expected = max(1.0 / W.most, math.exp(-W.gain * (W.least - fallen)))
        lowest = min(before, W.floor)
        assert after == pytest.approx(max(before * expected, lowest), rel=1e-9)
        until = [*looks, window + 1][number + 1]  # held up to the next look, if there is one
        assert {state.share for state in held[look:until]} == {after}


@pytest.mark.parametrize("rise", [1e3, 1e30])
def test_no_look_lowers_the_rate_by_more_than_it_may(rise: float) -> None:
    window = size_of(500)
    held = run(
        [rise if k >= window // 2 else loss for k, loss in enumerate(falling(500, window))], 500
    )
    ratios = [after.share / before.share for before, after in pairwise(held)]
    assert min(ratios) == pytest.approx(1.0 / W.most)
    lowered = [k + 1 for k, ratio in enumerate(ratios) if ratio < 1.0]
    stalled = [look for look in looks_of(window) if held[look].memory.holding]
    assert lowered == [look for look in stalled if held[look - 1].share > W.floor]


def test_a_loss_that_never_falls_costs_no_more_than_the_floor() -> None:
    levels = [state.share for state in run([1.5] * 1000, 1000)]
    assert max(levels) == pytest.approx(0.2**W.power)  # the second look is the first that compares
    assert levels[-1] == pytest.approx(W.floor)
    assert min(levels[levels.index(max(levels)) :]) == pytest.approx(W.floor)
    high = run([1.5] * 1000, 1000, Watched(floor=0.9))
    assert high[-1].share == pytest.approx(0.2**W.power)  # where it was, below its floor


@given(st.lists(GOOD, min_size=1, max_size=80), st.integers(-30, 30))
def test_the_unit_of_the_loss_does_not_matter(losses: list[float], exponent: int) -> None:
    plain = run(losses, len(losses))  # powers of two lose no digit
    scaled = run([loss * 2.0**exponent for loss in losses], len(losses))
    assert [state.share for state in scaled] == [state.share for state in plain]
    assert [state.memory.holding for state in scaled] == [state.memory.holding for state in plain]


@pytest.mark.parametrize("scale", [1e-3, 0.7, 10.0, 1e6])
def test_the_unit_of_the_loss_matters_to_rounding_only(scale: float) -> None:
    losses = [2.0 + 3.0 * 0.9**k + 0.3 * math.sin(2.3 * k * k) for k in range(250)]
    plain = run(losses, 250)
    assert any(state.memory.holding for state in plain)
    scaled = run([loss * scale for loss in losses], 250)
    assert [s.share for s in scaled] == pytest.approx([s.share for s in plain], rel=1e-9)
    bounded = run([loss * scale - 5.0 for loss in losses], 250, lower_bound=-5.0)
    assert [s.share for s in bounded] == pytest.approx([s.share for s in plain], rel=1e-9)


@given(st.integers(40, 300), st.floats(0, 1, exclude_max=True), st.sampled_from([1e6, 1e30]))
def test_one_huge_loss_costs_one_look(total: int, place: float, huge: float) -> None:
    window = size_of(total)
    at = math.floor(place * window)
    losses = falling(total, window)
    losses[at] = huge
    looks = looks_of(window)
    number = next(n for n, look in enumerate(looks) if look > at)
    look = looks[number]
    until = [*looks, window + 1][number + 1]  # held up to the next look, if there is one
    for k, state in enumerate(run(losses, total)[: window + 1]):
        if k < look or number == 0:  # the first look compares with nothing
            share = ramp(k, window)
        else:
            u = (look / window) / W.most ** (1.0 / W.power) + max(0, k - until + 1) / window
            share = min(1.0, u) ** W.power
            held_back = (1.0 - W.most ** (-1.0 / W.power)) + (until - look) / window
            assert state.share ** (1.0 / W.power) >= min(1.0, (k + 1) / window) - held_back - 1e-9
        assert state.share == pytest.approx(share, rel=1e-9), (k, look, until)


@given(st.integers(40, 300), st.data())
def test_a_loss_that_is_not_finite_is_left_out(total: int, data: st.DataObject) -> None:
    window = size_of(total)
    at = data.draw(st.integers(0, window - 1))
    bad = data.draw(st.sampled_from([None, math.nan, math.inf, -math.inf]))
    plain = falling(total, window)
    moved = run([bad if k == at else loss for k, loss in enumerate(plain)], total)
    assert [s.share for s in moved] == pytest.approx([s.share for s in run(plain, total)])


@given(losses_of(60, 60), st.sampled_from(DECAYS), st.floats(0, 1))
def test_after_the_window_the_level_stays_and_the_decay_runs(
    losses: list[float | None], decay: str, final: float
) -> None:
    window = size_of(60)
    held = run(losses, 60, decay=decay, final_fraction=final)
    assert {state.share for state in held[window:]} == {held[window].share}
    for k in range(window):
        assert held[k].factor == held[k].share
        assert (held[k].phase, held[k].end) == ("warmup", None)
    for k in range(window, 60):
        share = decay_factor(decay, (k - window) / (60 - window), final)
        assert held[k].factor == held[k].share * share
        assert (held[k].phase, held[k].end) == ("decay", window)
        assert held[k].ended_by == "length"
    assert (held[60].phase, held[60].factor) == ("done", held[59].factor)


def test_a_rate_that_goes_back_says_so_and_one_that_waits_too() -> None:
    held = run([3.0] * 200, 400)
    for before, after in pairwise(held[:181]):
        lowered = after.share < before.share
        assert (after.status is Status.LOWERED) == (lowered and after.phase == "warmup")
        if after.memory.holding and after.phase == "warmup" and not lowered:
            assert after.status is Status.HELD
    assert {state.status for state in held[30:]} >= {Status.LOWERED, Status.HELD}


def test_the_fall_is_relative_and_reaches_back_as_far_as_there_is() -> None:
    means = (8.0, 4.0, 3.0, 2.0)
    assert [fall(means, apart) for apart in (1, 2, 3, 9)] == pytest.approx([1 / 3, 0.5, 0.75, 0.75])
    assert fall((2.0, 3.0), 1) == pytest.approx(-0.5)
    assert fall((0.0, 1.0), 1) == 0.0
    assert fall((), 1) == fall((1.0,), 1) == math.inf
