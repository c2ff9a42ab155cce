"""Norm-constrained methods x <- x - eta u, ||u|| <= 1 (arXiv 2602.05813, corrected).

Assumed throughout, pointwise: near every x with gap(x) <= gap0 the gradient is Lipschitz with
K(gap(x)) from the norm to its dual (docs/theory/descent.md says why not for all pairs of points).
"""

from __future__ import annotations

import numpy as np

from autowarmup.lab.theory.law import Floats, Law, Numbers


def ceiled(value: Floats) -> Floats:
    """Return the least integer count >= value, at least 0; a rounding error adds no step."""
    return np.maximum(np.ceil(value * (1 - 1e-12)), 0.0)


def descent(gap: Numbers, lr: Numbers, slope: Numbers, K: Numbers, length: Numbers = 1.0) -> Floats:
    """A.1, descent lemma: gap(x - eta u) <= gap - eta a + eta^2 ||u||^2 K(gap) / 2.

    a = <gradient, u> > 0, 0 <= eta <= 2 a / (K ||u||^2).
    """
    return gap - lr * slope + (lr * length) ** 2 * K / 2 + np.zeros(())


def self_bound(law: Law, gap: Floats) -> Floats:
    """A.1a: ||gradient||_*^2 <= 2 primitive(gap) <= 2 gap K(gap); an equality for f'' = K(f)."""
    return 2 * law.primitive(gap)


def exact_step(law: Law, gap: Floats, slope: Floats) -> Floats:
    """A.1b: the step of `rules.exact` has primitive(gap_next) <= primitive(gap) - slope^2 / 2."""
    return np.maximum(law.primitive(gap) - slope**2 / 2, 0.0)


def ball(law: Law, gap: Floats, s: Floats) -> Floats:
    """A.1c: in this radius gap <= gap(x) + s and the gradient is K(gap + s)-Lipschitz from x."""
    return np.sqrt(2 / law.K(gap + s)) * (np.sqrt(gap + s) - np.sqrt(gap))


def cosh_bound(law: Law, gap: Floats, distance: Floats, slope: Floats) -> Floats:
    """A.1d, for K_rho = 0 and all y at this distance r, slope = <gradient, y - x>:

    gap(y) + H0/H1 <= (gap + H0/H1) cosh(h r) + slope sinh(h r) / (h r), h = sqrt(H1).
    """
    ratio, z = law.K0 / np.asarray(law.K1), np.sqrt(law.K1) * distance
    # cosh - 1 in place of cosh keeps the digits of a small gap.
    return gap * np.cosh(z) + ratio * 2 * np.sinh(z / 2) ** 2 + slope * np.sinh(z) / z


def star_step(gap: Floats, R: Numbers, K: Floats) -> Floats:
    """A.2: with eta = gap / (R K(gap)) or ||g||_* / K(gap), gap_next <= gap - gap^2 / (2 R^2 K).

    Star-convex up to zeta, R = D / zeta, D = radius of {gap <= gap0} around x*.
    """
    return gap - gap**2 / (2 * R**2 * K)


def star_count(law: Law, R: Numbers, gap0: Numbers, eps: Numbers, *, exact: bool = False) -> Floats:
    """A.2: gap <= eps after at most ceil(2 R^2 I(eps)) steps; warm-up, middle and decay add up.

    I is `Law.integral`. Its factor max(1, 1/(rho-1)) may not be replaced by 1/(rho-1) for rho > 2,
    except with the steps of `rules.exact` (`exact=True`), which obey the plain integral of K / s^2.
    """
    c_rho = 1 / (law.rho - 1) if exact else None
    return ceiled(2 * R**2 * law.integral(eps, gap0, c_rho))


def _worst_end(law: Law, gap0: Numbers, eps: Numbers) -> Floats:
    return np.maximum(law.over_gap(gap0), law.over_gap(np.minimum(eps, gap0)))


def fixed_rate(law: Law, R: Numbers, gap0: Numbers, eps: Numbers) -> Floats:
    """A.2: the largest fixed eta below gap / (R K(gap)) on [eps, gap0]: the lesser end."""
    return 1 / (R * _worst_end(law, gap0, eps))


def fixed_count(law: Law, R: Numbers, gap0: Numbers, eps: Numbers) -> Floats:
    """A.2 for that fixed eta: ceil(2 R^2 max(K(eps)/eps, K(gap0)/gap0) ln(gap0 / eps))."""
    return ceiled(2 * R**2 * _worst_end(law, gap0, eps) * np.log(gap0 / np.minimum(eps, gap0)))


def radius_growth(D0: Numbers, gap0: Floats, gap: Floats) -> Floats:
    """A.2, radius not known: D <- D + eta, eta = gap / (D K(gap)) keeps D <= D0 (gap0/gap)^2."""
    return D0 * (gap0 / gap) ** 2


def stationary(law: Law, gap0: Floats, steps: int) -> Floats:
    """A.2 without convexity, eta = ||g||_* / K(gap): min ||g||_*^2 <= 2 gap0 K(gap0) / steps."""
    return 2 * gap0 * law.K(gap0) / steps


def pl_step(gap: Floats, mu: Numbers, K: Floats) -> Floats:
    """A.2, ||g||_*^2 >= 2 mu gap, eta = ||g||_* / K or sqrt(2 mu gap) / K: gap (1 - mu/K)."""
    return gap * (1 - mu / K)


def pl_count(law: Law, mu: Numbers, gap0: Numbers, eps: Numbers) -> Floats:
    """A.2 and B.2 under PL, with u = ln(gap0 / eps):

    ceil((K0 u + K1 (gap0 - eps) + K_rho (gap0^rho - eps^rho)) / mu).
    """
    low = np.minimum(eps, gap0)
    power = law.K_rho * (gap0**law.rho - low**law.rho)
    return ceiled((law.K0 * np.log(gap0 / low) + law.K1 * (gap0 - low) + power) / mu)


def frank_wolfe_step(gap: Floats, decay: Numbers, K: Floats) -> Floats:
    """A.4, decoupled weight decay lambda: gap_next <= gap - min(gap, gap^2 / (D_B^2 K)) / 2.

    x <- (1 - lambda eta) x - eta u is a Frank-Wolfe step on the ball of radius 1 / lambda,
    D_B = 2 / lambda, eta = min(1/lambda, lambda gap / (4 K)). gap is f - min of f over the ball,
    about whose minimiser f is star-convex; K is taken at f - f*.
    """
    return gap - np.minimum(gap, gap**2 * np.asarray(decay) ** 2 / (4 * K)) / 2


def frank_wolfe_count(law: Law, decay: Numbers, gap0: Numbers, eps: Numbers) -> Floats:
    """A.4: ceil(log2(gap0 / eps) + 2 D_B^2 I(eps)), D_B = 2 / lambda; `law` shifted to that gap."""
    ratio = np.divide(gap0, eps, out=np.ones(np.shape(gap0)), where=np.asarray(gap0) > eps)
    halvings = np.log2(ratio)
    return ceiled(halvings + 8 / np.asarray(decay) ** 2 * law.integral(eps, gap0))


def outside_ball(norm0: Floats, decay: Floats, lr: Floats) -> Floats:
    """A.4 from outside the ball: (||x_t|| - 1/lambda)_+ <= its first value prod (1 - lambda eta).

    `norm0` is ||x_0||; `lr` are rates with lambda eta <= 1, shape (steps, instances).
    """
    return np.maximum(norm0 - 1 / decay, 0.0) * np.cumprod(1 - decay * lr, axis=0, dtype=float)
