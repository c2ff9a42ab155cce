"""Random instances of one family, and a rate with what is stated of runs with it."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass

import numpy as np

from autowarmup.lab.theory.families import Family, log_uniform
from autowarmup.lab.theory.law import Floats
from autowarmup.lab.theory.objective import Objective
from autowarmup.lab.theory.rows import Row, compare
from autowarmup.lab.theory.runs import History, Method, Rule, run


@dataclass(frozen=True)
class Rate:
    """A rate, and what is stated of its steps and of their number."""

    words: str  # of its rows; {} stands for "step" or "count"
    rule: Rule  # the rate
    step: Callable[[Floats], Floats] | None = None  # gaps before steps -> bound of those after
    count: Floats | None = None  # bound of the steps until the gap is at eps
    method: Method | None = None  # how a step is made


@dataclass
class Case:
    """Random instances of one family with a first point each."""

    name: str  # of the family
    objective: Objective  # the instances
    x0: Floats  # first points
    gap0: Floats  # their gaps
    R: Floats  # radius of the sublevel set over zeta
    rng: np.random.Generator  # for whatever else is random
    floor: Floats | None = None  # what gaps are measured from; by default the infimum

    @classmethod
    def draw(cls, name: str, family: Family, rng: np.random.Generator, instances: int) -> Case:
        """Return random instances with gaps over three orders of magnitude."""
        objective = family(rng, instances)
        x0 = objective.start(rng, log_uniform(rng, 0.1, 100, instances))
        gap0 = objective.gap(x0)
        zeta = np.where(objective.zeta > 0, objective.zeta, np.nan)
        return cls(name, objective, x0, gap0, objective.radius(gap0) * (1 + 1e-12) / zeta, rng)

    def __post_init__(self) -> None:
        f = self.objective
        self.star = bool(np.all(f.zeta > 0))  # star-convex up to some zeta
        self.star_convex = bool(np.all(f.zeta == 1))
        self.pl = bool(np.all(f.mu > 0))
        # Whether (H0, H1) statements speak of the family.
        self.h0h1 = f.geometry.name == "l2" and not np.any(f.law.K_rho)

    def run(
        self, rule: Rule, eps: Floats | float, steps: int, method: Method | None = None
    ) -> History:
        """Run from the first points until the gaps are at eps."""
        return run(self.objective, self.x0, rule, method=method, steps=steps, until=eps,
                   floor=self.floor)  # fmt: skip

    def follow(self, rate: Rate, eps: Floats, steps: int) -> Generator[Row, None, History]:
        """Run with a rate until the gaps are at eps, yield what is stated, return the run."""
        history = self.run(rate.rule, eps, steps, rate.method)
        if rate.step is not None:
            yield self.falls(rate.words.format("step"), history, rate.step(history.gap[:-1]))
        if rate.count is not None:
            count = history.count(eps).astype(float)
            # Where the run ended first with a bound above its length it says nothing.
            measured = np.where(count < 0, float(steps + 1), count)
            silent = (count < 0) & (rate.count > steps)
            yield self.row(rate.words.format("count"), measured, rate.count, silent=silent)
        return history

    def follow_all(self, rates: Iterator[Rate], eps: Floats, steps: int) -> Iterator[Row]:
        """Yield what is stated of several rates."""
        for rate in rates:
            yield from self.follow(rate, eps, steps)

    def noise_of(self, gap: Floats) -> Floats:
        """Return the scale of margins of gaps: the gap, above the rounding of f."""
        scale = np.maximum(gap, 1e-5 * self.gap0)
        return scale if self.floor is None else scale + 1e-5 * np.abs(self.floor)

    def falls(self, statement: str, history: History, bound: Floats) -> Row:
        """Compare the gaps after all steps with bounds."""
        return self.row(statement, history.gap[1:], bound, scale=self.noise_of(history.gap[:-1]))

    def row(self, statement: str, measured: Floats | float, bound: Floats | float, **more) -> Row:
        """Compare on this family."""
        return compare(statement, self.name, measured, bound, **more)
