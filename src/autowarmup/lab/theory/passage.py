"""When runs of gradient descent first reach gaps, without holding their histories in memory."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from autowarmup.lab.theory.members import Members, Which
from autowarmup.lab.theory.runs import Method, Rule, run

Floats = NDArray[np.float64]
Counts = NDArray[np.float64]

GD = Method("gd")
ROUNDING = 1 + 1e-9
"""A gap is reached up to this factor: a rounding error adds no step."""

_CELLS = 300_000  # steps x instances of one piece


def passages(
    members: Members,
    which: Which,
    gap0: Floats,
    rule: Callable[[Which], Rule],
    eps: Floats,
    budget: Floats,
) -> Counts:
    """Return the first step at which each gap is reached; inf where it never was.

    Args:
        members: functions.
        which: index of the function of each instance.
        gap0: first gaps, shape (instances,).
        rule: gives the step rule of the instances with these indices.
        eps: gaps to reach, falling along the first axis, shape (levels, instances).
        budget: an instance that has made so many steps is given up, shape (instances,); counts up
            to it are complete.

    Returns:
        Counts, shape (levels, instances).
    """
    eps = eps * ROUNDING
    count = np.where(gap0 <= eps, 0.0, np.inf)
    left = np.flatnonzero((budget > 0) & ~np.isfinite(count[-1]))
    x, done = members.start(which[left], gap0[left]), 0
    while len(left):
        piece = float(np.clip(_CELLS // len(left), 64, 4096))
        steps = max(1, int(min(np.ceil(budget[left].max()) - done, piece)))
        history = run(members.make(which[left]), x, rule(left), method=GD, steps=steps,
                      until=eps[-1, left])  # fmt: skip
        for level, below in enumerate(eps[:, left]):
            first = history.count(below)
            new = (first >= 0) & ~np.isfinite(count[level, left])
            count[level, left[new]] = done + first[new]
        done += history.steps
        # What has diverged, arrived or spent its budget leaves.
        under_way = np.isfinite(history.gap[-1]) & ~np.isfinite(count[-1, left])
        under_way &= budget[left] > done
        left, x = left[under_way], history.x[under_way]
    return count
