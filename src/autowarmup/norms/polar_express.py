"""Coefficients of Newton-Schulz that fit the interval of each step: Polar Express.

Noah Amsel et al. (arXiv 2505.16932): of all odd polynomials p of degree 5 the best for singular
values in [l, u] has the smallest largest |1 - p(x)| there. Its range [1 - e, 1 + e] is the interval
of the next step, and these steps together are the best of all compositions. The best polynomial is
known by its equioscillation (Remez): 1 - p is e, -e, e, -e at l, at the maximum of p, at its
minimum and at u.

Two things keep it alive in half precision, as in the paper. For tiny l the best first steps come
close to 0 in the middle, where rounding drowns them: p is chosen for an interval on which its
largest value is at most 10 times its smallest, and scaled so that its range on [l, u] lies about 1.
And every step but the last is taken at x / 1.01, so that a singular value that rounding put above
u does no harm.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from autowarmup.norms.polar import Triple

_SPREAD = 10.0
_SAFETY = 1.01
# From here on the best polynomial is Taylor's at u to the last digit of float64.
_POINT = 5e-6


@cache
def polar_express(steps: int, lowest: float = 1e-3, safety: float = _SAFETY) -> tuple[Triple, ...]:
    """Return (a, b, c) of every step for singular values in [lowest, 1].

    Args:
        steps: number of steps.
        lowest: smallest singular value that is to come close to 1.
        safety: every step but the last has its argument divided by it.

    Raises:
        ValueError: no steps, or `lowest` outside of (0, 1).

    Example:
        >>> [[round(x, 4) for x in step] for step in polar_express(2, lowest=0.5, safety=1.0)]
        [[2.6708, -3.2854, 1.6386], [1.8756, -1.2507, 0.3751]]
    """
    if steps < 1 or not 0 < lowest < 1:
        raise ValueError(f"expected steps >= 1 and lowest in (0, 1), got {steps} and {lowest}")
    low, high = lowest, 1.0
    found: list[Triple] = []
    for step in range(steps):
        a, b, c = best_quintic(max(low, _narrowest() * high), high)[:3]
        reached = [x * (a + x * x * (b + x * x * c)) for x in (low, high)]
        middle = sum(reached) / 2  # 1, but where the interval was narrowed
        low = reached[0] / middle
        high = 2.0 - low
        s = safety if step < steps - 1 else 1.0
        found.append((a / middle / s, b / middle / s**3, c / middle / s**5))
    return tuple(found)


def best_quintic(low: float, high: float) -> tuple[float, float, float, float]:
    """Return a, b, c and e of the best p(x) = a x + b x^3 + c x^5 on [low, high]; see the module.

    Example:
        >>> a, b, c, e = best_quintic(0.5, 1.0)
        >>> round(a * 0.5 + b * 0.5**3 + c * 0.5**5, 9) == round(1 - e, 9)
        True
    """
    if 1 - low / high < _POINT:
        return 15 / 8 / high, -10 / 8 / high**3, 3 / 8 / high**5, 0.0
    inner = np.array([3 * low + high, low + 3 * high]) / 4
    while True:
        x = np.array([low, *inner, high])
        system = np.stack([x, x**3, x**5, [1.0, -1.0, 1.0, -1.0]], axis=1)
        a, b, c, e = (float(value) for value in np.linalg.solve(system, np.ones(4)))
        root = np.sqrt(9 * b * b - 20 * a * c)
        extrema = np.sqrt((-3 * b + np.array([-root, root])) / (10 * c))
        if np.abs(extrema - inner).max() < 1e-9 * high:  # e is right to the square of it
            return a, b, c, e
        inner = extrema


@cache
def _narrowest() -> float:
    """Return low / high of the interval whose best polynomial has the largest spread allowed."""
    low, high = 1e-4, 0.5
    while high - low > 1e-15:
        middle = (low + high) / 2
        e = best_quintic(middle, 1.0)[3]
        low, high = (middle, high) if (1 + e) / (1 - e) > _SPREAD else (low, middle)
    return high
