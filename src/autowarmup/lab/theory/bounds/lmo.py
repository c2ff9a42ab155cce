"""Norm-constrained methods x <- x - eta u, ||u|| <= 1 (arXiv 2602.05813, corrected).

Assumed throughout, in its pointwise form (S2): near every x with gap(x) <= gap0 the gradient is
Lipschitz with K(gap(x)) from the norm to its dual. The one-point form over all y, which the paper
states, forces f <= f* + K0 ||y - x*||^2 / 2 (take x = x*): it admits no function of growing
curvature. A bound of the ratio at the end points of a step certifies nothing.
"""

from __future__ import annotations

import numpy as np

from autowarmup.lab.theory.law import Floats, Law, Numbers


def ceiled(value: Floats) -> Floats:
    """Return the least integer count >= value, at least 0; a rounding error adds no step."""
    return np.maximum(np.ceil(value * (1 - 1e-12)), 0.0)


def descent(gap: Numbers, lr: Numbers, slope: Numbers, K: Numbers, length: Numbers = 1.0) -> Floats:
    """A.1, descent lemma: gap(x - eta u) <= gap - eta a + eta^2 ||u||^2 K(gap) / 2.

    a = <gradient, u> > 0, 0 <= eta <= 2 a / (K ||u||^2). The constant 1/2 and K at the current
    point are exact; no radius, no factor for what happens along the segment.
    Proof: while f <= f(x) along the segment its second derivative is at most K(gap), so f stays
    below the parabola, which is below f(x) until 2 a / K.
    """
    return gap - lr * slope + (lr * length) ** 2 * K / 2 + np.zeros(())


def self_bound(law: Law, gap: Floats) -> Floats:
    """A.1a: ||gradient||_*^2 <= 2 primitive(gap) (<= 2 gap K(gap)), with equality for f'' = K(f).

    Proof: along steepest descent phi'^2 / 2 - primitive(phi) does not fall while phi' < 0, and is
    at most 0 where phi' = 0.
    """
    return 2 * law.primitive(gap)


def exact_step(law: Law, gap: Floats, slope: Floats) -> Floats:
    """A.1b: the step of `rules.exact` has primitive(gap_next) <= primitive(gap) - slope^2 / 2.

    Proof: comparison with psi'' = K(psi), whose energy psi'^2 / 2 - primitive(psi) is constant.
    """
    return np.maximum(law.primitive(gap) - slope**2 / 2, 0.0)


def ball(law: Law, gap: Floats, s: Floats) -> Floats:
    """A.1c: in this radius gap <= gap(x) + s and the gradient is K(gap + s)-Lipschitz from x.

    r = sqrt(2 / K(gap + s)) (sqrt(gap + s) - sqrt(gap)). Proof: ||gradient||_* <= sqrt(2 gap K), so
    f(y) <= f(x) + r sqrt(2 gap K) + r^2 K / 2, with equality at gap + s for this r.
    """
    return np.sqrt(2 / law.K(gap + s)) * (np.sqrt(gap + s) - np.sqrt(gap))


def cosh_bound(law: Law, gap: Floats, distance: Floats, slope: Floats) -> Floats:
    """A.1d, for K_rho = 0 and all y at this distance r, slope = <gradient, y - x>:

    gap(y) + H0/H1 <= (gap + H0/H1) cosh(h r) + slope sinh(h r) / (h r), h = sqrt(H1).
    Proof: comparison with the linear equation y'' = H0 + H1 y; it needs no condition on the step.
    """
    ratio, z = law.K0 / np.asarray(law.K1), np.sqrt(law.K1) * distance
    # cosh - 1 in place of cosh keeps the digits of a small gap.
    return gap * np.cosh(z) + ratio * 2 * np.sinh(z / 2) ** 2 + slope * np.sinh(z) / z


def star_step(gap: Floats, R: Numbers, K: Floats) -> Floats:
    """A.2: with eta = gap / (R K(gap)) or ||g||_* / K(gap), gap_next <= gap - gap^2 / (2 R^2 K).

    Star-convex up to zeta, R = D / zeta, D = radius of {gap <= gap0} around x*. Proof:
    ||g||_* >= gap / R, A.1. D is a property of the sublevel set, which no iterate leaves: it is no
    assumption on the trajectory.
    """
    return gap - gap**2 / (2 * R**2 * K)


def star_count(law: Law, R: Numbers, gap0: Numbers, eps: Numbers, *, exact: bool = False) -> Floats:
    """A.2: gap <= eps after at most ceil(2 R^2 I(eps)) steps; warm-up, middle and decay add up.

    I is `Law.integral`. Its factor max(1, 1/(rho-1)) may not be replaced by 1/(rho-1) for rho > 2,
    except with the steps of `rules.exact` (`exact=True`), which obey the plain integral of K / s^2.
    """
    c_rho = 1 / (law.rho - 1) if exact else None
    return ceiled(2 * R**2 * law.integral(eps, gap0, c_rho))


def fixed_rate(law: Law, R: Numbers, gap0: Numbers, eps: Numbers) -> Floats:
    """A.2: the largest fixed eta below gap / (R K(gap)) on [eps, gap0]: the lesser end."""
    worst = np.maximum(law.over_gap(gap0), law.over_gap(np.minimum(eps, gap0)))
    return 1 / (R * worst)


def fixed_count(law: Law, R: Numbers, gap0: Numbers, eps: Numbers) -> Floats:
    """A.2 for that fixed eta: ceil(2 R^2 max(K(eps)/eps, K(gap0)/gap0) ln(gap0 / eps)).

    Both ends cost a product with the logarithm, where the schedule pays a sum.
    """
    low = np.minimum(eps, gap0)
    worst = np.maximum(law.over_gap(gap0), law.over_gap(low))
    return ceiled(2 * R**2 * worst * np.log(gap0 / low))


def radius_growth(D0: Numbers, gap0: Floats, gap: Floats) -> Floats:
    """A.2 without a known radius: D <- D + eta, eta = gap / (D K(gap)) keeps D <= D0 (gap0/gap)^2.

    Proof: with q = gap / (D^2 K), D grows by 1 + q and gap falls by 1 - q/2 at least, and
    (1 - q/2)^2 (1 + q) <= 1.
    """
    return D0 * (gap0 / gap) ** 2


def stationary(law: Law, gap0: Floats, steps: int) -> Floats:
    """A.2 without convexity, eta = ||g||_* / K(gap): min ||g||_*^2 <= 2 gap0 K(gap0) / steps.

    From the sum over steps of ||g||_*^2 / K(gap), which is at most 2 gap0.
    """
    return 2 * gap0 * law.K(gap0) / steps


def pl_step(gap: Floats, mu: Numbers, K: Floats) -> Floats:
    """A.2, ||g||_*^2 >= 2 mu gap, eta = ||g||_* / K or sqrt(2 mu gap) / K: gap (1 - mu/K)."""
    return gap * (1 - mu / K)


def pl_count(law: Law, mu: Numbers, gap0: Numbers, eps: Numbers) -> Floats:
    """A.2 and B.2 under PL, with u = ln(gap0 / eps):

    ceil((K0 u + K1 (gap0 - eps) + K_rho (gap0^rho - eps^rho)) / mu).

    Here the rate sqrt(gap) / K(gap) rises and falls even for K_rho = 0.
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

    Args:
        norm0: ||x_0||, shape (instances,).
        decay: lambda, shape (instances,).
        lr: rates with lambda eta <= 1, shape (steps, instances).
    """
    return np.maximum(norm0 - 1 / decay, 0.0) * np.cumprod(1 - decay * lr, axis=0, dtype=float)
