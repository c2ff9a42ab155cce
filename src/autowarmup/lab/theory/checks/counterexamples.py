"""Where printed statements fail: the five published counterexamples and some more.

Every function returns the printed statement, which must be violated, and the corrected one on the
same instance, its control.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from autowarmup.lab.problems.networks import BalancedNet
from autowarmup.lab.theory import profiles, rules
from autowarmup.lab.theory.bounds import gd, lmo, momentum
from autowarmup.lab.theory.cosh_objectives import CoshPair
from autowarmup.lab.theory.law import Floats, Law
from autowarmup.lab.theory.networks import Toy
from autowarmup.lab.theory.objectives import Radial
from autowarmup.lab.theory.random_networks import exact_hessians
from autowarmup.lab.theory.rows import Row, compare
from autowarmup.lab.theory.runs import GD, run


def pair(
    objective: str,
    words: str,
    wrong: tuple[ArrayLike, ArrayLike],
    words_right: str,
    right: tuple[ArrayLike, ArrayLike],
    *,
    at_least: bool = False,
) -> list[Row]:
    """Return the printed statement, expected to fail, and its control."""
    return [
        compare(words, objective, *wrong, at_least=at_least, expected_fail=True),
        compare(words_right, objective, *right, at_least=at_least),
    ]


def closure_of_sums() -> list[Row]:
    """Published 1: without the infimum of the sum, H0 of a sum can be negative (-18 here)."""
    one = np.ones((1, 2))
    both = CoshPair(one, one, np.ones(1), 10 * one)
    x = both.minimiser
    measured = np.abs(both.hessian_action(x, np.ones_like(x)))[:, 0]
    H0_f, H0_g = both.terms[0].K0, both.terms[1].K0
    # H1 = 1, and the infimum of the sum is left out of H0_f + H0_g + H1 (inf (f + g) - f* - g*).
    wrong = np.asarray(H0_f) + np.asarray(H0_g) - both.added.sum(1)
    return pair(
        "two shifted cosh + 10", "printed: H0 of a sum", (measured, wrong),
        "printed: H0 of a sum, corrected", (measured, both.law.K(0.0)),
    )  # fmt: skip


def deep_linear_rank() -> list[Row]:
    """Published 2: ||W2 W1 X - Y||^2 has no (H0, H1) where X has not full row rank.

    X = diag(1, 0), Y = 0, W1 = W2 = diag(0, t): gap 0, Hessian norm 2 t^2, here t = 10. Where X has
    full row rank and the weights are balanced, the Hessian norm is at most
    4 ||X||^2 (||Y|| + sqrt f) / sigma_min(X) + 2 ||X|| sqrt f.
    """
    rng, t = np.random.default_rng(0), 10.0
    flat, full = np.diag([1.0, 0.0]), np.diag([1.0, 0.5])
    W1, W2 = np.empty((2, 50, 2, 2))
    for at in range(50):
        u, s, vh = np.linalg.svd(3 * rng.standard_normal((2, 2)))
        W1[at], W2[at] = np.sqrt(s)[:, None] * vh, u * np.sqrt(s)
    f, measured = _sum_of_squares(W1, W2, full)
    W = np.diag([0.0, t])[None]
    _, norm = _sum_of_squares(W, W, flat)
    # sigma_min over the range of X, which is what leaves rank-deficient data in.
    wrong = _deep_linear_bound(flat, np.zeros(1), sigma_min=1.0)
    words, right = "printed: deep linear net, any data", _deep_linear_bound(full, f, sigma_min=0.5)
    return pair(
        "2 x 2 net", words, (norm, wrong), f"{words}, X of full row rank", (measured, right)
    )


def _sum_of_squares(W1: Floats, W2: Floats, X: Floats) -> tuple[Floats, Floats]:
    """Return ||W2 W1 X||_F^2 and the norm of its Hessian in (W1, W2), for every instance."""
    net = BalancedNet((2, 2, 2), slope=1.0, scale=1.0, seed=0)
    x = np.broadcast_to(X.T, W1.shape).copy()
    return exact_hessians(net, lambda out, _: out.square().sum(), [W1, W2], x, x)


def _deep_linear_bound(X: Floats, f: Floats, *, sigma_min: float) -> Floats:
    """Return the bound of that norm for balanced weights: ||W_i||^2 <= ||W2 W1 X|| / sigma_min(X).

    That last step is where X needs full row rank.
    """
    size, root = np.linalg.norm(X, 2), np.sqrt(f)
    return 4 * size**2 * root / sigma_min + 2 * size * root


def two_layer_cross_entropy() -> list[Row]:
    """Published 3: H0 of two layers with cross-entropy and L2 without its term in f*.

    ||Hessian|| <= C0 + C1 f, so H1 = C1 and H0 = C0 + C1 f*. Data that the net cannot fit make f* >
    0, and a feature that needs large weights makes the curvature at the minimum exceed C0.
    """
    rng = np.random.default_rng(0)
    others = [Toy.best * rng.uniform(0, 2) + rng.standard_normal(3) for _ in range(50)]
    f, norm = Toy.hessians(np.array([Toy.best, *others]))
    words, right = "printed: two layers, CE + L2, H0 without f*", Toy.C0 + Toy.C1 * f
    return pair("toy net", words, (norm[0], Toy.C0), f"{words}, corrected", (norm, right))


def fixed_step_lower_bound() -> list[Row]:
    """Published 4: w^2 inside 1, 2 e^(|w|-1) - 1 beyond: one fixed step solves it from loss 1.1.

    H0 = 2, H1 = 1, mu = 2. Read as a bound for each function the printed statement asks for more.
    """
    f = Radial(profiles.CORE_TAIL, np.full(1, 2.0), np.ones(1), 1)
    x0 = np.array([[1 + math.log(1.05)]])
    gap0, eps = f.gap(x0), 1e-12
    lr = x0[0, 0] / f.gradient(x0)[0, 0]
    count = run(f, x0, rules.fixed(lr), method=GD, steps=5, until=eps).count(eps)
    # ln(gap0/eps) / (2 mu eta_1): -ln(1 - x) was replaced by x, which is smaller.
    wrong = np.log(gap0 / eps) / (2 * 2.0 * gd.largest_stable(2.0, gap0 / 2))
    right = gd.lower_bound_pl(2.0, gap0 / 2, 2.0, gap0, eps)
    words = "printed: fixed-step lower bound per function"
    return pair(
        "core and tail, loss 1.1", words, (count, wrong), f"{words}, minimax", (count, right),
        at_least=True,
    )  # fmt: skip


def pl_bound_negative() -> list[Row]:
    """Published 5: 40 (H1/mu) gap0 + 20 (H0/mu) ln(H0 / (2 H1 eps)) is negative for large eps."""
    one = np.ones(1)
    f = Radial(profiles.COSH, one, one, 1)
    gap0, eps = np.array([0.01]), 5.0
    x0 = np.array([[1.0]]) * f.radius(gap0)
    count = run(f, x0, rules.h0h1(f.law, 10, 20), method=GD, steps=5, until=eps).count(eps)
    wrong = 40 * f.law.K1 * gap0 + 20 * f.law.K0 * np.log(f.law.K0 / (2 * f.law.K1 * eps))  # mu = 1
    right = gd.pl_count(f.law, 1.0, gap0, eps)
    words = "printed: PL count for large eps"
    return pair("cosh, gap0 < eps", words, (count, wrong), f"{words}, corrected", (count, right))


def two_batch_curvature() -> list[Row]:
    """More: the change of the gradient between two different batches measures their noise."""
    rng, h, distance = np.random.default_rng(0), 3.0, 1e-4
    noise = rng.standard_normal((2, 200, 4))
    step = distance * np.ones(4) / 2
    two = np.linalg.norm(h * step + noise[0] - noise[1], axis=1) / distance
    same = np.linalg.norm((h * step + noise[0]) - noise[0], axis=1) / distance
    words = "printed: curvature from two batches"
    return pair(
        "quadratic, noisy batches", words, (two, 1.01 * h), f"{words}, same batch", (same, 1.01 * h)
    )


def end_point_ratio() -> list[Row]:
    """More (A.0): equal gradients at both ends of a step say nothing about the way between.

    f'(s) = -1 + 4 e^(-((s - 1/2) / w)^2) - 4 e^(-(1 / (2 w))^2), w = 0.18: the ratio over the step
    from 0 to 1 is 0, so descent by 1 is promised, but f rises by 0.274.
    """
    w, dip = 0.18, 4 * math.exp(-((0.5 / 0.18) ** 2))

    def rise(s: float) -> float:
        bump = math.erf((s - 0.5) / w) - math.erf(-0.5 / w)
        return -(1 + dip) * s + 4 * w * math.sqrt(math.pi) / 2 * bump

    K = 4 * math.sqrt(2) / w * math.exp(-0.5)  # sup |f''|
    lr = np.linspace(0.01, 1, 50) * 2 / K
    rises = np.array([rise(s) for s in lr])
    return pair(
        "bump", "A.0 ratio of the end points as K", (rise(1.0), lmo.descent(0.0, 1.0, 1.0, 0.0)),
        "A.0 pointwise K on the way", (rises, lmo.descent(0.0, lr, 1.0, K)),
    )  # fmt: skip


def peak_exponent() -> list[Row]:
    """More (A.3): the gap of the largest rate, whose exponent is 1 / rho, not rho."""
    law = Law(3.0, 0.5, 0.2, 2.0)
    gaps = np.geomspace(1e-2, 1e3, 200_001)
    found = gaps[np.argmin(law.over_gap(gaps))]
    wrong = (law.K0 / ((law.rho - 1) * law.K_rho)) ** law.rho  # a comment of the published code
    off = [abs(found / formula - 1) for formula in (wrong, law.peak_gap)]
    words = "A.3 peak gap with exponent"
    return pair("grid", f"{words} rho", (off[0], 1e-3), f"{words} 1 / rho", (off[1], 1e-3))


def sum_over_steps() -> list[Row]:
    """More (A.2): 1 / (rho - 1) in place of max(1, 1 / (rho - 1)) for rho = 4."""
    law, gap0, R = Law(0.0, 0.0, 1.0, 4.0), 0.5, 5.258
    eps, gap, count = gap0 / 1.2, gap0, 0
    while gap > eps:
        gap, count = float(lmo.star_step(np.asarray(gap), R, law.K(gap))), count + 1
    wrong, right = (lmo.star_count(law, R, gap0, eps, exact=exact) for exact in (True, False))
    words = "A.2 count, worst sequence"
    return pair(
        "equality, rho = 4", f"{words}, 1 / (rho - 1)", (count, wrong), words, (count, right)
    )


def noise_constant() -> list[Row]:
    """More (A.6): no constant below 1 in E<g, sign(g + xi)> >= ||g||_1 - E||xi||_1."""
    g, size = np.ones((1, 1)), np.full((1, 1), 1.01)  # xi = +-1.01 g, each with probability 1/2
    mean = np.mean([np.sum(g * np.sign(g + sign * size)) for sign in (-1, 1)])
    words, objective = "A.6 E<g, sign(g + noise)>", "xi = +-1.01 g"
    wrong, right = (momentum.sign_alignment(g, share * size) for share in (0.9, 1.0))
    return pair(
        objective, f"{words}, constant 0.9", (mean, wrong), words, (mean, right), at_least=True
    )


PUBLISHED = (
    closure_of_sums, deep_linear_rank, two_layer_cross_entropy, fixed_step_lower_bound,
    pl_bound_negative,
)  # fmt: skip
MORE = two_batch_curvature, end_point_ratio, peak_exponent, sum_over_steps, noise_constant
