"""A.1 to A.3 on random instances of one family: runs against bounds -> rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from autowarmup.lab.theory import rules
from autowarmup.lab.theory.bounds import lmo
from autowarmup.lab.theory.families import Family, log_uniform
from autowarmup.lab.theory.objective import Objective
from autowarmup.lab.theory.rows import Row, compare
from autowarmup.lab.theory.runs import History, Method, Rule, run
from autowarmup.lab.theory.selfcheck import self_check

Floats = NDArray[np.float64]


@dataclass
class Case:
    """Random instances of one family with a first point each.

    Attributes:
        name: of the family.
        objective: the instances.
        x0: first points.
        gap0: their gaps.
        R: radius of the sublevel set over zeta.
        rng: for whatever else is random.
    """

    name: str
    objective: Objective
    x0: Floats
    gap0: Floats
    R: Floats
    rng: Generator

    @classmethod
    def draw(cls, name: str, family: Family, rng: Generator, instances: int) -> Case:
        """Return random instances with gaps over three orders of magnitude."""
        objective = family(rng, instances)
        x0 = objective.start(rng, log_uniform(rng, 0.1, 100, instances))
        gap0 = objective.gap(x0)
        zeta = np.where(objective.zeta > 0, objective.zeta, np.nan)
        return cls(name, objective, x0, gap0, objective.radius(gap0) * (1 + 1e-12) / zeta, rng)

    @property
    def star(self) -> bool:
        """Whether the instances are star-convex up to some zeta > 0."""
        return bool(np.all(self.objective.zeta > 0))

    def run(
        self, rule: Rule, eps: Floats | float, steps: int, method: Method | None = None
    ) -> History:
        """Run from the first points until the gaps are at eps."""
        return run(self.objective, self.x0, rule, method=method, steps=steps, until=eps)

    def noise_of(self, gap: Floats) -> Floats:
        """Return the scale of margins of gaps: the gap, above the rounding of f."""
        return np.maximum(gap, 1e-5 * self.gap0)

    def row(self, statement: str, measured: Floats | float, bound: Floats | float, **more) -> Row:
        """Compare on this family."""
        return compare(statement, self.name, measured, bound, **more)

    def count_row(
        self, statement: str, history: History, eps: Floats, bound: Floats, steps: int
    ) -> Row:
        """Compare a count; where the run ended first with a bound above its length it is silent."""
        count = history.count(eps).astype(float)
        short = count < 0
        measured = np.where(short, float(steps + 1), count)
        return self.row(statement, measured, bound, silent=short & (bound > steps))


def constants(case: Case) -> Iterator[Row]:
    """Compare everything that the objective states with dense samples."""
    names = {
        "law": "zoo: ||Hessian|| <= K(gap)",
        "mu": "zoo: PL constant",
        "zeta": "zoo: star-convex constant",
        "radius": "zoo: radius of sublevel sets",
    }
    for finding in self_check(case.objective, case.rng, samples=6):
        statement = names.get(finding.constant, "zoo: infimum, gradient, Hessian")
        yield case.row(
            statement, finding.measured, finding.bound, scale=np.abs(finding.bound) + 1e-12
        )


def single_steps(case: Case) -> Iterator[Row]:
    """A.1: random points, directions and rates."""
    objective, law, geometry = case.objective, case.objective.law, case.objective.geometry
    for aligned in (True, False):
        x = objective.start(case.rng, log_uniform(case.rng, 0.1, 100, objective.instances))
        gap, gradient = objective.gap(x), objective.gradient(x)
        u = geometry.lmo(gradient)
        if not aligned:  # any direction of descent will do
            u = geometry.lmo(u + case.rng.standard_normal(u.shape))
        slope = geometry.inner(gradient, u)
        u = u * geometry.expand(np.where(slope < 0, -1.0, 1.0))
        slope, K = np.abs(slope), law.K(gap)
        lr = case.rng.uniform(0, 1, objective.instances) * 2 * slope / K
        after = objective.gap(x - geometry.expand(lr) * u)
        bound = lmo.descent(gap, lr, slope, K)
        yield case.row("A.1 descent lemma", after, bound, scale=case.noise_of(gap))
        yield from _around(case, x, gap, gradient, law)
    dual = geometry.dual(gradient)
    yield case.row("A.1a gradient bounded by the gap", dual**2, lmo.self_bound(law, gap))


def _around(case: Case, x: Floats, gap: Floats, gradient: Floats, law) -> Iterator[Row]:
    """A.1c and A.1d at a random point near x."""
    objective, geometry = case.objective, case.objective.geometry
    s = gap * log_uniform(case.rng, 0.01, 10, objective.instances)
    r = lmo.ball(law, gap, s)
    v = geometry.lmo(case.rng.standard_normal(x.shape))
    v = v * geometry.expand(
        r * case.rng.uniform(0.5, 1, len(r)) / np.maximum(geometry.norm(v), 1e-300)
    )
    y = x + v
    yield case.row("A.1c ball around a point", objective.gap(y), gap + s)
    turned = geometry.dual(objective.gradient(y) - gradient)
    yield case.row("A.1c gradient in the ball", turned, law.K(gap + s) * geometry.norm(v))
    if not np.any(law.K_rho) and np.all(law.K1 > 0) and geometry.name == "l2":
        far = v * geometry.expand(log_uniform(case.rng, 0.1, 10, len(r)))
        bound = lmo.cosh_bound(law, gap, geometry.norm(far), geometry.inner(gradient, far))
        after = objective.gap(x + far)
        yield case.row("A.1d all points, K_rho = 0", after, bound, scale=case.noise_of(after + gap))


def star_convex(case: Case, steps: int = 400) -> Iterator[Row]:
    """A.2 and A.3 with the rates of the theorem, one run each."""
    objective, law, R, gap0 = case.objective, case.objective.law, case.R, case.gap0
    eps = gap0 / 4
    rate = case.run(rules.gap_over_law(law, R), eps, steps)
    slope = case.run(rules.slope_over_law(law), eps, steps)
    for history, which in ((rate, "gap / (R K)"), (slope, "||g|| / K")):
        before, after = history.gap[:-1], history.gap[1:]
        bound = lmo.star_step(before, R, law.K(before))
        statement = f"A.2 step, eta = {which}"
        yield case.row(statement, after, bound, scale=case.noise_of(before))
        count = lmo.star_count(law, R, gap0, eps)
        yield case.count_row(f"A.2 count, eta = {which}", history, eps, count, steps)
    if np.all(objective.zeta == 1):
        yield case.row("A.2 step at most half the radius", rate.lr, R / 2)
        yield from _unknown_radius(case)
    exact = case.run(rules.exact(law), eps, steps)
    count = lmo.star_count(law, R, gap0, eps, exact=True)
    yield case.count_row("A.2 count, exact step", exact, eps, count, steps)
    before, after = law.primitive(exact.gap[:-1]), law.primitive(exact.gap[1:])
    bound = lmo.exact_step(law, exact.gap[:-1], exact.slope)
    yield case.row("A.1b exact step", after, bound, scale=before + law.primitive(gap0) * 1e-4)
    lr = lmo.fixed_rate(law, R, gap0, eps)
    history = case.run(rules.fixed(lr), eps, steps)
    count = lmo.fixed_count(law, R, gap0, eps)
    yield case.count_row("A.2 count, best certified fixed eta", history, eps, count, steps)
    yield from _shape(case, rate)


def _unknown_radius(case: Case) -> Iterator[Row]:
    """A.2 with D <- D + eta from the true first distance."""
    law, D0 = case.objective.law, np.maximum(case.objective.distance(case.x0), 1e-300)
    held = {"D": D0.copy()}
    seen: list[Floats] = []

    def rule(view) -> Floats:
        lr = view.gap / (held["D"] * law.K(view.gap))
        seen.append(held["D"].copy())
        held["D"] = held["D"] + lr
        return lr

    history = case.run(rule, case.gap0 / 10, 200)
    grown = np.array(seen)
    with np.errstate(divide="ignore"):
        bound = lmo.radius_growth(D0, case.gap0, history.gap[:-1])
    yield case.row("A.2 radius not known", grown, bound)
    yield case.row("A.2 radius not known, holds x*", history.distance[:-1], grown)


def _shape(case: Case, history: History) -> Iterator[Row]:
    """A.3: eta rises while gap > peak gap and falls after; never above the peak rate."""
    law = case.objective.law
    if not np.any(law.K_rho):
        falling = np.diff(history.lr, axis=0) if history.steps > 1 else np.zeros_like(history.lr)
        yield case.row("A.3 only decay for K_rho = 0", falling, 0.0, scale=history.lr[:1])
        return
    peak = 1 / (case.R * law.peak_inverse_rate)
    yield case.row("A.3 peak rate", history.lr, peak)
    rise, before, after = np.diff(history.lr, axis=0), history.gap[:-2], history.gap[1:-1]
    wrong = np.where(after >= law.peak_gap, -rise, np.where(before <= law.peak_gap, rise, 0.0))
    yield case.row("A.3 rises to the peak gap, then falls", wrong, 0.0, scale=peak)


def other_rates(case: Case, steps: int = 150) -> Iterator[Row]:
    """A.2 without star-convexity, under PL, and with Armijo's rule and inexact oracles."""
    objective, law, gap0 = case.objective, case.objective.law, case.gap0
    eps = gap0 / 4
    history = case.run(rules.slope_over_law(law), gap0 / 1e6, 40)
    total = np.sum(history.dual**2 / law.K(history.gap[:-1]), axis=0)
    yield case.row("A.2 non-convex, sum of ||g||^2 / K", total, 2 * gap0)
    least = np.min(history.dual, axis=0) ** 2
    yield case.row("A.2 non-convex, least ||g||^2", least, lmo.stationary(law, gap0, history.steps))
    if np.all(objective.mu > 0):
        history = case.run(rules.pl_rule(law, objective.mu), eps, steps)
        before, after = history.gap[:-1], history.gap[1:]
        bound = lmo.pl_step(before, objective.mu, law.K(before))
        yield case.row("A.2 PL step", after, bound, scale=case.noise_of(before))
        count = lmo.pl_count(law, objective.mu, gap0, eps)
        yield case.count_row("A.2 PL count", history, eps, count, steps)
    yield from _armijo(case)
    if objective.geometry.name == "spectral":
        method = Method(exact=False)
        history = case.run(rules.slope_over_law(law), eps, steps, method)
        before, K = history.gap[:-1], law.K(history.gap[:-1])
        bound = lmo.descent(before, history.lr, history.slope, K, history.length)
        statement = "A.1 descent, Newton-Schulz oracle"
        yield case.row(statement, history.gap[1:], bound, scale=case.noise_of(before))
        cosine = history.slope / (history.dual * history.length)
        yield case.row("A.1 alignment of Newton-Schulz > 0.5", cosine, 0.5, at_least=True)


def _armijo(case: Case) -> Iterator[Row]:
    law = case.objective.law
    most = 10 * case.objective.radius(case.gap0)
    history = case.run(rules.Armijo(most), case.gap0 / 10, 60)
    last = np.concatenate([np.broadcast_to(most, (1, len(most))), 2 * history.lr[:-1]])
    least = np.minimum(np.minimum(most, last), 0.5 * history.slope / law.K(history.gap[:-1]))
    yield case.row("A.1 Armijo never backtracks too far", history.lr, least, at_least=True)
    bound = history.gap[:-1] - history.lr * history.slope / 2
    scale = case.noise_of(history.gap[:-1])
    yield case.row("A.1 Armijo descent", history.gap[1:], bound, scale=scale)
