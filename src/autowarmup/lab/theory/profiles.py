"""Functions of one variable that objectives are built of, each with the exact law of its curvature.

All are even, have their minimum 0 at 0, and keep law and mu as functions psi(||x||) of more than
one variable. They take arrays.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from autowarmup.lab.theory.geometry import Floats
from autowarmup.lab.theory.law import Law

Function = Callable[[Floats], Floats]


@dataclass(frozen=True)
class Profile:
    """An even function psi of one variable."""

    name: str  # what it is called
    value: Function  # z -> psi(z), psi(0) = 0
    slope: Function  # z -> psi'(z)
    bend: Function  # z -> psi''(z)
    inverse: Function  # s -> a radius of the sublevel set {psi <= s}
    law: Law  # bound of |psi''| by the value
    mu: float  # psi'^2 >= 2 mu psi
    zeta: float = 1.0  # psi'(z) z >= zeta psi(z), 1 for star-convex
    convex: bool = True  # whether it is convex


def _tail(z: Floats) -> Floats:
    """Return e^(|z| - 1) beyond 1, and 1 up to there, where it is not wanted."""
    return np.exp(np.maximum(np.abs(z), 1.0) - 1)


def _tan2(z: Floats) -> Floats:
    """Return tan^2 z, and inf outside (-pi/2, pi/2), so that no step can leave it unseen."""
    inside = np.clip(z, -np.pi / 2, np.pi / 2)
    return np.where(np.abs(z) < np.pi / 2, np.tan(inside) ** 2, np.inf)


COSH = Profile(
    "cosh", lambda z: 2 * np.sinh(z / 2) ** 2, np.sinh, np.cosh,
    lambda s: 2 * np.arcsinh(np.sqrt(s / 2)), Law(1.0, 1.0), mu=1.0,
)  # fmt: skip
"""cosh z - 1: psi'' = 1 + psi, the (H0, H1) condition with equality everywhere."""

CORE_TAIL = Profile(
    "core and tail",
    lambda z: np.where(np.abs(z) <= 1, z**2 / 2, _tail(z) - 0.5),
    lambda z: np.where(np.abs(z) <= 1, z, np.sign(z) * _tail(z)), _tail,
    lambda s: np.where(s <= 0.5, np.sqrt(2 * s), 1 + np.log(np.maximum(s, 0.5) + 0.5)),
    Law(1.0, 1.0), mu=1.0,
)  # fmt: skip
"""z^2/2 for |z| <= 1, e^(|z|-1) - 1/2 beyond: the function of the published counterexample."""

TAN2 = Profile(
    "tan2", _tan2,
    lambda z: 2 * np.tan(z) * (1 + np.tan(z) ** 2),
    lambda z: 2 + 8 * np.tan(z) ** 2 + 6 * np.tan(z) ** 4,
    lambda s: np.arctan(np.sqrt(s)), Law(2.0, 8.0, 6.0), mu=2.0,
)  # fmt: skip
"""tan^2 z: psi'' = 2 + 8 psi + 6 psi^2 with equality, a barrier at |z| = pi/2; rho = 2."""

SQUARE = Profile(
    "square", lambda z: z**2 / 2, lambda z: z, np.ones_like, lambda s: np.sqrt(2 * s),
    Law(1.0), mu=1.0,
)  # fmt: skip
"""z^2/2."""

HUBER = Profile(
    "Huber", lambda z: np.where(np.abs(z) <= 1, z**2 / 2, np.abs(z) - 0.5),
    lambda z: np.clip(z, -1, 1), lambda z: (np.abs(z) <= 1).astype(float),
    lambda s: np.where(s <= 0.5, np.sqrt(2 * np.maximum(s, 0)), s + 0.5), Law(1.0), mu=0.0,
)  # fmt: skip
"""z^2/2 for |z| <= 1, |z| - 1/2 beyond: slow far from its minimum, convex without PL."""

STAR = Profile(
    "star", lambda z: -np.abs(z) * np.expm1(-np.abs(z)),
    lambda z: np.sign(z) * (-np.expm1(-np.abs(z)) + np.abs(z) * np.exp(-np.abs(z))),
    lambda z: (2 - np.abs(z)) * np.exp(-np.abs(z)), lambda s: s + np.sqrt(s), Law(2.0), mu=0.0,
    convex=False,
)  # fmt: skip
"""|z| (1 - e^-|z|): star-convex, not convex."""

WAVY = Profile(
    "wavy", lambda z: z**2 + 3 * np.sin(z) ** 2, lambda z: 2 * z + 3 * np.sin(2 * z),
    lambda z: 2 + 6 * np.cos(2 * z), np.sqrt, Law(8.0), mu=1 / 32, zeta=0.49, convex=False,
)  # fmt: skip
"""z^2 + 3 sin^2 z: PL, not convex, star-convex up to the factor zeta (measured 0.496)."""
