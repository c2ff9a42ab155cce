"""What needs a law but no runs: closure rules (B.5), and the worst sequences of the A.2 count."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.random import Generator

from autowarmup.lab.theory import profiles
from autowarmup.lab.theory.bounds import lmo
from autowarmup.lab.theory.families import log_uniform
from autowarmup.lab.theory.law import Law
from autowarmup.lab.theory.objectives import Radial
from autowarmup.lab.theory.rows import Row, compare


def closure(rng: Generator, instances: int, samples: int = 20) -> Iterator[Row]:
    """B.5: laws of sums, scalings and affine maps against curvatures of random compositions."""
    shape, words = (samples, instances), "random laws and gaps"
    laws = [_random_law(rng, instances) for _ in range(3)]
    gaps = [log_uniform(rng, 1e-3, 1e2, *shape) for _ in range(3)]
    excess = log_uniform(rng, 1e-3, 10, instances)
    together = sum((law.K(gap) for law, gap in zip(laws, gaps, strict=True)), np.zeros(shape))
    total = (laws[0] + laws[1] + laws[2]).shift(excess)
    # The gap of the sum lies below the sum of the gaps by the excess.
    inside = np.maximum(sum(gaps, np.zeros(shape)) - excess, 0.0)
    silent = sum(gaps, np.zeros(shape)) < excess
    yield compare("B.5 sum", words, together, total.K(inside), silent=silent)
    both = laws[0].beside(laws[1])
    larger = np.maximum(laws[0].K(gaps[0]), laws[1].K(gaps[1]))
    euclid = Law(both.K0, both.K1)
    flat = np.maximum(
        *(Law(law.K0, law.K1).K(gap) for law, gap in zip(laws[:2], gaps[:2], strict=True))
    )
    yield compare("B.5 separable sum, Euclidean", words, flat, euclid.K(gaps[0] + gaps[1]))
    yield compare("B.5 separable sum, K_rho > 0", words, larger, both.K(gaps[0] + gaps[1]))
    yield _affine(rng, instances)
    yield _gradient_form(rng, instances)


def _random_law(rng: Generator, instances: int, rho: float = 2.0) -> Law:
    K0, K1, K_rho = (log_uniform(rng, 0.01, 10, instances) for _ in range(3))
    return Law(K0, K1, K_rho, rho)


def _affine(rng: Generator, instances: int) -> Row:
    """B.5: w -> f(A w + b) for A that is not onto, f radial, so that the infimum is known."""
    c, h = (log_uniform(rng, 0.1, 10, instances) for _ in range(2))
    f = Radial(profiles.TAN2, c, h, 3)
    A = rng.standard_normal((instances, 3, 2))
    b = rng.standard_normal((instances, 3))
    b *= (0.4 / f.h / np.linalg.norm(b, axis=1))[:, None]
    nearest = b - np.einsum("bij,bj->bi", A, np.einsum("bij,bj->bi", np.linalg.pinv(A), b))
    excess = f.value(nearest)
    law = f.law.affine(np.linalg.norm(A, 2, axis=(1, 2)), excess)
    w = rng.standard_normal((instances, 2))
    w *= (
        rng.uniform(0, 0.9, instances) / f.h / np.linalg.norm(np.einsum("bij,bj->bi", A, w), axis=1)
    )[:, None]
    x = np.einsum("bij,bj->bi", A, w) + b
    columns = np.stack([f.hessian_action(x, A[:, :, j]) for j in range(2)], 2)
    hessian = np.swapaxes(A, 1, 2) @ columns
    measured = np.linalg.norm(hessian, 2, axis=(1, 2))
    gap = np.maximum(f.value(x) - excess, 0.0)
    return compare("B.5 affine map, not onto", "radial tan2 of A w + b", measured, law.K(gap))


def _gradient_form(rng: Generator, instances: int) -> Row:
    """B.5: (L0, L1) implies (H0, H1): L1^2 gap >= y - ln(1 + y) scaled gives the tangent."""
    L0, L1 = (log_uniform(rng, 0.1, 10, instances) for _ in range(2))
    y = log_uniform(rng, 1e-3, 1e3, instances)  # L1 ||gradient|| / L0
    gap = L0 / L1**2 * (y - np.log1p(y))  # the least gap with this gradient
    k = rng.uniform(1.1, 5)
    measured, law = L0 * (1 + y), Law.from_l0_l1(L0, L1, k)
    return compare("B.5 (L0, L1) implies (H0, H1)", "extremal gradient", measured, law.K(gap))


def worst_sequences(rng: Generator, instances: int, steps: int = 5000) -> Iterator[Row]:
    """A.2 on the sequences that make its step bound an equality: how tight the count is."""
    for rho in (1.3, 2.0, 3.0, 6.0):
        # Gaps below R^2 K / 2, as every star-convex function has them.
        law = _random_law(rng, instances, rho)
        gap0 = log_uniform(rng, 0.1, 10, instances)
        R = np.sqrt(
            2 * np.max([law.over_gap(gap0 * f) ** -1 for f in np.geomspace(0.01, 1, 40)], 0)
        )
        R = R * log_uniform(rng, 1, 3, instances)
        eps = gap0 / log_uniform(rng, 1.2, 50, instances)
        gap, count = gap0.copy(), np.zeros(instances)
        for _ in range(steps):
            count += gap > eps
            gap = np.where(gap > eps, lmo.star_step(gap, R, law.K(gap)), gap)
        silent = gap > eps
        bound = lmo.star_count(law, R, gap0, eps)
        yield compare(
            "A.2 count, worst sequence", f"equality, rho = {rho:g}", count, bound, silent=silent
        )
