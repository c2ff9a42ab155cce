"""The functions of the class over which `separation` compares fixed steps with warm-up.
No command of its own: `python -m studies.theory.separation` runs them, many side by side.

The class: convex, ||Hessian|| <= H0 + H1 gap, PL with mu, first gap exactly gap0. c f(h x) turns
any H0, H1 into 1, 1 and leaves step counts alone, so H0 = H1 = 1 throughout: then gap0 is
z = H1 gap0 / H0 and mu is 1 / kappa.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray

from autowarmup.lab.theory import profiles
from autowarmup.lab.theory.cosh_objectives import ProductCosh
from autowarmup.lab.theory.geometry import Floats
from autowarmup.lab.theory.objective import Objective
from autowarmup.lab.theory.objectives import Radial
from autowarmup.lab.theory.profiles import Profile

Which = NDArray[np.int64]

SHARES = (0.001, 0.003, 0.01, 0.02, 0.03, 0.06, 0.1, 0.25)
ANGLES = (1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
"""Of the members in the plane: the worst of them depends on z."""


@dataclass(frozen=True)
class Members:
    """Functions of the class of one form, so that they run side by side.

    Attributes:
        names: what each is called.
        make: gives the functions with these indices as one objective.
        start: gives points of the functions with these indices and these gaps.
    """

    names: tuple[str, ...]
    make: Callable[[Which], Objective]
    start: Callable[[Which, Floats], Floats]


class WithSquare(Objective):
    """f + g for convex f and a g = mu ||x||^2 / 2 with the same minimiser 0.

    The law is the sum of the laws, and f + g is mu-strongly convex, so it has PL with mu.

    Args:
        f: any convex objective in l2 with f* = 0 at 0.
        mu: shape (instances,).
    """

    def __init__(self, f: Objective, mu: Floats) -> None:
        self.f, self.g = f, Radial(profiles.SQUARE, mu, np.ones(len(mu)), f.shape[0])
        self.know(f"{f.name}, and a square", f.geometry, f.shape, f.law + self.g.law, mu)

    def value(self, x: Floats) -> Floats:
        """Return f + g."""
        return self.f.value(x) + self.g.value(x)

    def gradient(self, x: Floats) -> Floats:
        """Return the sum of the gradients."""
        return self.f.gradient(x) + self.g.gradient(x)

    def hessian_action(self, x: Floats, v: Floats) -> Floats:
        """Return the sum of the Hessians times v."""
        return self.f.hessian_action(x, v) + self.g.hessian_action(x, v)

    def radius(self, gap: Floats) -> Floats:
        """Return a bound by strong convexity."""
        return np.sqrt(2 * np.asarray(gap) / self.mu)

    def start(self, rng: Generator, gap: Floats) -> Floats:
        """Return points in random directions."""
        angle = rng.standard_normal((self.instances, *self.shape))
        return self.along(angle / self.geometry.expand(self.geometry.norm(angle)), gap)


def slow(kappa: float, dimension: int) -> Members:
    """Return mu ||x||^2 / 2: the slow function of B.4b."""
    return _radial(["slow quadratic"], profiles.SQUARE, [1 / kappa], [1.0], dimension)


def extremal(dimension: int) -> Members:
    """Return f_c = cosh ||x|| - 1, whose curvature is 1 + gap everywhere (B.4a)."""
    return _radial(["f_c"], profiles.COSH, [1.0], [1.0], dimension)


def on_the_line(kappa: float, rng: Generator, random: int = 3) -> list[Members]:
    """Return members in one dimension: mu x^2 / 2, f_c, a core with a tail, random ones of both.

    The slow one comes first.
    """
    groups = [slow(kappa, 1)]
    for profile, first in ((profiles.COSH, "f_c"), (profiles.CORE_TAIL, "core and tail")):
        # Any curvature mu <= H0' <= 1 and any growth H1' <= 1 stay in the class.
        curve = np.append(1.0, kappa ** rng.uniform(-1, 0, random))
        growth = np.append(1.0, rng.uniform(0.05, 1, random))
        names = [first, *(f"random {profile.name} {index + 1}" for index in range(random))]
        groups.append(_radial(names, profile, curve / growth, np.sqrt(growth), 1))
    return groups


def in_the_plane(kappa: float) -> list[Members]:
    """Return members in two dimensions: the slow one, f_c, and products of two cosh.

    cosh(alpha x1) cosh(beta x2) - 1 with alpha^2 = share, alpha^2 + beta^2 = 1, started near the
    axis of x1: while x1 creeps down its flat direction the curvature across stays as high as at
    the start, which no fixed step above 2 / (H0 + H1 gap0) survives for share -> 0. In the class
    are the product whose own mu is 1 / kappa, and the sum of mu ||x||^2 / 2 and 1 - mu times a
    product with any share.
    """
    own = (1 - np.sqrt(1 - 4 / kappa)) / 2
    return [
        slow(kappa, 2),
        extremal(2),
        _products(kappa, (own,), strong=False),
        _products(kappa, SHARES, strong=True),
    ]


def _radial(
    names: Sequence[str], profile: Profile, c: ArrayLike, h: ArrayLike, dimension: int
) -> Members:
    heights, widths = np.asarray(c, dtype=float), np.asarray(h, dtype=float)

    def make(which: Which) -> Objective:
        return Radial(profile, heights[which], widths[which], dimension)

    def start(which: Which, gap: Floats) -> Floats:
        # Not on an axis, so that no coordinate is 0 by accident.
        direction = np.ones(dimension) / np.sqrt(dimension)
        return make(which).radius(gap)[:, None] * direction

    return Members(tuple(names), make, start)


def _products(kappa: float, shares: Sequence[float], *, strong: bool) -> Members:
    share, angle = (a.ravel() for a in np.meshgrid(shares, ANGLES, indexing="ij"))

    def make(which: Which) -> Objective:
        one = np.ones(len(which))
        if not strong:
            return ProductCosh(one, one, share[which])
        return WithSquare(ProductCosh(one - 1 / kappa, one, share[which]), one / kappa)

    def start(which: Which, gap: Floats) -> Floats:
        at = angle[which]
        return make(which).along(np.stack([np.cos(at), np.sin(at)], 1), gap)

    word = "square + product" if strong else "product"
    names = [f"{word}, share {s:.3g}, angle {a:g}" for s, a in zip(share, angle, strict=True)]
    return Members(tuple(names), make, start)
