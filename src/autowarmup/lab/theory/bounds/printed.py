"""What the papers print, or their code does, and what is false; only for the counterexamples.

Nothing else imports this module. Taken from reports on the papers, not from their text: the form of
a printed constant may differ where only its defect was known.
"""

from __future__ import annotations

import numpy as np

from autowarmup.lab.theory.bounds.fixed import largest_stable
from autowarmup.lab.theory.law import Floats, Law, Numbers


def sum_constant(H0_f: Floats, H0_g: Floats, H1: Floats, infima: Floats) -> Floats:
    """Return H0 of f + g without the infimum of the sum: H0_f + H0_g - H1 (f* + g*).

    What is known of the printed rule is that it can be negative; this is the way in which leaving
    h* out of the correct H0_f + H0_g + H1 (h* - f* - g*), h = f + g, does that.
    """
    return H0_f + H0_g - H1 * infima


def pl_count(law: Law, mu: Numbers, gap0: Numbers, eps: Numbers) -> Floats:
    """Return 40 (H1/mu) gap0 + 20 (H0/mu) ln(H0 / (2 H1 eps)), negative for large eps."""
    log = np.log(law.K0 / (2 * np.asarray(law.K1) * eps))
    return 40 * law.K1 / np.asarray(mu) * gap0 + 20 * law.K0 / np.asarray(mu) * log


def lower_bound_pl(H0: Numbers, z: Numbers, mu: Numbers, gap0: Numbers, eps: Numbers) -> Floats:
    """Return ln(gap0/eps) / (2 mu eta_1), read as a bound for every single function.

    -ln(1 - x) was replaced by x, which is smaller, so it exceeds even the minimax bound.
    """
    return np.log(gap0 / np.asarray(eps)) / (2 * np.asarray(mu) * largest_stable(H0, z))


def peak_gap(law: Law) -> Floats:
    """Return (K0 / ((rho-1) K_rho))^rho, the exponent in a comment of the published analyzer."""
    return (law.K0 / ((law.rho - 1) * np.asarray(law.K_rho))) ** law.rho


def end_point_ratio(slope_change: Floats, distance: Floats) -> Floats:
    """Return ||g(y) - g(x)||_* / ||y - x||, taken as the K of the descent lemma."""
    return np.abs(slope_change) / distance
