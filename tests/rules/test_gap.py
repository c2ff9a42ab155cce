"""Smoothing of the gap: medians, bias correction, events, and what one outlier can do."""

from __future__ import annotations

import math
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autowarmup.rules.gap import GapState, observe
from autowarmup.rules.status import Status

ordinary = st.floats(-10, 100)
smoothings = st.sampled_from([0.0, 0.5, 0.9, 0.99])


def run(losses: list[float], **settings: float) -> tuple[GapState, list[Status | None]]:
    state, events = GapState(), []
    for loss in losses:
        state, event = observe(state, loss, **settings)
        events.append(event)
    return state, events


def reference(losses: list[float], lower_bound: float, smoothing: float) -> float:
    """The definition, spelled out: pad, median of three, weights smoothing^age."""
    gaps = [max(loss - lower_bound, 0.0) for loss in losses if math.isfinite(loss)]
    padded = [gaps[0], gaps[0], *gaps]
    medians = [median(padded[i : i + 3]) for i in range(len(gaps))]
    weights = [smoothing**age for age in reversed(range(len(gaps)))]
    return sum(w * m for w, m in zip(weights, medians, strict=True)) / sum(weights)


@given(
    st.lists(ordinary | st.sampled_from([math.nan, math.inf, -math.inf]), min_size=1, max_size=40),
    st.floats(-20, 20),
    smoothings,
)
def test_observe_follows_the_definition(
    losses: list[float], lower_bound: float, smoothing: float
) -> None:
    state, _ = run(losses, lower_bound=lower_bound, smoothing=smoothing)
    if not any(map(math.isfinite, losses)):
        assert state == GapState()
    else:
        expected = reference(losses, lower_bound, smoothing)
        assert state.gap == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_a_constant_loss_has_its_own_gap_from_the_start() -> None:
    """Bias correction: the first average is not drawn towards 0."""
    state = GapState()
    for _ in range(50):
        state, event = observe(state, 5.0, lower_bound=1.0, smoothing=0.9)
        assert state.gap == pytest.approx(4.0, rel=1e-14)
        assert event is None


def test_of_two_losses_the_first_one_counts() -> None:
    assert run([4.0, 3.0], smoothing=0.0)[0].gap == 4.0
    assert run([4.0, 3.0, 3.5], smoothing=0.0)[0].gap == 3.5


def test_without_smoothing_only_the_median_remains() -> None:
    losses = [7.1, 6.3, 6.7, 6.2, 5.9]
    assert run(losses, smoothing=0.0)[0].gap == median(losses[-3:])


@given(st.lists(ordinary, min_size=3, max_size=30), st.data(), smoothings)
def test_an_outlier_counts_no_more_than_its_ordinary_neighbours(
    losses: list[float], data: st.DataObject, smoothing: float
) -> None:
    """Any finite value acts like the nearest value within the range of the losses around it.

    Only the first loss is exempt, since it has nothing before it to be compared with.
    """
    where = data.draw(st.integers(1, len(losses) - 1))
    losses += losses[-1:] * 3  # so that the changed value has left every median at the end
    outlier = data.draw(st.floats(allow_nan=False, allow_infinity=False))
    before = [losses[0], *losses[:where]][-2:]
    around = before + losses[where + 1 : where + 3]
    ordinary_value = min(max(outlier, min(around)), max(around))
    states = []
    for value in (outlier, ordinary_value):
        changed = [*losses[:where], value, *losses[where + 1 :]]
        states.append(run(changed, smoothing=smoothing)[0])
    assert states[0] == states[1]


@given(st.lists(st.floats(0, 10), min_size=2, max_size=20), st.floats(-1e308, 1e308))
def test_one_outlier_last_leaves_the_gap_within_the_range_seen(
    losses: list[float], outlier: float
) -> None:
    gap = run([*losses, outlier])[0].gap
    assert gap is not None
    assert min(losses) * (1 - 1e-12) <= gap <= max(losses) * (1 + 1e-12)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_not_finite_changes_nothing(bad: float) -> None:
    state, _ = run([4.0, 3.0, 3.0])
    assert observe(state, bad) == (state, Status.NON_FINITE)
    assert observe(GapState(), bad) == (GapState(), Status.NON_FINITE)


def test_a_gap_that_overflows_is_dropped_too() -> None:
    assert run([1e308], lower_bound=-1e308) == (GapState(), [Status.NON_FINITE])
    state, _ = run([1.7e308] * 5)
    assert state.gap == pytest.approx(1.7e308)


def test_spikes_are_named_above_twice_and_under_half() -> None:
    calm, _ = run([4.0] * 5)
    for loss, expected in ((8.1, Status.SPIKE), (7.9, None), (2.1, None), (1.9, Status.SPIKE)):
        assert observe(calm, loss)[1] is expected


def test_a_loss_below_the_bound_counts_as_a_gap_of_zero() -> None:
    state, events = run([4.0, 2.9, 2.8, 2.7], lower_bound=3.0, smoothing=0.0)
    assert events == [None, *[Status.BELOW_BOUND] * 3]
    assert state.gap == 0.0
