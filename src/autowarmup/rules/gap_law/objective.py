"""The objective that chooses the end of warm-up, integrated fast and accurately.

In units of the first gap (u = gap / gap0) the practical scheduler of arXiv 2602.05813 minimises

    J(r; d, s) = integral over u in (0, 1) of exp(-s (u - r)^2 / 2) (e(u) - T(u))^2

over r = gap_peak / gap0, with d = div, s = sigma kappa gap0^2, the law's factor

    e(u) = u (1 - r)^2 / (u (1 - r)^2 + (d - 1) (u - r)^2)

and the target T(u) = (1 - cos(pi u / r)) / 2 below r, 1 - (1 - 1/d) (u - r) / (1 - r) above. For
large s or d everything happens close to u = r or to u = 0, so the integral is split there and each
piece is cut into panels that halve in size towards the interesting end (Gauss rule in each).
"""

from __future__ import annotations

import math
from typing import overload

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LARGEST_DIV = 1e12
"""Larger div only drives r further below 1e-6; it is treated as this."""
LARGEST_S = 1e18
"""Larger s (a first gap of millions of nats) changes r below 1e-3 and is treated as this."""


def _graded(points: int, panels: int) -> tuple[Floats, Floats]:
    """Return nodes and weights on (0, 1), the panels halving in size towards 0."""
    nodes, weights = np.polynomial.legendre.leggauss(points)
    edges = np.concatenate([[0.0], 0.5 ** np.arange(panels - 1.0, -1.0, -1.0)])
    half = np.diff(edges)[:, None] / 2
    return (edges[:-1, None] + half * (1 + nodes)).ravel(), (half * weights).ravel()


# Measured against 45 panels of 24 points for d in 1.01..1e6, s in 0..1e12, r in 1e-6..0.999: the
# coarse rule is right to 8e-4 of J (enough to find the valleys), the fine one to 4e-9.
_COARSE = _graded(5, 10)
_FINE = _graded(16, 20)
# r on a logit scale: narrow minima near 0 (large d or s) and near 1 (d near 1) are wide on it.
_LOGITS = np.linspace(-14.0, 10.0, 97)
_WINDOW = np.linspace(-1.0, 1.0, 5)


def objective(r: Floats, div: float, s: float, *, coarse: bool = False) -> Floats:
    """Return J(r; div, s) for an array of r in (0, 1), shape (n,) to shape (n,).

    Args:
        r: peak gap over first gap.
        div: peak rate over first rate, > 1.
        s: sigma kappa gap0^2, >= 0.
        coarse: use the rule with fewer nodes.
    """
    nodes, weights = _COARSE if coarse else _FINE
    r = r[:, None]
    stiffness = (div - 1) / (1 - r) ** 2
    cut = 40 / np.sqrt(s) if s > 0 else np.inf  # the weight is below 1e-347 from there on

    def piece(length: Floats, u: Floats, x: Floats, target: Floats) -> Floats:
        square = x * x
        error = u / (u + stiffness * square) - target
        error *= error
        if s > 0:
            error *= np.exp(square * (-s / 2))
        return length[:, 0] * (error @ weights)

    length = np.minimum(1 - r, cut)
    x = length * nodes
    above = piece(length, r + x, x, 1 - (1 - 1 / div) / (1 - r) * x)
    length = np.minimum(r / 2, cut)
    x = length * nodes
    below = piece(length, r - x, x, np.cos(np.pi / 2 / r * x) ** 2)
    u = r / 2 * nodes
    at_zero = piece(r / 2, u, r - u, np.sin(np.pi / 4 * nodes) ** 2)
    return above + below + at_zero


def lowest_minimum(div: float, s: float) -> float:
    """Return the r of the lowest interior local minimum of J(.; div, s), to about 1e-6.

    J can have two local minima, so all of them are refined before they are compared (0.3 to 0.6 ms;
    in 400 random cases never above the lowest local minimum of a scan of 1200 r). The limit
    r -> 0 does not count even where J is smallest there (div near 1, or div = 2 with s > 200): a
    warm-up that ends at a gap of 0 never ends.

    Args:
        div: peak rate over first rate, > 1.
        s: sigma kappa gap0^2, >= 0.
    """
    div, s = min(div, LARGEST_DIV), min(s, LARGEST_S)
    values = objective(_sigmoid(_LOGITS), div, s, coarse=True)
    inner = values[1:-1]
    minima = 1 + np.flatnonzero((inner <= values[:-2]) & (inner < values[2:]))
    if minima.size == 0:  # beyond the scanned range (div of 1e9 or of 1 + 1e-7): its nearer end
        minima = 1 + np.argmin(inner, keepdims=True)
    refined = [_refined(float(_LOGITS[i]), div, s) for i in minima.tolist()]
    return min(refined)[1]


def _refined(centre: float, div: float, s: float) -> tuple[float, float]:
    """Return (J, r) at the minimum near a logit of the scan, by parabolas in shrinking windows."""
    width, best = float(_LOGITS[1] - _LOGITS[0]), (math.inf, 0.0)
    for _ in range(12):
        logits = centre + width * _WINDOW
        values = objective(_sigmoid(logits), div, s)
        i = int(np.argmin(values))
        best = min(best, (float(values[i]), float(_sigmoid(float(logits[i])))))
        if i in (0, 4):  # the minimum is not inside: look further, as closely as before
            centre = logits[i]
            continue
        left, middle, right = values[i - 1 : i + 2]
        bend = left - 2 * middle + right
        centre = logits[i] + (width / 4 * (left - right) / bend if bend > 0 else 0.0)
        if width < 0.01:
            return best[0], float(_sigmoid(centre))
        width /= 6
    return best


@overload
def _sigmoid(x: float) -> float: ...
@overload
def _sigmoid(x: Floats) -> Floats: ...
def _sigmoid(x: float | Floats) -> float | Floats:
    return 1 / (1 + np.exp(-x))
