"""Noise in the gradients (A.6): one step and sign updates exactly, a fixed rate in the mean."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
from numpy.random import Generator

from autowarmup.lab.theory import rules
from autowarmup.lab.theory.bounds import lmo, momentum
from autowarmup.lab.theory.checks.cases import Case
from autowarmup.lab.theory.families import log_uniform
from autowarmup.lab.theory.law import Floats
from autowarmup.lab.theory.objectives import Quadratic
from autowarmup.lab.theory.rows import Row, compare
from autowarmup.lab.theory.runs import Method, run


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
    xi, weight = np.stack([-low, low * p / (1 - p)]), np.stack([p, 1 - p])
    mean = np.sum(weight * g * np.sign(g + xi), axis=(0, 2))
    bound = momentum.sign_alignment(g, np.sum(weight * np.abs(xi), axis=0))
    words, scale = "A.6 E<g, sign(g + noise)>", np.abs(g).sum(1)
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

    def noise(rng: Generator, gradient: Floats) -> Floats:
        return geometry.expand(sigma) * rng.choice([-1.0, 1.0], gradient.shape)

    gap0, lr1, R1, K1, sigma1 = (v[::chains] for v in (objective.gap(x0), lr, R, K, sigma))
    for beta in (0.0, 0.8):
        method = Method(momentum="polyak", beta=beta, beta1=0.0, noise=noise)
        history = run(objective, x0, rules.fixed(lr), method=method, steps=steps, rng=case.rng)
        error, top = _upper_mean(history.error, chains), _upper_mean(history.gap, chains)
        size = sigma1 * np.sqrt(n), norms2[geometry.name]
        bounds = [
            momentum.averaged_noise(beta, t, *size, K1, lr1, np.zeros(few)) for t in range(steps)
        ]
        yield case.row("A.6 error of the average", error, np.array(bounds))
        bound = momentum.noise_floor(gap0, lr1, R1, K1, error.max(0), steps)
        yield case.row("A.6 floor of a fixed rate", top[-1], bound)


def _upper_mean(values: Floats, chains: int) -> Floats:
    """Return mean + 4 standard errors over the chains of each instance, (steps, instances)."""
    split = values.reshape(len(values), -1, chains)
    return split.mean(2) + 4 * split.std(2) / np.sqrt(chains)
