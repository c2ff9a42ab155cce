"""What a search finds in place of a theorem: a fixed rate, a linear warm-up with linear decay.
No command of its own: `python -m studies.theory.picture` searches.

Every function is searched alone, for the fewest steps to one gap.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autowarmup.lab.theory import rules
from autowarmup.lab.theory.geometry import Floats
from autowarmup.lab.theory.objectives import Ridge
from autowarmup.lab.theory.runs import Rule, View, run

Whole = NDArray[np.int64]

RATES = np.geomspace(1e-3, 2, 100)
"""Rates of the grid, over R."""

WARMUPS = np.array([0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9])
"""Warm-up over horizon of the grid."""

PEAKS = np.geomspace(1e-3, 2, 60)
"""Peak rates of the grid, over R."""

_PATIENCE = 2000

LINEAR = (
    "horizons 1, 2, ... up to three times the count of the best fixed rate; "
    f"{len(PEAKS)} peak rates, R times {PEAKS[0]:g} to {PEAKS[-1]:g}, evenly spaced in "
    "the logarithm; a warm-up of "
    f"{', '.join(f'{100 * w:g}' for w in WARMUPS)} % of the horizon"
)


@dataclass
class Tuned:
    """The best that a search found, one entry per function.

    Attributes:
        count: steps to the gap asked for; -1 where no candidate got there.
        lr: the rate, or the peak rate.
        warmup: steps of warm-up; 0 for a fixed rate.
        horizon: steps until the rate is 0; the count for a fixed rate.
    """

    count: Whole
    lr: Floats
    warmup: Floats
    horizon: Whole


def linear(peak: Floats, warmup: Floats, horizon: Floats | Whole | int) -> Rule:
    """Return a rate that rises by peak / (warmup + 1) a step, then falls in a line to 0.

    Args:
        peak: rate at step `warmup`.
        warmup: steps before the peak, less than the horizon.
        horizon: the step at which the rate would be 0.
    """

    def rule(view: View) -> Floats:
        rising = (view.step + 1) / (warmup + 1)
        falling = (horizon - view.step) / (horizon - warmup)
        return peak * np.clip(np.minimum(rising, falling), 0.0, 1.0)

    return rule


def tune_fixed(objective: Ridge, x0: Floats, R: Floats, eps: Floats) -> Tuned:
    """Return the fixed rate with the fewest steps to the gap `eps`: a grid, then a finer one.

    Args:
        objective: functions, each searched alone.
        x0: first points.
        R: what rates are measured in, shape (functions,).
        eps: gaps to reach, same shape.

    Raises:
        ValueError: a gap that no rate of the grid reaches in some 2,000 steps.
    """
    n = objective.instances
    best = Tuned(np.full(n, -1), np.zeros(n), np.zeros(n), np.full(n, -1))
    lr, finer = R[:, None] * RATES, np.geomspace(RATES[0] / RATES[1], RATES[1] / RATES[0], 100)
    for _ in range(2):
        count = _counts(objective, x0, eps, lr)
        least, chosen = count.min(1), lr[np.arange(n), count.argmin(1)]
        better = (best.count < 0) | (least < best.count)
        best.count, best.lr = np.where(better, least, best.count), np.where(better, chosen, best.lr)
        lr = best.lr[:, None] * finer
    best.horizon = best.count
    return best


def _counts(objective: Ridge, x0: Floats, eps: Floats, lr: Floats) -> Whole:
    """Return the steps of each rate, shape (functions, rates); those above the best may be large.

    Only the best rate of every function matters, so that the runs end once it is known.
    """
    copies = np.repeat(np.arange(len(lr)), lr.shape[1])
    repeated, steps = many(objective, copies), 8
    while True:
        history = run(repeated, x0[copies], rules.fixed(lr.ravel()), steps=steps)
        count = history.count(eps[copies]).reshape(lr.shape)
        if (count >= 0).any(1).all() or steps > _PATIENCE:
            if not (count >= 0).any(1).all():
                raise ValueError(f"expected a gap that some fixed rate reaches, got {eps}")
            return np.where(count < 0, np.iinfo(np.int64).max, count)
        steps *= 2


def tune_linear(objective: Ridge, x0: Floats, R: Floats, eps: Floats, most: Whole) -> Tuned:
    """Return the linear warm-up and decay with the least horizon that reaches the gap `eps`.

    Of several with that horizon it is the one with the least gap.

    Args:
        objective: functions, each searched alone.
        x0: first points.
        R: what rates are measured in, shape (functions,).
        eps: gaps to reach, same shape.
        most: longest horizons to try, same shape.
    """
    n = objective.instances
    best = Tuned(np.full(n, -1), np.zeros(n), np.zeros(n), np.full(n, -1))
    peaks, shares = (grid.ravel() for grid in np.meshgrid(PEAKS, WARMUPS, indexing="ij"))
    for horizon in range(1, int(most.max()) + 1):
        left = np.flatnonzero((best.count < 0) & (most >= horizon))
        if not len(left):
            break
        copies = np.repeat(left, len(peaks))
        peak, warmup = np.tile(peaks, len(left)) * R[copies], np.floor(shares * horizon)
        rule = linear(peak, np.tile(warmup, len(left)), horizon)
        history = run(many(objective, copies), x0[copies], rule, steps=horizon)
        gap = history.gap.min(0).reshape(len(left), -1)
        at = gap.argmin(1)
        found = gap[np.arange(len(left)), at] <= eps[left]
        chosen = left[found]
        first = history.count(eps[copies]).reshape(gap.shape)[np.arange(len(left)), at]
        best.count[chosen], best.horizon[chosen] = first[found], horizon
        best.lr[chosen] = peak.reshape(gap.shape)[np.arange(len(left)), at][found]
        best.warmup[chosen] = warmup[at][found]
    return best


def many(objective: Ridge, copies: Whole) -> Ridge:
    """Return copies of the functions with these indices, side by side."""
    return Ridge(objective.profile, objective.c[copies], objective.a[copies], objective.geometry)
