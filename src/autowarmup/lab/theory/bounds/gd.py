"""Gradient descent w <- w - eta g under ||Hessian|| <= H0 + H1 gap (arXiv 2510.03164, corrected).

A law with K_rho = 0 holds H0 = law.K0 and H1 = law.K1; l(gap) = H0 + H1 gap.
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
