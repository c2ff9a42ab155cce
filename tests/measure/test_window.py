"""Windows: the descent ends where it is stated to end, whatever single points do."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from autowarmup.measure.window import choose_window, smooth

N = 60
STEPS = np.arange(0, 5 * N, 5)
FALL = 2.0 + 6.0 * np.exp(-np.arange(N) / 8)
# 90 % of the fall of the exact series.
CLEAN = choose_window(STEPS, FALL, "descent")


def test_descent_ends_at_nine_tenths_of_the_fall() -> None:
    threshold = FALL[0] - 0.9 * (FALL[0] - FALL[-1])
    assert FALL[CLEAN.points - 1] <= threshold < FALL[CLEAN.points - 2]
    assert (CLEAN.name, CLEAN.first_step, CLEAN.last_step) == ("descent", 0, 5 * (CLEAN.points - 1))
    assert f"to step {CLEAN.last_step}" in CLEAN.rule
    assert "90 % of its whole fall, from 8 to" in CLEAN.rule


@pytest.mark.parametrize("where", [0, 1, 5, 10, 30, N - 2, N - 1])
@pytest.mark.parametrize("value", [1e-9, 50.0, 1e9])
def test_one_absurd_gap_hardly_moves_the_window(where: int, value: float) -> None:
    gaps = FALL.copy()
    gaps[where] = value
    assert abs(choose_window(STEPS, gaps, "descent").points - CLEAN.points) <= 2


@pytest.mark.parametrize("where", [4, 12, 25, 45])
def test_a_loss_spike_of_several_steps_hardly_moves_the_window(where: int) -> None:
    gaps = FALL.copy()
    gaps[where : where + 2] += 5.0
    assert abs(choose_window(STEPS, gaps, "descent").points - CLEAN.points) <= 2


def test_a_run_that_diverges_later_keeps_its_descent() -> None:
    gaps = FALL.copy()
    gaps[40:] = np.geomspace(3, 300, N - 40)
    window = choose_window(STEPS, gaps, "descent")
    assert abs(window.points - CLEAN.points) <= 2
    assert choose_window(STEPS, gaps, "all").points == N


def test_noise_hardly_moves_the_window() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        gaps = FALL * np.exp(0.05 * rng.standard_normal(N))
        assert abs(choose_window(STEPS, gaps, "descent").points - CLEAN.points) <= 5


def test_a_gap_that_rises_has_no_descent() -> None:
    window = choose_window(STEPS, FALL[::-1].copy(), "descent")
    assert window.points == N
    assert "never falls below its first value" in window.rule


def test_a_very_fast_descent_keeps_eight_points() -> None:
    gaps = np.full(N, 2.0)
    gaps[:3] = 8.0, 6.0, 3.0
    window = choose_window(STEPS, gaps, "descent")
    assert window.points == 8
    assert "fewer points would not do" in window.rule
    assert choose_window(STEPS[:5], FALL[:5], "descent").points == 5


def test_a_dip_that_is_not_the_end_of_the_fall_ends_the_window_only_if_it_lasts() -> None:
    gaps = np.linspace(8.0, 2.0, N)
    clean = choose_window(STEPS, gaps, "descent").points
    gaps[10:12] = 2.0
    assert choose_window(STEPS, gaps, "descent").points == clean


def test_unknown_names_are_sentences() -> None:
    with pytest.raises(ValueError, match="expected a window out of descent, all, got 'early'"):
        choose_window(STEPS, FALL, "early")


series = arrays(np.float64, st.integers(1, 60), elements=st.floats(0.01, 100))


@given(series)
def test_a_monotone_series_keeps_all_but_its_ends(gaps: np.ndarray) -> None:
    for monotone in (np.sort(gaps), np.sort(gaps)[::-1].copy()):
        smoothed = smooth(monotone)
        assert np.array_equal(smoothed[1:-1], monotone[1:-1])
        # The ends may be pulled towards their neighbours, never beyond.
        assert monotone.min() <= smoothed.min() <= smoothed.max() <= monotone.max()


@given(series, st.sampled_from([0.25, 2.0, 1024.0]))
def test_the_unit_of_the_loss_does_not_matter(gaps: np.ndarray, unit: float) -> None:
    steps = np.arange(len(gaps))
    here, there = (choose_window(steps, g, "descent") for g in (gaps, unit * gaps))
    assert here.points == there.points
    assert 1 <= here.points <= len(gaps)
