"""How much the answer depends on which gap a curvature is paired with.

No intervals, two small least-squares problems per pairing: cheap enough to be part of every fit.
"""

from __future__ import annotations

import numpy as np

from autowarmup.history import Trace
from autowarmup.measure.law_fit import NON_NEGATIVE, fit_law
from autowarmup.measure.points import FEWEST_TO_FIT, pairings_of, usable_points
from autowarmup.measure.verdict import slopes
from autowarmup.measure.window import Window


def compare_pairings(
    trace: Trace,
    quantity: str,
    f_star: float,
    window: Window,
    rho: float,
    terms: tuple[str, ...],
) -> dict[str, dict[str, float]]:
    """Return K0, K1, K_rho, r_squared, p and points for every pairing that the quantity allows.

    All use the steps of the window, the non-negative fit and the exponent `rho`; a pairing with
    fewer than 4 usable points is left out.

    Example:
        >>> from autowarmup.history import Point
        >>> trace = Trace(Point(t, 8.0 - t, loss_after=7.0 - t, K=8.0 - t) for t in range(5))
        >>> found = compare_pairings(trace, "K", 0.0, Window("all", 0, 4, 5, ""), 2.0, ("K0", "K1"))
        >>> {pairing: round(answer["K0"], 6) for pairing, answer in found.items()}
        {'before': 0.0, 'after': 1.0, 'max': 0.0}
    """
    found = {}
    for pairing in pairings_of(quantity):
        usable = usable_points(trace, quantity, f_star, pairing)
        inside = (usable.steps >= window.first_step) & (usable.steps <= window.last_step)
        gaps, values = usable.gaps[inside], usable.values[inside]
        if len(gaps) < FEWEST_TO_FIT:
            continue
        once = np.ones((1, len(gaps)))
        law = fit_law(gaps, values, terms, rho, NON_NEGATIVE, once[:0], 1.0)
        found[pairing] = {
            "K0": law.K0,
            "K1": law.K1,
            "K_rho": law.K_rho,
            "r_squared": law.r_squared,
            "p": float(slopes(gaps, values, once)[0]),
            "points": len(gaps),
        }
    return found
