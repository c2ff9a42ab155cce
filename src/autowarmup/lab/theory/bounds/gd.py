"""Gradient descent w <- w - eta g under ||Hessian|| <= H0 + H1 gap (arXiv 2510.03164, corrected).

A law with K_rho = 0 holds H0 = law.K0 and H1 = law.K1; l(gap) = H0 + H1 gap, z = H1 gap0 / H0.
The lower bounds for fixed steps (B.4) are minimax: for every fixed step some member of the class is
slow. For one given function none of them need hold, which is where the printed statement fails.
"""

from __future__ import annotations

import numpy as np

from autowarmup.lab.theory.bounds.lmo import ceiled
from autowarmup.lab.theory.law import Floats, Law, Numbers


def descent(gap: Floats, lr: Floats, K: Floats, dual: Floats) -> Floats:
    """B.1: gap - eta (1 - eta K / 2) ||g||^2 for 0 <= eta <= 2 / K(gap): A.1 with u = g."""
    return gap - lr * (1 - lr * K / 2) * dual**2


def pl_count(
    law: Law, mu: Numbers, gap0: Numbers, eps: Numbers, a: float = 1.0, b: float = 1.0
) -> Floats:
    """B.2 under PL, eta = 1 / (a H0 + b H1 gap), c = min(a, b) > 1/2, any H1 >= 0:

    N <= ceil((b H1 (gap0 - eps) + a H0 ln(gap0 / eps)) / (mu (2 - 1/c))).
    """
    c = min(a, b)
    low = np.minimum(eps, gap0)
    cost = b * law.K1 * (gap0 - low) + a * law.K0 * np.log(gap0 / low)
    return ceiled(cost / (np.asarray(mu) * (2 - 1 / c)))


def pl_fixed_count(law: Law, mu: Numbers, gap0: Numbers, eps: Numbers) -> Floats:
    """B.2 for the fixed step 1 / l(gap0): ceil(l(gap0) / mu ln(gap0 / eps))."""
    return ceiled(law.K(gap0) / mu * np.log(np.maximum(gap0 / np.asarray(eps), 1.0)))


def aiming_distance(distance: Floats, gap: Floats, law: Law, theta: Numbers) -> Floats:
    """B.3: eta = theta / (2 H0 + H1 gap) has ||w_next - w*||^2 <= ||w - w*||^2 - theta eta gap.

    Assumed: <g, w - w*> >= theta gap, 0 < theta <= 2.
    """
    return distance**2 - np.asarray(theta) ** 2 * gap / (2 * law.K0 + law.K1 * gap)


def aiming_count(
    law: Law, theta: Numbers, distance0: Floats, gap0: Numbers, eps: Numbers
) -> Floats:
    """B.3: ceil(D0^2 / theta^2 (2 H0 / eps + H1)) steps, D0 = ||w_0 - w*||.

    Also for the Polyak step theta gap / ||g||^2, which needs neither H0 nor H1 but (H0, H1) on all
    points that it visits.
    """
    count = ceiled((distance0 / theta) ** 2 * (2 * law.K0 / np.asarray(eps) + law.K1))
    return np.where(np.asarray(eps) >= gap0, 0.0, count)


def aiming_count_unit(law: Law, distance0: Floats, gap0: Numbers, eps: Numbers) -> Floats:
    """B.3 with theta = 1, eta = 1 / l(gap): ceil(1 + ln(gap0/eps) + D0^2/2 (H0/eps + e H1))."""
    count = 1 + np.log(np.maximum(gap0 / np.asarray(eps), 1.0))
    count = ceiled(count + distance0**2 / 2 * (law.K0 / np.asarray(eps) + np.e * law.K1))
    return np.where(np.asarray(eps) >= gap0, 0.0, count)


def largest_stable(H0: Numbers, z: Numbers) -> Floats:
    """B.4a: in one dimension, convex: 2 arcosh(1 + z) / (H0 sqrt(z^2 + 2 z)).

    Below it gradient descent from gap0 keeps f <= f(w_0) for every member; at it the extremal
    f_c = (H0/H1)(cosh(sqrt(H1) w) - 1) cycles with period 2, above it f_c diverges.
    """
    z = np.asarray(z, dtype=float)
    # arcosh(1 + z) = 2 arsinh(sqrt(z / 2)), which keeps its digits for small z.
    return 4 * np.arcsinh(np.sqrt(z / 2)) / (H0 * np.sqrt(z**2 + 2 * z))


def stable_in_the_plane(H0: Numbers, H1: Numbers, gap0: Numbers) -> Floats:
    """B.4d: for d >= 2 the stable fixed steps are those up to 2 / (H0 + H1 gap0): no logarithm."""
    return 2 / (H0 + np.asarray(H1) * gap0)


def lower_bound_pl(H0: Numbers, z: Numbers, mu: Numbers, gap0: Numbers, eps: Numbers) -> Floats:
    """B.4b: mu-strongly convex, d = 1: inf over eta of sup over the class of N is at least

    ceil(ln(gap0/eps) / (-2 ln(1 - mu eta_1))) where mu eta_1 < 1, else 1; eta_1 = `largest_stable`.
    0 for eps >= gap0.
    """
    x = np.minimum(np.asarray(mu) * largest_stable(H0, z), 1 - 1e-15)
    log = np.log(np.maximum(gap0 / np.asarray(eps), 1.0))
    count = np.where(mu * largest_stable(H0, z) < 1, ceiled(log / (-2 * np.log1p(-x))), 1.0)
    return np.where(log > 0, np.maximum(count, 1.0), 0.0)


def huber_slope(H0: Numbers, D: Numbers, eps: Numbers) -> Floats:
    """B.4c: slope 4 eps / (D (1 + sqrt(1 - 4 eps / (H0 D^2)))) of Huber's function, f(D) = 2 eps.

    It is quadratic up to |w| = slope / H0 and a line of this slope beyond.
    """
    return 4 * eps / (D * (1 + np.sqrt(1 - 4 * eps / (H0 * np.asarray(D) ** 2))))


def lower_bound_convex(H0: Numbers, z: Numbers, D: Numbers, eps: Numbers) -> Floats:
    """B.4c: convex, gap <= gap0, ||w_0 - w*|| <= D: N >= eps / (eta_1 slope^2), slope as above.

    For arcosh(1 + z) <= sqrt(H1) D, eps <= min(gap0/2, H0 D^2/8).
    """
    return eps / (largest_stable(H0, z) * huber_slope(H0, D, eps) ** 2)
