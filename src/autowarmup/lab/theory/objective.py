"""The contract of an objective of which everything is known, for many instances side by side.

An objective holds arrays whose first axis counts its instances; a point is an array of shape
(instances, *shape). Outside its domain the value is inf. `theory.constants` compares what it states
with dense samples.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
from numpy.random import Generator

from autowarmup.lab.theory.geometry import Floats, Geometry, bisect
from autowarmup.lab.theory.law import Law


class Objective(ABC):
    """What the theorems know of a function; every constant is a number per instance."""

    name: str  # what it is called in tables
    geometry: Geometry  # norm and axes of a point
    shape: tuple[int, ...]  # of a point
    instances: int  # how many functions stand side by side
    law: Law  # curvature bound K, in the norm of `geometry`
    f_star: Floats  # infimum, shape (instances,)
    minimiser: Floats  # shape (instances, *shape)
    mu: Floats  # dual norm of the gradient squared >= 2 mu gap; 0 where that fails
    zeta: Floats  # <gradient, x - minimiser> >= zeta gap; 1 star-convex, 0 unknown
    convex: bool  # whether it is convex

    def know(
        self,
        name: str,
        geometry: Geometry,
        shape: tuple[int, ...],
        law: Law,
        mu: Floats,
        *,
        zeta: float = 1.0,
        convex: bool = True,
        minimiser: Floats | None = None,
    ) -> None:
        """Set all attributes; by default the infimum and the minimiser are 0."""
        self.name, self.geometry, self.shape, self.law = name, geometry, shape, law
        self.instances, self.mu, self.convex = len(mu), mu, convex
        self.zeta, self.f_star = np.full(self.instances, zeta), np.zeros(self.instances)
        origin = np.zeros((self.instances, *shape))
        self.minimiser = origin if minimiser is None else minimiser

    @abstractmethod
    def value(self, x: Floats) -> Floats:
        """Return f at one point per instance, shape (instances,); inf outside the domain."""

    @abstractmethod
    def gradient(self, x: Floats) -> Floats:
        """Return the gradient, shape (instances, *shape)."""

    @abstractmethod
    def hessian_action(self, x: Floats, v: Floats) -> Floats:
        """Return the Hessian at x times v, shape (instances, *shape)."""

    @abstractmethod
    def radius(self, gap: Floats) -> Floats:
        """Return a bound of ||x - minimiser|| over the points with at most this gap."""

    @abstractmethod
    def start(self, rng: Generator, gap: Floats) -> Floats:
        """Return random points whose gaps are these, to rounding where that has a closed form."""

    def gap(self, x: Floats) -> Floats:
        """Return f(x) - f_star, never negative; without cancellation where that is possible."""
        return np.maximum(self.value(x) - self.f_star, 0.0)

    def distance(self, x: Floats) -> Floats:
        """Return ||x - minimiser||."""
        return self.geometry.norm(x - self.minimiser)

    def along(self, direction: Floats, gap: Floats) -> Floats:
        """Return minimiser + t direction with this gap, t > 0, for a gap that rises along it."""

        def point(t: Floats) -> Floats:
            return self.minimiser + self.geometry.expand(t) * direction

        with np.errstate(over="ignore"):
            end = self.radius(gap) * (1 + 1e-9)
            t = bisect(lambda t: self.gap(point(t)) > gap, np.zeros(self.instances), end, 200)
        return point(t)
