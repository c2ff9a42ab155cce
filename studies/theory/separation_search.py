"""The best fixed step for a class: a search over steps, worst over its functions.
No command of its own: `python -m studies.theory.separation` searches.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from autowarmup.lab.theory import rules
from autowarmup.lab.theory.geometry import Floats
from autowarmup.lab.theory.runs import GD, Rule, run
from studies.theory.separation_functions import Members, Which

Counts = NDArray[np.float64]
ROUNDING = 1 + 1e-9
"""A gap is reached up to this factor: a rounding error adds no step."""

_CELLS = 300_000  # steps x instances of one piece
_BLOCK = 8  # candidates that run side by side
_PATIENCE = 1.25  # see `Search`


@dataclass
class Search:
    """The fixed step with the fewest steps on its worst member, for every z and accuracy.

    Candidates are `tries` factors, evenly spaced in the logarithm from 0.5 to kappa (1 + z), for
    the step factor / (H0 + H1 gap0); then twice a third as many between the neighbours of the best.
    At each the slow quadratic takes a known number of steps; where that is not below the best so
    far no run is made. A member that needs more than 1.25 times that number (and 10) is given up,
    but the candidate is tried once more when the best is known, with as many steps as that takes.

    Args:
        groups: the members; the first of them is the slow quadratic.
        z: first gaps, shape (z,).
        eps: gaps to reach, falling, shape (levels, z).
        main: the level around whose best step the grid is refined.
        kappa: H0 / mu.
        tries: factors of the first grid.

    Attributes:
        count: steps on the worst member, shape (levels, z); inf where no candidate arrives.
        factor: the best factor, same shape.
        tried: candidates for every z.
        dropped: the least factor at which some member failed to arrive in time, shape (z,).
    """

    groups: Sequence[Members]
    z: Floats
    eps: Floats
    main: int
    kappa: float
    tries: int
    count: Counts = field(init=False)
    factor: Floats = field(init=False)
    tried: int = field(init=False)
    dropped: Floats = field(init=False)

    def __post_init__(self) -> None:
        self.count = np.full(self.eps.shape, np.inf)
        self.factor = np.zeros(self.eps.shape)
        self.dropped = np.full(len(self.z), np.inf)
        low, high = 0.5, self.kappa * (1 + self.z)
        shares = np.linspace(0, 1, self.tries)[:, None]
        first = low * (high / low) ** shares
        for _ in range(2):
            self._try(first)
        width, fine = np.log(high / low) / (self.tries - 1), self.tries // 3
        self.tried = self.tries + 2 * fine
        for _ in range(2):
            around = np.linspace(-1, 1, fine)[:, None] * width
            self._try(self.factor[self.main] * np.exp(around))
            width = 2 * width / (fine - 1)

    def _try(self, grid: Floats) -> None:
        """Improve the best by candidates of shape (tries, z), the longest steps first.

        The longest stable step is the best nearly always, so that few of the others need a run.
        """
        grid = np.sort(grid, axis=0)[::-1]
        for first in range(0, len(grid), _BLOCK):
            factor = grid[first : first + _BLOCK]
            count = self._worst(factor)
            at = np.argmin(count, axis=1)[:, None]
            least = np.take_along_axis(count, at, 1)[:, 0]
            chosen = np.take_along_axis(np.broadcast_to(factor, count.shape), at, 1)[:, 0]
            self.factor = np.where(least < self.count, chosen, self.factor)
            self.count = np.minimum(self.count, least)

    def _worst(self, factor: Floats) -> Counts:
        """Return the counts on the worst member, inf for what is dropped: (levels, tries, z)."""
        lr = factor / (1 + self.z)
        count = quadratic_count(lr, self.z, self.eps[:, None], self.kappa)
        known = np.where(np.isfinite(self.count[-1]), self.count[-1], 0.0)
        limit = np.maximum(_PATIENCE * count[-1] + 10, known)
        for group in self.groups[1:]:
            open_ = (count < self.count[:, None]).any(0)
            row, column = np.nonzero(open_)
            if not len(row):
                break
            steps = self._run(group, lr[row, column], column, limit[row, column])
            late = ~(steps[-1] <= limit[row, column])
            np.minimum.at(self.dropped, column[late], factor[row, column][late])
            steps[:, late] = np.inf
            count[:, row, column] = np.maximum(count[:, row, column], steps)
        return count

    def _run(self, group: Members, lr: Floats, column: NDArray[np.intp], limit: Counts) -> Counts:
        """Return the counts on the worst function of a group, shape (levels, candidates)."""
        size = len(group.names)
        rates, at = np.repeat(lr, size), np.repeat(column, size)
        steps = first_steps(
            group, np.tile(np.arange(size), len(lr)), self.z[at],
            lambda left: rules.fixed(rates[left]), self.eps[:, at], np.repeat(limit, size),
        )  # fmt: skip
        return steps.reshape(len(steps), len(lr), size).max(-1)


def quadratic_count(lr: Floats, gap0: Floats, eps: Floats, kappa: float) -> Counts:
    """Return how many fixed steps mu x^2 / 2 takes: each multiplies the gap by (1 - mu lr)^2."""
    with np.errstate(divide="ignore"):
        rate = -2 * np.log(np.abs(1 - lr / kappa))
        count = np.ceil(np.log(gap0 / eps) / rate * (1 - 1e-12))
    return np.where(rate > 0, np.maximum(count, 1.0), np.inf)


def first_steps(
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
