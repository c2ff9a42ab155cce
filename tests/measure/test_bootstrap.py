"""Block bootstrap: blocks in time order, sensible lengths, and intervals that cover."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from autowarmup.measure.bootstrap import (
    block_counts,
    block_length,
    interval,
    stretch,
    t_quantile,
)
from autowarmup.measure.law_fit import fit_law
from autowarmup.measure.regression import TERMS
from autowarmup.measure.slope import log_residuals, measure_slope


def autoregression(rng: np.random.Generator, n: int, phi: float) -> np.ndarray:
    """Unit-variance first-order autoregression with heavy-tailed shocks (Student's t, 4)."""
    shocks = rng.standard_t(4, n + 50) / math.sqrt(2)
    x = np.zeros(n + 50)
    for t in range(1, n + 50):
        x[t] = phi * x[t - 1] + math.sqrt(1 - phi**2) * shocks[t]
    return x[50:]


def test_blocks_are_consecutive_points_drawn_equally_often() -> None:
    counts = block_counts(points=24, length=6, samples=4000, seed=1)
    assert np.all(counts.sum(axis=1) == 24)
    # Every point alike, the first ones too: about 1 on average.
    assert np.abs(counts.mean(axis=0) - 1).max() < 0.06
    # Neighbours come together: 5 of 6 points of a block bring the next one along.
    alike = np.corrcoef(counts[:, 10], counts[:, 11])[0, 1]
    apart = np.corrcoef(counts[:, 10], counts[:, 18])[0, 1]
    assert alike > 0.7
    assert apart < 0.1
    assert np.array_equal(counts, block_counts(24, 6, 4000, seed=1))
    assert not np.array_equal(counts, block_counts(24, 6, 4000, seed=2))


@pytest.mark.parametrize("n", [4, 8, 12, 27, 64, 500])
def test_length_of_blocks(n: int) -> None:
    rng = np.random.default_rng(n)
    least = math.ceil(round(n ** (1 / 3), 9))
    white = [block_length(rng.standard_normal(n)) for _ in range(40)]
    alike = [block_length(autoregression(rng, n, 0.8)) for _ in range(40)]
    assert min(white + alike) >= least
    assert max(white + alike) <= max(least, n // 4)
    assert np.median(alike) >= np.median(white)
    assert n < 64 or np.median(alike) > 1.5 * least
    assert block_length(np.zeros(n)) == block_length(np.full(n, 3.0)) == least


def test_stretch_and_quantiles() -> None:
    # Student's t at 97.5 %, from tables.
    for freedom, expected in ((1, 12.706), (2, 4.303), (5, 2.571), (12, 2.179), (60, 2.000)):
        assert t_quantile(freedom) == pytest.approx(expected, abs=2e-3)
    assert stretch(12, 3) == pytest.approx(4.303 / 1.96, rel=1e-3)
    assert stretch(4, 2) == stretch(4, 4) == pytest.approx(12.706 / 1.96, rel=1e-3)
    assert 1 < stretch(500, 8) < 1.03


def test_samples_that_determine_nothing() -> None:
    half = np.array([1.0, 2.0, np.nan, np.nan])
    assert interval(1.5, half, 1.0, least=0.0) == (0.0, math.inf)
    assert interval(1.5, np.empty(0), 1.0) == (-math.inf, math.inf)
    low, high = interval(1.5, half[:3], 1.0)
    assert 1 <= low < high <= 2


# Coverage of nominal 95 % intervals. gap = (2 + 6 exp(-4 t / n)) times 5 % noise, K = law(gap)
# times exp(0.4 x), x an autoregression with heavy tails (normal for phi = 0), mean one. Measured
# once with 300 to 500 runs each and 12, 40, 120, 500 points (standard error about 1 %):
#   memory phi           0                        0.5                      0.8
#   slope p = 1          .996 .930 .946 .947      .982 .936 .916 .933      .914 .938 .926 .910
#   non-negative K0      .982 .964 .958 .963      .964 .960 .956 .950      .910 .940 .968 .963
#   non-negative K1      .984 .978 .950 .940      .940 .984 .986 .920      .918 .928 .976 .977
#   non-negative K_rho   .988 .980 .946 .937      .968 .962 .974 .933      .880 .962 .974 .980
#   free K_rho           .994 .974 .940 .933      .966 .984 .982 .927      .954 .962 .972 .973
#   two terms, K1        .990 .928 .942 .930      .954 .924 .900 .907      .852 .944 .922 .917
# Plain percentiles without the stretch cover a slope at 12 points and phi = 0.8 in .65 only, and
# moving blocks that do not wrap give intervals up to half as wide again for the same coverage.
Law = Callable[[np.ndarray], np.ndarray]


def simulate(rng: np.random.Generator, n: int, phi: float, law: Law) -> tuple[np.ndarray, ...]:
    gaps = (2 + 6 * np.exp(-4 * np.arange(n) / n)) * np.exp(0.05 * rng.standard_normal(n))
    noise = np.exp(np.clip(0.4 * autoregression(rng, n, phi), -3, 3))
    return gaps, law(gaps) * noise / MEAN_NOISE


MEAN_NOISE = float(
    np.mean(np.exp(np.clip(0.4 * autoregression(np.random.default_rng(0), 100_000, 0.5), -3, 3)))
)


def resample(gaps: np.ndarray, values: np.ndarray, seed: int) -> tuple[np.ndarray, float]:
    length = block_length(log_residuals(gaps, values))
    return block_counts(len(gaps), length, 200, seed), stretch(len(gaps), length)


@pytest.mark.parametrize(("n", "runs"), [(12, 150), (60, 150)])
def test_intervals_of_coefficients_cover(n: int, runs: int) -> None:
    truth = {"K0": 20.0, "K1": 5.0, "K_rho": 3.0}
    rng = np.random.default_rng(n)
    hits = dict.fromkeys(("non_negative", "free"), 0)
    for run in range(runs):
        gaps, values = simulate(rng, n, 0.5, lambda g: 20 + 5 * g + 3 * g**2)
        counts, factor = resample(gaps, values, run)
        for constraint in hits:
            fit = fit_law(gaps, values, TERMS, 2.0, constraint, counts, factor)
            hits[constraint] += sum(
                low <= truth[name] <= high for name, (low, high) in fit.interval.items()
            )
    for found in hits.values():
        assert found / (3 * runs) >= 0.90


@pytest.mark.parametrize("p", [0.0, 1.0])
@pytest.mark.parametrize(("n", "runs"), [(12, 300), (60, 300)])
def test_intervals_of_the_slope_cover(n: int, runs: int, p: float) -> None:
    rng = np.random.default_rng(n)
    hits = 0
    for run in range(runs):
        gaps, values = simulate(rng, n, 0.5, lambda g: 10 * g**p)
        low, high = measure_slope(gaps, values, *resample(gaps, values, run)).interval
        hits += low <= p <= high
    assert hits / runs >= 0.90
