"""Functions of one variable that the zoo is built of, each with the exact law of its curvature.

All are even, have their minimum 0 at 0, and keep law and mu as functions psi(||x||) of more than
one variable. They take arrays: `value(z)`, `slope(z)`, `bend(z)` are the function and its two
derivatives, `inverse(s)` is a radius of the set of points with value <= s.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autowarmup.lab.theory.law import Law

Floats = NDArray[np.float64]
Function = Callable[[Floats], Floats]


@dataclass(frozen=True)
class Profile:
    """An even function of one variable.

    Attributes:
        name: what it is called.
        value: z -> psi(z), psi(0) = 0.
        slope: z -> psi'(z).
        bend: z -> psi''(z).
        inverse: s -> a radius of the sublevel set {psi <= s}.
        law: bound of |psi''| by the value.
        mu: psi'^2 >= 2 mu psi.
        edge: the domain is |z| < edge.
        zeta: psi'(z) z >= zeta psi(z), 1 for star-convex.
    """

    name: str
    value: Function
    slope: Function
    bend: Function
    inverse: Function
    law: Law
    mu: float
    edge: float = np.inf
    zeta: float = 1.0


def _core_tail(z: Floats) -> tuple[Floats, Floats, Floats]:
    r = np.abs(z)
    inside = r <= 1
    tail = np.exp(np.where(inside, 1.0, r) - 1)
    value = np.where(inside, r**2 / 2, tail - 0.5)
    return value, np.where(inside, z, np.sign(z) * tail), np.where(inside, 1.0, tail)


def _safe(function: Function, edge: float) -> Function:
    """Return inf outside the domain, so that no step can leave it unseen."""
    return lambda z: np.where(np.abs(z) < edge, function(np.clip(z, -edge, edge)), np.inf)


def _tan2(z: Floats) -> Floats:
    return np.tan(z) ** 2


def _huber_inverse(s: Floats) -> Floats:
    return np.where(s <= 0.5, np.sqrt(2 * np.maximum(s, 0)), s + 0.5)


COSH = Profile(
    "cosh", lambda z: 2 * np.sinh(z / 2) ** 2, np.sinh, np.cosh,
    lambda s: 2 * np.arcsinh(np.sqrt(s / 2)), Law(1.0, 1.0), mu=1.0,
)  # fmt: skip
"""cosh z - 1: psi'' = 1 + psi, the (H0, H1) condition with equality everywhere."""

CORE_TAIL = Profile(
    "core and tail", lambda z: _core_tail(z)[0], lambda z: _core_tail(z)[1],
    lambda z: _core_tail(z)[2],
    lambda s: np.where(s <= 0.5, np.sqrt(2 * s), 1 + np.log(np.maximum(s, 0.5) + 0.5)),
    Law(1.0, 1.0), mu=1.0,
)  # fmt: skip
"""z^2/2 for |z| <= 1, e^(|z|-1) - 1/2 beyond: the function of the published counterexample."""

TAN2 = Profile(
    "tan2", _safe(_tan2, np.pi / 2),
    lambda z: 2 * np.tan(z) * (1 + np.tan(z) ** 2),
    lambda z: 2 + 8 * np.tan(z) ** 2 + 6 * np.tan(z) ** 4,
    lambda s: np.arctan(np.sqrt(s)), Law(2.0, 8.0, 6.0), mu=2.0, edge=np.pi / 2,
)  # fmt: skip
"""tan^2 z: psi'' = 2 + 8 psi + 6 psi^2 with equality, a barrier at |z| = pi/2; rho = 2."""

SQUARE = Profile(
    "square", lambda z: z**2 / 2, lambda z: z, np.ones_like, lambda s: np.sqrt(2 * s),
    Law(1.0), mu=1.0,
)  # fmt: skip
"""z^2/2."""

HUBER = Profile(
    "Huber", lambda z: np.where(np.abs(z) <= 1, z**2 / 2, np.abs(z) - 0.5),
    lambda z: np.clip(z, -1, 1), lambda z: (np.abs(z) <= 1).astype(float), _huber_inverse,
    Law(1.0), mu=0.0,
)  # fmt: skip
"""z^2/2 for |z| <= 1, |z| - 1/2 beyond: the slow witness, convex without PL."""

STAR = Profile(
    "star", lambda z: -np.abs(z) * np.expm1(-np.abs(z)),
    lambda z: np.sign(z) * (-np.expm1(-np.abs(z)) + np.abs(z) * np.exp(-np.abs(z))),
    lambda z: (2 - np.abs(z)) * np.exp(-np.abs(z)), lambda s: s + np.sqrt(s), Law(2.0), mu=0.0,
)  # fmt: skip
"""|z| (1 - e^-|z|): star-convex, not convex."""

WAVY = Profile(
    "wavy", lambda z: z**2 + 3 * np.sin(z) ** 2, lambda z: 2 * z + 3 * np.sin(2 * z),
    lambda z: 2 + 6 * np.cos(2 * z), np.sqrt, Law(8.0), mu=1 / 32, zeta=0.49,
)  # fmt: skip
"""z^2 + 3 sin^2 z: PL, not convex, star-convex up to the factor zeta (measured 0.496)."""

PROFILES = {p.name: p for p in (COSH, CORE_TAIL, TAN2, SQUARE, HUBER, STAR, WAVY)}
