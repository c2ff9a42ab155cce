"""Does the curvature rise or fall as the gap falls: a slope, its interval and one plain sentence.

The slope p = d ln K / d ln gap is free of units and of the form of the law. p > 0 is what a warm-up
by the gap rests on (K falls as the gap falls); p < 0 is what arXiv 2602.05813 shows for Muon (K
rises as the gap falls). It is the least-squares line through ln K against ln gap; noise in the
gap of single batches pulls it towards 0, so that its size is a lower bound.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autowarmup.measure.bootstrap import interval
from autowarmup.measure.window import smooth

Floats = NDArray[np.float64]

# What K does as the gap falls, that is, as training goes on.
RISES, FALLS, LEVEL, UNKNOWN = "rises", "falls", "level", "not determined"
# Fewer points, a gap that fell by less, or more non-positive values than this decide nothing.
FEWEST_POINTS = 8
LEAST_FALL = 1.15
MOST_LEFT_OUT = 0.1
# A slope within this bound changes K by less than 7 % while the gap halves.
LEVEL_SLOPE = 0.1
# A rank correlation from here on is an order that nobody would call undecided, whatever the shape
# of the curve: a smooth bend in the logarithms widens the interval of the slope like noise does.
# Values with nothing to do with the gap reach it by chance too often where points are few: measured
# on 4,000 series with memory 0.8 (0.95) from point to point, 3.8 (7.5) % at 8 points, 0.8 (3.6) %
# at 12, 0.1 (1.4) % at 20 and 0.0 (0.4) % at 40.
IN_ORDER, FEWEST_IN_ORDER = 0.95, 20


@dataclass(frozen=True)
class Slope:
    """The slope of ln K against ln gap."""

    p: float  # nan where fewer than two different gaps have a positive K
    interval: tuple[float, float]  # 95 %, from the block bootstrap
    points: int  # those with K > 0, which were used


def slopes(gaps: Floats, values: Floats, counts: Floats) -> Floats:
    """Return p for every weighting of the points with K > 0, shape (B,); nan where undetermined."""
    x, y, w = _logs(gaps, values, counts)
    total = w.sum(axis=1)
    some = np.maximum(total, 1.0)
    mean_x, mean_y = w @ x / some, w @ y / some
    x_rest = x - mean_x[:, None]
    spread = np.sum(w * x_rest**2, axis=1)
    known = spread > 1e-20 * some
    together = np.sum(w * x_rest * (y - mean_y[:, None]), axis=1)
    return np.where(known, together / np.where(known, spread, 1.0), np.nan)


def log_residuals(gaps: Floats, values: Floats) -> Floats:
    """Return what the line leaves of ln K, shape (points with K > 0,), in time order."""
    once = np.ones((1, len(gaps)))
    (x, y, _), p = _logs(gaps, values, once), slopes(gaps, values, once)[0]
    return y - np.mean(y) - (p if np.isfinite(p) else 0.0) * (x - np.mean(x)) if len(y) else y


def measure_slope(gaps: Floats, values: Floats, counts: Floats, factor: float) -> Slope:
    """Return the slope with its interval from the bootstrap samples `counts` of shape (B, n)."""
    p = float(slopes(gaps, values, np.ones((1, len(gaps))))[0])
    span = interval(p, slopes(gaps, values, counts), factor) if np.isfinite(p) else None
    return Slope(p, span or (-np.inf, np.inf), int(np.sum(values > 0)))


def judge(quantity: str, gaps: Floats, values: Floats, slope: Slope) -> tuple[str, str]:
    """Return what K does as the gap falls ("rises", "falls", "level", "not determined") and why.

    level: the whole interval of p lies within +-0.1. rises, falls: the interval excludes 0, or gap
    and curvature are nearly in perfect order (rank correlation of at least 0.95 in size, at least
    20 points). All of them need 8 points with K > 0, at most a tenth without, and a smoothed gap
    that fell by a factor of 1.15 over the window.
    """
    if why := _undecidable(quantity, gaps, values, slope):
        return UNKNOWN, f"How {quantity} moves with the gap is not determined: {why}."
    low, high = slope.interval
    numbers = (
        f"slope d ln {quantity} / d ln gap = {slope.p:.2f}, 95 % interval {low:.2f} to {high:.2f}, "
        f"{slope.points} points"
    )
    when = "As the gap falls during training"
    if max(-low, high) <= LEVEL_SLOPE:
        return LEVEL, f"{when}, {quantity} stays level ({numbers})."
    if low > 0:
        return FALLS, f"{when}, {quantity} falls: the two move together ({numbers})."
    if high < 0:
        return RISES, f"{when}, {quantity} rises: the two move against each other ({numbers})."
    order = rank_correlation(gaps, values)
    if abs(order) >= IN_ORDER and slope.points >= FEWEST_IN_ORDER:
        moves = FALLS if order > 0 else RISES
        return moves, (
            f"{when}, {quantity} {moves}, nearly in perfect order (rank correlation {order:.2f}), "
            f"though not by one power law ({numbers})."
        )
    return UNKNOWN, (
        f"Whether {quantity} falls or rises as the gap falls during training is not determined: "
        f"the interval holds 0 ({numbers})."
    )


def rank_correlation(gaps: Floats, values: Floats) -> float:
    """Return Spearman's rank correlation; nan where all gaps or all values are alike.

    Example:
        >>> gaps = np.array([4.0, 3.0, 2.0, 1.0])
        >>> rank_correlation(gaps, gaps**3), rank_correlation(gaps, 1 / gaps)
        (1.0, -1.0)
    """
    x, y = (ranks - ranks.mean() for ranks in (_ranks(gaps), _ranks(values)))
    spread = float(np.sqrt((x @ x) * (y @ y)))
    return round(float(x @ y) / spread, 12) if spread > 0 else np.nan


def _ranks(values: Floats) -> Floats:
    """Return the rank of each value; equal ones share the mean of theirs."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    return (last - (count - 1) / 2)[place]


def _undecidable(quantity: str, gaps: Floats, values: Floats, slope: Slope) -> str | None:
    if slope.points < FEWEST_POINTS:
        return f"{slope.points} points with {quantity} > 0, at least {FEWEST_POINTS} are needed"
    if (missing := len(values) - slope.points) > MOST_LEFT_OUT * len(values):
        return f"{missing} of {len(values)} values are not positive, noise outweighs the curvature"
    smoothed = smooth(gaps)
    first, last = float(smoothed[0]), float(smoothed[-1])
    moved = f"from {first:.4g} to {last:.4g} (smoothed)"
    if last > first:
        return f"the gap did not fall in the window but rose {moved}"
    if first < LEAST_FALL * last:
        return f"the gap only went {moved}, a factor of {LEAST_FALL:g} at least is needed"
    if not np.all(np.isfinite(slope.interval)):
        return "the bootstrap samples do not determine a slope"
    return None


def _logs(gaps: Floats, values: Floats, counts: Floats) -> tuple[Floats, Floats, Floats]:
    seen = values > 0
    return np.log(gaps[seen]), np.log(values[seen]), counts[:, seen]
