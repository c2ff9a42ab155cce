"""Runs with the rates of the theorems on random instances of one family: A.2 to A.5, B.2, B.3."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from autowarmup.lab.theory import rules
from autowarmup.lab.theory.bounds import gd, lmo, momentum
from autowarmup.lab.theory.checks.cases import Case, Rate
from autowarmup.lab.theory.law import Floats
from autowarmup.lab.theory.objectives import Quadratic, Radial
from autowarmup.lab.theory.rows import Row
from autowarmup.lab.theory.runs import GD, History, Method, run


def star_convex(case: Case, steps: int = 400) -> Iterator[Row]:
    """A.2 and A.3 with the rates of the theorem, one run each."""
    law, R, gap0 = case.objective.law, case.R, case.gap0
    eps = gap0 / 4
    count = lmo.star_count(law, R, gap0, eps)

    def step(gap: Floats) -> Floats:
        return lmo.star_step(gap, R, law.K(gap))

    of_the_gap = Rate("A.2 {}, eta = gap / (R K)", rules.gap_over_law(law, R), step, count)
    found = yield from case.follow(of_the_gap, eps, steps)
    of_the_slope = Rate("A.2 {}, eta = ||g|| / K", rules.slope_over_law(law), step, count)
    yield from case.follow(of_the_slope, eps, steps)
    count = lmo.star_count(law, R, gap0, eps, exact=True)
    solved = Rate("A.2 {}, exact step", rules.exact(law), count=count)
    exact = yield from case.follow(solved, eps, steps)
    before, after = law.primitive(exact.gap[:-1]), law.primitive(exact.gap[1:])
    bound = lmo.exact_step(law, exact.gap[:-1], exact.slope)
    yield case.row("A.1b exact step", after, bound, scale=before + law.primitive(gap0) * 1e-4)
    rule, count = rules.fixed(lmo.fixed_rate(law, R, gap0, eps)), lmo.fixed_count(law, R, gap0, eps)
    certified = Rate("A.2 {}, best certified fixed eta", rule, count=count)
    yield from case.follow(certified, eps, steps)
    yield from _shape(case, found)
    if case.star_convex:
        yield case.row("A.2 step at most half the radius", found.lr, R / 2)
        yield from _unknown_radius(case)


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


def _unknown_radius(case: Case) -> Iterator[Row]:
    """A.2 with D <- D + eta from the true first distance."""
    law, D0 = case.objective.law, np.maximum(case.objective.distance(case.x0), 1e-300)
    D = [D0]

    def rule(view) -> Floats:
        lr = view.gap / (D[-1] * law.K(view.gap))
        D.append(D[-1] + lr)
        return lr

    history = case.run(rule, case.gap0 / 10, 200)
    grown = np.array(D[:-1])
    with np.errstate(divide="ignore"):
        bound = lmo.radius_growth(D0, case.gap0, history.gap[:-1])
    yield case.row("A.2 radius not known", grown, bound)
    yield case.row("A.2 radius not known, holds x*", history.distance[:-1], grown)


def not_convex(case: Case, steps: int = 150) -> Iterator[Row]:
    """A.2 without star-convexity, and under PL."""
    law, gap0, mu = case.objective.law, case.gap0, case.objective.mu
    history = case.run(rules.slope_over_law(law), gap0 / 1e6, 40)
    total = np.sum(history.dual**2 / law.K(history.gap[:-1]), axis=0)
    yield case.row("A.2 non-convex, sum of ||g||^2 / K", total, 2 * gap0)
    least = np.min(history.dual, axis=0) ** 2
    yield case.row("A.2 non-convex, least ||g||^2", least, lmo.stationary(law, gap0, history.steps))
    if case.pl:
        rate = Rate(
            "A.2 PL {}", rules.pl_rule(law, mu), lambda gap: lmo.pl_step(gap, mu, law.K(gap)),
            lmo.pl_count(law, mu, gap0, gap0 / 4),
        )  # fmt: skip
        yield from case.follow(rate, gap0 / 4, steps)


def momenta(case: Case, steps: int = 120) -> Iterator[Row]:
    """A.5: three kinds of momentum, two factors; only for star-convex instances (zeta = 1)."""
    law, gap0, D = case.objective.law, case.gap0, case.R
    eps = gap0 / 1.5
    for kind, beta in itertools.product(("polyak", "lion", "nesterov"), (0.3, 0.9)):
        rate = Rate(
            f"A.5 {kind}, {{}}", rules.gap_over_law(law, D, momentum.momentum_share(beta)),
            lambda gap, beta=beta: momentum.momentum_step(gap, beta, D, law.K(gap)),
            momentum.momentum_count(law, beta, D, gap0, eps),
            Method(momentum=kind, beta=beta, beta1=0.9 * beta),
        )  # fmt: skip
        history = yield from case.follow(rate, eps, steps)
        bound = momentum.momentum_error(history.gap[:-1], D)
        scale = bound + 1e-9 * history.dual
        yield case.row(f"A.5 {kind}, error", history.error, bound, scale=scale)
    if not np.any(law.K1) and not np.any(law.K_rho):
        method = Method(momentum="polyak", beta=0.9)
        history = run(case.objective, case.x0, rules.fixed(D / 20), method=method, steps=60)
        R = history.distance.max(0)
        bound = momentum.constant_step(gap0, D / 20, R, law.K(gap0), 0.9, history.steps)
        yield case.row("A.5 fixed rate, K constant", history.gap[-1], bound)


def weight_decay(case: Case, steps: int = 200) -> Iterator[Row]:
    """A.4: the minimiser in the ball; beyond it where the constrained one is known."""
    objective, geometry, x0, rng = case.objective, case.objective.geometry, case.x0, case.rng
    best, expand, beyond = objective.minimiser, geometry.expand, "A.4 minimiser beyond the ball"
    decay = 1 / (np.maximum(geometry.norm(x0), geometry.norm(best)) * rng.uniform(1, 3, len(x0)))
    yield from _frank_wolfe(case, "A.4 minimiser inside", decay, steps)
    if isinstance(objective, Quadratic):
        decay = 1 / (geometry.norm(best) * rng.uniform(0.2, 0.9, len(x0)))
        floor = objective.value(_clip_to_ball(objective, decay))
        # A corner of the ball, as far as a first point can be.
        x0 = geometry.lmo(x0 - best) / expand(decay)
        yield from _frank_wolfe(replace(case, x0=x0, floor=floor), beyond, decay, steps)
    elif isinstance(objective, Radial) and objective.convex:
        moved = replace(objective, centre=x0)
        decay = 1 / (geometry.norm(x0) * rng.uniform(0.3, 0.9, len(x0)))
        floor, x0 = moved.value(geometry.lmo(x0) / expand(decay)), np.zeros_like(x0)
        moved_case = replace(case, objective=moved, x0=x0, floor=floor)
        yield from _frank_wolfe(moved_case, beyond, decay, steps)
    if not np.any(best):
        yield _from_outside(case)


def _clip_to_ball(objective: Quadratic, decay: Floats) -> Floats:
    """Return the point of the ball ||x|| <= 1 / decay next to the centre in the Euclidean norm."""
    geometry, centre = objective.geometry, objective.minimiser
    size = geometry.expand(1 / decay)
    if geometry.name == "linf":
        return np.clip(centre, -size, size)
    if geometry.name == "spectral":
        u, s, vh = np.linalg.svd(centre, full_matrices=False)
        return (u * np.minimum(s, 1 / decay[:, None])[:, None, :]) @ vh
    return geometry.lmo(centre) * size


def _frank_wolfe(case: Case, words: str, decay: Floats, steps: int) -> Iterator[Row]:
    """A.4 with the rate of the gap and with that of the measured gap of Frank-Wolfe."""
    objective, law = case.objective, case.objective.law
    if case.floor is not None:
        law = law.shift(np.maximum(case.floor - objective.f_star, 0.0))
        case = replace(case, gap0=np.maximum(objective.value(case.x0) - case.floor, 0.0))
    eps, method = case.gap0 / 3, Method(weight_decay=decay)
    for rule, which in ((rules.frank_wolfe(law, decay), "eta of the gap"),
                        (rules.frank_wolfe_measured(law, decay), "measured gap")):  # fmt: skip
        rate = Rate(
            f"{words}, {{}}, {which}", rule,
            lambda gap: lmo.frank_wolfe_step(gap, decay, law.K(gap)),
            lmo.frank_wolfe_count(law, decay, case.gap0, eps), method,
        )  # fmt: skip
        yield from case.follow(rate, eps, steps)


def _from_outside(case: Case) -> Row:
    """A.4: a point outside the ball comes in; x - minimiser is x here, so distance is the norm."""
    decay = 1 / (case.objective.geometry.norm(case.x0) * 0.3)
    # The law of a barrier allows no free step, but descent keeps every point in its domain.
    rule = rules.slope_over_law(case.objective.law)

    def capped(view) -> Floats:
        return np.minimum(rule(view), 0.5 / decay)

    history = run(case.objective, case.x0, capped, method=Method(weight_decay=decay), steps=30)
    bound = lmo.outside_ball(history.distance[0], decay, history.lr)
    measured = np.maximum(history.distance[1:] - 1 / decay, 0.0)
    return case.row("A.4 from outside the ball", measured, bound, scale=history.distance[0])


def gradient_descent(case: Case, steps: int = 200) -> Iterator[Row]:
    """B.2 and B.3."""
    gap0 = case.gap0
    # A few instances are asked for less than they have: their counts are 0.
    eps = gap0 / case.rng.choice([0.5, 1.0, 3.0, 30.0], len(gap0), p=[0.05, 0.05, 0.3, 0.6])
    if case.pl:
        yield from case.follow_all(_pl_rates(case, eps), eps, steps)
    if case.star:
        yield from case.follow_all(_aiming_rates(case, eps), eps, steps)
        yield from _aiming_distance(case, eps, steps)


def _pl_rates(case: Case, eps: Floats) -> Iterator[Rate]:
    law, mu, gap0 = case.objective.law, case.objective.mu, case.gap0
    for a, b in ((1.0, 1.0), (10.0, 20.0)):
        words = f"B.2 {{}}, eta = 1 / ({a:g} H0 + {b:g} H1 gap)"
        count = gd.pl_count(law, mu, gap0, eps, a, b)
        yield Rate(words, rules.h0h1(law, a, b), count=count, method=GD)
    count = gd.pl_count(law, mu, gap0, eps)
    yield Rate("B.2 {}, exact step", rules.exact(law), count=count, method=GD)
    rule, count = rules.fixed(1 / law.K(gap0)), gd.pl_fixed_count(law, mu, gap0, eps)
    yield Rate("B.2 {}, fixed 1 / l(gap0)", rule, count=count, method=GD)


def _aiming_rates(case: Case, eps: Floats) -> Iterator[Rate]:
    law, theta, distance = case.objective.law, case.objective.zeta, case.objective.distance(case.x0)
    count = gd.aiming_count(law, theta, distance, case.gap0, eps)
    words = "B.3 {}, eta = theta / (2 H0 + H1 gap)"
    yield Rate(words, rules.aiming(law, theta), count=count, method=GD)
    yield Rate("B.3 {}, Polyak step", rules.polyak(theta), count=count, method=GD)
    if case.star_convex:
        count = gd.aiming_count_unit(law, distance, case.gap0, eps)
        words = "B.3 {}, theta = 1, eta = 1 / l(gap)"
        yield Rate(words, rules.h0h1(law), count=count, method=GD)


def _aiming_distance(case: Case, eps: Floats, steps: int) -> Iterator[Row]:
    law, theta = case.objective.law, case.objective.zeta
    history = case.run(rules.aiming(law, theta), eps, steps, GD)
    if history.steps:  # none where every instance is asked for less than it has
        before = history.distance[:-1]
        bound = gd.aiming_distance(before, history.gap[:-1], law, theta)
        scale = np.maximum(before**2, 1e-6 * case.objective.distance(case.x0) ** 2)
        yield case.row("B.3 distance", history.distance[1:] ** 2, bound, scale=scale)
