"""Single steps on random instances of one family: constants, A.1 and B.1."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from autowarmup.lab.theory import rules
from autowarmup.lab.theory.bounds import gd, lmo
from autowarmup.lab.theory.checks.cases import Case
from autowarmup.lab.theory.constants import compare_with_samples
from autowarmup.lab.theory.families import log_uniform
from autowarmup.lab.theory.law import Floats, Law
from autowarmup.lab.theory.rows import Row
from autowarmup.lab.theory.runs import GD, Method

_CONSTANTS = {
    "law": "zoo: ||Hessian|| <= K(gap)",
    "mu": "zoo: PL constant",
    "zeta": "zoo: star-convex constant",
    "radius": "zoo: radius of sublevel sets",
}


def constants(case: Case) -> Iterator[Row]:
    """Compare everything that the objective states with dense samples."""
    found = compare_with_samples(case.objective, case.rng, samples=6)
    for constant, (measured, bound) in found.items():
        statement = _CONSTANTS.get(constant, "zoo: infimum, gradient, Hessian")
        yield case.row(statement, measured, bound, scale=np.abs(bound) + 1e-12)


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
        after, bound = objective.gap(x - geometry.expand(lr) * u), lmo.descent(gap, lr, slope, K)
        yield case.row("A.1 descent lemma", after, bound, scale=case.noise_of(gap))
        yield from _around(case, x, gap, gradient, law)
    dual = geometry.dual(gradient)
    yield case.row("A.1a gradient bounded by the gap", dual**2, lmo.self_bound(law, gap))


def _around(case: Case, x: Floats, gap: Floats, gradient: Floats, law: Law) -> Iterator[Row]:
    """A.1c and A.1d at a random point near x."""
    objective, geometry = case.objective, case.objective.geometry
    s = gap * log_uniform(case.rng, 0.01, 10, objective.instances)
    r = lmo.ball(law, gap, s)
    v = geometry.lmo(case.rng.standard_normal(x.shape))
    length = r * case.rng.uniform(0.5, 1, len(r)) / np.maximum(geometry.norm(v), 1e-300)
    v = v * geometry.expand(length)
    yield case.row("A.1c ball around a point", objective.gap(x + v), gap + s)
    turned = geometry.dual(objective.gradient(x + v) - gradient)
    yield case.row("A.1c gradient in the ball", turned, law.K(gap + s) * geometry.norm(v))
    if case.h0h1 and np.all(law.K1 > 0):
        far = v * geometry.expand(log_uniform(case.rng, 0.1, 10, len(r)))
        bound = lmo.cosh_bound(law, gap, geometry.norm(far), geometry.inner(gradient, far))
        after = objective.gap(x + far)
        yield case.row("A.1d all points, K_rho = 0", after, bound, scale=case.noise_of(after + gap))


def searched_and_inexact(case: Case) -> Iterator[Row]:
    """A.1 with Armijo's rule, with Newton-Schulz in place of the polar factor, with momentum."""
    law, most = case.objective.law, 10 * case.objective.radius(case.gap0)
    history = case.run(rules.armijo(most), case.gap0 / 10, 60)
    last = np.concatenate([np.broadcast_to(most, (1, len(most))), 2 * history.lr[:-1]])
    least = np.minimum(np.minimum(most, last), 0.5 * history.slope / law.K(history.gap[:-1]))
    yield case.row("A.1 Armijo never backtracks too far", history.lr, least, at_least=True)
    bound = history.gap[:-1] - history.lr * history.slope / 2
    yield case.falls("A.1 Armijo descent", history, bound)
    best = rules.slope_over_law(law)
    if case.objective.geometry.name == "spectral":
        history = case.run(best, case.gap0 / 4, 150, Method(exact=False))
        before = history.gap[:-1]
        bound = lmo.descent(before, history.lr, history.slope, law.K(before), history.length)
        yield case.falls("A.1 descent, Newton-Schulz oracle", history, bound)
        cosine = history.slope / (history.dual * history.length)
        yield case.row("A.1 alignment of Newton-Schulz > 0.5", cosine, 0.5, at_least=True)
    if case.star_convex:
        history = case.run(best, case.gap0 / 100, 60, Method(momentum="polyak"))
        before = history.gap[:-1]
        bound = before - np.maximum(history.slope, 0.0) ** 2 / (2 * law.K(before))
        yield case.falls("A.5 any momentum, eta = <g, u> / K", history, bound)


def gradient_descent(case: Case) -> Iterator[Row]:
    """B.1 with any rate up to 2 / K(gap), and the bound of the gradient."""
    law = case.objective.law

    def random_rate(view) -> Floats:
        return case.rng.uniform(0, 2, case.objective.instances) / law.K(view.gap)

    history = case.run(random_rate, case.gap0 / 1e3, 30, GD)
    before = history.gap[:-1]
    bound = gd.descent(before, history.lr, law.K(before), history.dual)
    yield case.falls("B.1 descent", history, bound)
    sharp = 2 * law.K0 * before + law.K1 * before**2
    scale = sharp + law.K0 * case.noise_of(case.gap0) * 1e-6
    yield case.row("B.1 gradient bounded by the gap", history.dual**2, sharp, scale=scale)
