"""Fixed steps of gradient descent under (H0, H1): what is stable, and lower bounds (B.4).

All lower bounds are minimax: for every fixed step some member of the class is slow. For one given
function none of them need hold, which is where the printed statement fails.
z = H1 gap0 / H0 throughout.
"""

from __future__ import annotations

import numpy as np

from autowarmup.lab.theory.bounds.lmo import ceiled
from autowarmup.lab.theory.law import Floats, Numbers


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
