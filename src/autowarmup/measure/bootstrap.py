"""Intervals that respect time order: a block bootstrap of the points along a run.

K at neighbouring steps is alike, so that points may not be drawn one by one. Blocks of consecutive
points are drawn instead, gap and K together (no model of the noise is assumed: it may grow with K
and have heavy tails). The blocks may start anywhere and wrap from the last point to the first
(Politis and Romano 1992), because moving blocks without wrapping draw the first points, which have
the largest gaps, far too seldom.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# The percentiles of a 95 % interval, and the normal quantile that belongs to them.
TAILS = (2.5, 97.5)
_Z = 1.959964
# Student's t at 97.5 % for 1 to 10 degrees of freedom; beyond that the expansion in 1 / d is exact
# to three digits.
_T = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)


def block_length(residuals: Floats) -> int:
    """Return the number of consecutive points that are drawn together, for residuals in time order.

    At least ceil(n^(1/3)), and for residuals that are alike from point to point
    1.5 x 1.1447 (4 a^2 n / (1 - a^2)^2)^(1/3) with a their lag-one autocorrelation, corrected for
    its bias in short series: the length that is best for the variance of a mean (Andrews 1991,
    triangular kernel, first-order autoregression), and half as much again because intervals need
    longer blocks than variances. At most a quarter of the points.
    """
    n = len(residuals)
    least = math.ceil(round(n ** (1 / 3), 9))
    e = residuals - residuals.mean()
    power = float(e @ e)
    if power <= n * (1e-12 * float(np.abs(residuals).max(initial=0.0))) ** 2:
        return least
    a = float(e[1:] @ e[:-1]) / power
    a = min(max(a + (1 + 4 * a) / n, 0.0), 0.97)
    longer = 1.5 * 1.1447 * (4 * a**2 * n / (1 - a**2) ** 2) ** (1 / 3)
    return max(least, min(math.ceil(longer), n // 4))


def block_counts(points: int, length: int, samples: int, seed: int) -> Floats:
    """Return how often each bootstrap sample holds each point, shape (samples, points)."""
    rng = np.random.default_rng(seed)
    blocks = -(-points // length)
    starts = rng.integers(0, points, (samples, blocks, 1))
    drawn = (starts + np.arange(length)).reshape(samples, blocks * length)[:, :points] % points
    drawn += points * np.arange(samples)[:, None]
    counts = np.bincount(drawn.ravel(), minlength=samples * points)
    return counts.reshape(samples, points).astype(np.float64)


def t_quantile(freedom: float) -> float:
    """Return the 97.5 % point of Student's t for at least 1 degree of freedom."""
    d = max(1, math.floor(freedom))
    if d <= len(_T):
        return _T[d - 1]
    return _Z + (_Z**3 + _Z) / (4 * d) + (5 * _Z**5 + 16 * _Z**3 + 3 * _Z) / (96 * d**2)


def stretch(points: int, length: int) -> float:
    """Return t / 1.96 for (number of blocks - 2) degrees of freedom.

    Percentiles of a few blocks lie too close together; the t factor makes up for it.
    """
    return t_quantile(points / length - 2) / _Z


def interval(
    estimate: float,
    samples: Floats,
    factor: float,
    least: float = -math.inf,
    most: float = math.inf,
) -> tuple[float, float]:
    """Return the 95 % interval: the percentiles, stretched about the estimate and kept in range.

    Samples that do not determine the quantity are nan; where they are more than half, nothing is
    known and the whole range is returned.

    Example:
        >>> interval(500.0, np.arange(1001.0), factor=2.0, least=0.0)
        (0.0, 1450.0)
    """
    known = samples[np.isfinite(samples)]
    if 2 * len(known) <= len(samples):
        return least, most
    low, high = np.percentile(known, TAILS)
    low += (factor - 1) * (low - estimate)
    high += (factor - 1) * (high - estimate)
    return float(max(low, least)), float(min(high, most))
