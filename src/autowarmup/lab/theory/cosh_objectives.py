"""Two objectives that single statements need: a sum with two minimisers, and one in the plane."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from autowarmup.lab.theory.geometry import Floats, Geometry, bisect
from autowarmup.lab.theory.law import Law
from autowarmup.lab.theory.objective import Objective


@dataclass
class CoshPair(Objective):
    """c1 (cosh(h1 (x - s)) - 1) + up + c2 (cosh(h2 (x + s)) - 1) + down, in one dimension.

    The terms have infima `up` and `down` at s and -s; the infimum of the sum lies above their sum
    by S, the `excess`, and the law is (law_1 + law_2).shift(S). Constants added to the terms do not
    matter, which is where the printed rule for sums fails.
    """

    c: Floats  # heights, shape (instances, 2)
    h: Floats  # inverse widths, shape (instances, 2)
    s: Floats  # half the distance of the minimisers, shape (instances,)
    added: Floats  # the two constants, shape (instances, 2)

    def __post_init__(self) -> None:
        self._centres = np.stack([self.s, -self.s], 1)
        ends = -self.s[:, None], self.s[:, None]
        best = bisect(lambda x: self.gradient(x) > 0, *ends, 100)
        least = self.value(best)
        self.excess = np.maximum(least - self.added.sum(1), 0.0)
        self.terms = [Law(1.0, 1.0).scale(self.c[:, i]).affine(self.h[:, i]) for i in range(2)]
        law, mu = (self.terms[0] + self.terms[1]).shift(self.excess), self.c * self.h**2
        name = "shifted cosh pair, l2, d = 1"
        self.know(name, Geometry("l2", 1), (1,), law, np.sum(mu, axis=1), minimiser=best)
        self.f_star = least

    @classmethod
    def random(cls, rng: Generator, instances: int) -> CoshPair:
        """Return random pairs with the constants +-10 added."""
        c, h = (np.exp(rng.uniform(-1.5, 1.5, (instances, 2))) for _ in range(2))
        added = np.broadcast_to([10.0, -10.0], (instances, 2))
        return cls(c, h, rng.uniform(0.1, 1.0, instances), added)

    def _arguments(self, x: Floats) -> Floats:
        return self.h * (x - self._centres)

    def value(self, x: Floats) -> Floats:
        """Return the sum with its constants."""
        terms = self.c * 2 * np.sinh(self._arguments(x) / 2) ** 2
        return np.sum(terms + self.added, axis=1)

    def gap(self, x: Floats) -> Floats:
        """Return f(x) - f_star from x - minimiser: the difference would lose its digits.

        cosh(z* + d) - cosh(z*) = cosh(z*) (cosh d - 1) + sinh(z*) sinh(d), and at the minimiser
        sum c h sinh(z*) = 0, so that d may be taken off sinh(d).
        """
        at = self._arguments(self.minimiser)
        d = self.h * (x - self.minimiser)
        even = np.cosh(at) * 2 * np.sinh(d / 2) ** 2
        return np.maximum(np.sum(self.c * (even + np.sinh(at) * _sinh_rest(d)), axis=1), 0.0)

    def gradient(self, x: Floats) -> Floats:
        """Return the derivative, shape (instances, 1)."""
        return np.sum(self.c * self.h * np.sinh(self._arguments(x)), axis=1, keepdims=True)

    def hessian_action(self, x: Floats, v: Floats) -> Floats:
        """Return the second derivative times v."""
        bend = self.c * self.h**2 * np.cosh(self._arguments(x))
        return np.sum(bend, axis=1, keepdims=True) * v

    def radius(self, gap: Floats) -> Floats:
        """Return a bound by strong convexity."""
        return np.sqrt(2 * np.asarray(gap) / self.mu)

    def start(self, rng: Generator, gap: Floats) -> Floats:
        """Return points on either side."""
        return self.along(rng.choice([-1.0, 1.0], (self.instances, 1)), gap)


def _sinh_rest(d: Floats) -> Floats:
    """Return sinh(d) - d to full precision."""
    s = d * d
    series = d * s / 6 * (1 + s / 20 * (1 + s / 42 * (1 + s / 72 * (1 + s / 110))))
    return np.where(np.abs(d) < 0.5, series, np.sinh(d) - d)


@dataclass
class ProductCosh(Objective):
    """(H0/H1) (cosh(alpha x1) cosh(beta x2) - 1) in the plane, alpha^2 + beta^2 = H1.

    It is a sum of exponentials of vectors of squared length H1, so its law is (H0, H1); for
    alpha -> 0 no fixed step above 2 / (H0 + H1 gap0) is stable (B.4d).
    """

    H0: Floats  # curvature at the minimum, shape (instances,)
    H1: Floats  # its growth, shape (instances,)
    share: Floats  # alpha^2 / H1 in (0, 1), shape (instances,)

    def __post_init__(self) -> None:
        squares = np.stack([self.share, 1 - self.share], 1) * self.H1[:, None]
        self.rates, self._ratio = np.sqrt(squares), self.H0 / self.H1
        mu = self.H0 * squares[:, 0] * squares[:, 1] / self.H1**2
        name = "product cosh, l2, d = 2"
        self.know(name, Geometry("l2", 1), (2,), Law(self.H0, self.H1), mu)

    def _parts(self, x: Floats) -> tuple[Floats, Floats]:
        with np.errstate(over="ignore"):
            return np.cosh(self.rates * x), np.sinh(self.rates * x)

    def value(self, x: Floats) -> Floats:
        """Return f; written so that a small f keeps its digits."""
        half = 2 * np.sinh(self.rates * x / 2) ** 2
        return self._ratio * (half[:, 0] + half[:, 1] + half[:, 0] * half[:, 1])

    def gradient(self, x: Floats) -> Floats:
        """Return the gradient."""
        cosh, sinh = self._parts(x)
        return self._ratio[:, None] * self.rates * sinh * cosh[:, ::-1]

    def hessian_action(self, x: Floats, v: Floats) -> Floats:
        """Return the Hessian times v."""
        cosh, sinh = self._parts(x)
        along = self.rates**2 * (cosh[:, 0] * cosh[:, 1])[:, None] * v
        across = (self.rates.prod(1) * sinh.prod(1))[:, None] * v[:, ::-1]
        return self._ratio[:, None] * (along + across)

    def radius(self, gap: Floats) -> Floats:
        """Return a bound by mu-strong convexity and by each axis alone."""
        z = 2 * np.arcsinh(np.sqrt(gap / self._ratio / 2))
        axes = np.linalg.norm(z[:, None] / self.rates, axis=1)
        return np.minimum(axes, np.sqrt(2 * gap / self.mu))

    def start(self, rng: Generator, gap: Floats) -> Floats:
        """Return points in random directions."""
        angle = rng.uniform(0, 2 * np.pi, self.instances)
        return self.along(np.stack([np.cos(angle), np.sin(angle)], 1), gap)
