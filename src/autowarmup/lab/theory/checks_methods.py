"""A.4 to A.6 on random instances of one family: weight decay, momentum, noise -> rows."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from autowarmup.lab.theory import rules
from autowarmup.lab.theory.bounds import lmo, momentum
from autowarmup.lab.theory.checks_lmo import Case
from autowarmup.lab.theory.families import log_uniform
from autowarmup.lab.theory.objective import Objective
from autowarmup.lab.theory.rows import Row, compare
from autowarmup.lab.theory.runs import Method, run
from autowarmup.lab.theory.zoo import Moved, Quadratic, Radial

Floats = NDArray[np.float64]


def weight_decay(case: Case, steps: int = 200) -> Iterator[Row]:
    """A.4: the minimiser in the ball; beyond it where the constrained one is known."""
    objective, geometry = case.objective, case.objective.geometry
    reach = np.maximum(geometry.norm(case.x0), geometry.norm(objective.minimiser))
    decay = 1 / (reach * case.rng.uniform(1, 3, len(reach)))
    yield from _frank_wolfe(case, "A.4 minimiser inside,", objective, case.x0, decay, steps)
    if isinstance(objective, Quadratic):
        decay = 1 / (geometry.norm(objective.minimiser) * case.rng.uniform(0.2, 0.9, len(reach)))
        nearest = _clip_to_ball(objective, decay)
        # A corner of the ball, as far as a first point can be.
        x0 = geometry.lmo(case.x0 - objective.minimiser) / geometry.expand(decay)
        floor = objective.value(nearest)
        name = "A.4 minimiser beyond the ball,"
        yield from _frank_wolfe(case, name, objective, x0, decay, steps, floor)
    elif isinstance(objective, Radial) and objective.convex:
        moved = Moved(objective, case.x0 - objective.minimiser)
        decay = 1 / (geometry.norm(case.x0) * case.rng.uniform(0.3, 0.9, len(reach)))
        floor = moved.value(geometry.lmo(case.x0) / geometry.expand(decay))
        x0, name = np.zeros_like(case.x0), "A.4 minimiser beyond the ball,"
        yield from _frank_wolfe(case, name, moved, x0, decay, steps, floor)
    if not np.any(objective.minimiser):
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


def _frank_wolfe(
    case: Case,
    words: str,
    objective: Objective,
    x0: Floats,
    decay: Floats,
    steps: int,
    floor: Floats | None = None,
) -> Iterator[Row]:
    beyond = floor is not None
    level = floor if beyond else objective.f_star
    law = objective.law.shift(np.maximum(level - objective.f_star, 0.0))
    gap0 = np.maximum(objective.value(x0) - level, 0.0) if beyond else objective.gap(x0)
    eps, method = gap0 / 3, Method(weight_decay=decay)
    for rule, which in ((rules.frank_wolfe(law, decay), "eta of the gap"),
                        (rules.frank_wolfe_measured(law, decay), "measured gap")):  # fmt: skip
        history = run(objective, x0, rule, method=method, steps=steps, until=eps, floor=floor)
        before, after = history.gap[:-1], history.gap[1:]
        bound = lmo.frank_wolfe_step(before, decay, law.K(before))
        # f and its constrained minimum are subtracted, so their size sets the rounding.
        scale = np.maximum(before, 1e-5 * gap0) + beyond * 1e-5 * np.abs(level)
        yield case.row(f"{words} step, {which}", after, bound, scale=scale)
        count = lmo.frank_wolfe_count(law, decay, gap0, eps)
        yield case.count_row(f"{words} count, {which}", history, eps, count, steps)


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


def momenta(case: Case, steps: int = 120) -> Iterator[Row]:
    """A.5: three kinds of momentum, two factors; only for star-convex instances (zeta = 1)."""
    objective, law, gap0, D = case.objective, case.objective.law, case.gap0, case.R
    eps = gap0 / 1.5
    for kind, beta in itertools.product(("polyak", "lion", "nesterov"), (0.3, 0.9)):
        method = Method(momentum=kind, beta=beta, beta1=0.9 * beta)
        rule = rules.gap_over_law(law, D, momentum.momentum_share(beta))
        history = case.run(rule, eps, steps, method)
        before, after = history.gap[:-1], history.gap[1:]
        words = f"A.5 {kind},"
        bound = momentum.momentum_error(before, D)
        yield case.row(f"{words} error", history.error, bound, scale=bound + 1e-9 * history.dual)
        bound = momentum.momentum_step(before, beta, D, law.K(before))
        yield case.row(f"{words} step", after, bound, scale=case.noise_of(before))
        count = momentum.momentum_count(law, beta, D, gap0, eps)
        yield case.count_row(f"{words} count", history, eps, count, steps)
    method = Method(momentum="polyak", beta=0.9)
    history = case.run(rules.slope_over_law(law), gap0 / 100, 60, method)
    before, K = history.gap[:-1], law.K(history.gap[:-1])
    bound = before - np.maximum(history.slope, 0.0) ** 2 / (2 * K)
    statement = "A.5 any momentum, eta = <g, u> / K"
    yield case.row(statement, history.gap[1:], bound, scale=case.noise_of(before))
    if not np.any(law.K1) and not np.any(law.K_rho):
        history = run(objective, case.x0, rules.fixed(D / 20), method=method, steps=60)
        R = history.distance.max(0)
        bound = momentum.constant_step(gap0, D / 20, R, law.K(gap0), 0.9, history.steps)
        yield case.row("A.5 fixed rate, K constant", history.gap[-1], bound)


def noisy(case: Case) -> Iterator[Row]:
    """A.6: the expectation of one step over all signs of the noise of every coordinate: exact."""
    objective, law, geometry = case.objective, case.objective.law, case.objective.geometry
    n, instances = int(np.prod(objective.shape)), objective.instances
    x, gap, g = case.x0, case.gap0, objective.gradient(case.x0)
    dual = geometry.dual(g)
    size = geometry.expand(dual / n * log_uniform(case.rng, 0.1, 3, instances))
    sizes = size * case.rng.uniform(0.2, 1, g.shape)
    bias = size * 0.3 * case.rng.standard_normal(g.shape)
    s = gap * log_uniform(case.rng, 0.1, 3, instances)
    K = law.K(gap + s)
    lr = np.minimum(lmo.ball(law, gap, s), case.rng.uniform(0.1, 1, instances) * 2 * dual / K)
    kinds = [(bias, 2.0, "A.6 one step in expectation")]
    if geometry.name == "linf":
        kinds.append((np.zeros_like(g), 1.0, "A.6 one step of sign, unbiased"))
    signs = np.array(list(itertools.product((-1.0, 1.0), repeat=n)))
    for off, chi, statement in kinds:
        after, error = np.zeros(instances), np.zeros(instances)
        for sign in signs:
            d = g + off + sizes * sign.reshape(objective.shape)
            step = geometry.expand(lr) * geometry.lmo(d)
            after += objective.gap(x - step) / len(signs)
            error += geometry.dual(d - g) / len(signs)
        bound = momentum.noisy_step(gap, lr, dual, error, K, chi)
        yield case.row(statement, after, bound, scale=case.noise_of(gap))


def sign_noise(rng: Generator, instances: int) -> Iterator[Row]:
    """A.6: E<g, sign(g + xi)> for random two-point laws of mean 0, exactly."""
    g = rng.standard_normal((instances, 5))
    p = rng.uniform(0.02, 0.98, g.shape)
    low = np.abs(g) * log_uniform(rng, 0.1, 10, *g.shape)
    xi = np.stack([-low, low * p / (1 - p)])
    weight = np.stack([p, 1 - p])
    mean = np.sum(weight * g * np.sign(g + xi), axis=(0, 2))
    bound = momentum.sign_alignment(g, np.sum(weight * np.abs(xi), axis=0))
    scale = np.abs(g).sum(1)
    words = "A.6 E<g, sign(g + noise)>"
    yield compare(words, "two-point laws", mean, bound, at_least=True, scale=scale)


def noise_floor(case: Case, chains: int = 100, steps: int = 60) -> Iterator[Row]:
    """A.6 with a fixed rate on a quadratic: means over chains, four standard errors added."""
    first = case.objective
    if not isinstance(first, Quadratic):
        return
    few = min(first.instances, 10)
    repeat = np.repeat(np.arange(few), chains)
    objective = Quadratic(first.centre[repeat], first.geometry)
    x0, geometry, n = case.x0[repeat], first.geometry, int(np.prod(first.shape))
    distance0, lr = objective.distance(x0), objective.distance(x0) / 40
    R, K, sigma = distance0 + lr * steps, objective.law.K(0.0), 0.3 * distance0
    norms2 = {"l2": 1.0, "linf": np.sqrt(n), "spectral": np.sqrt(min(first.shape))}
    kappa2 = norms2[geometry.name]

    def noise(rng, gradient) -> Floats:
        return geometry.expand(sigma) * rng.choice([-1.0, 1.0], gradient.shape)

    for beta in (0.0, 0.8):
        method = Method(momentum="polyak", beta=beta, beta1=0.0, noise=noise)
        history = run(objective, x0, rules.fixed(lr), method=method, steps=steps, rng=case.rng)
        error, top = _upper_mean(history.error, chains), _upper_mean(history.gap, chains)
        pick = slice(None, None, chains)
        sigma2 = sigma[pick] * np.sqrt(n)
        bounds = [
            momentum.averaged_noise(beta, t, sigma2, kappa2, K[pick], lr[pick], np.zeros(few))
            for t in range(steps)
        ]
        yield case.row("A.6 error of the average", error, np.array(bounds))
        bound = momentum.noise_floor(
            objective.gap(x0)[pick], lr[pick], R[pick], K[pick], error.max(0), steps
        )
        yield case.row("A.6 floor of a fixed rate", top[-1], bound)


def _upper_mean(values: Floats, chains: int) -> Floats:
    """Return mean + 4 standard errors over the chains of each instance, (steps, instances)."""
    split = values.reshape(len(values), -1, chains)
    return split.mean(2) + 4 * split.std(2) / np.sqrt(chains)
