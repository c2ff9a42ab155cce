"""The objectives on which the theorems are checked, each for many instances side by side.

Every one states the constants that the theorems ask for; see `theory.objective` for the
contract and `theory.families` for random instances of each kind.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from autowarmup.lab.theory.geometry import Geometry
from autowarmup.lab.theory.law import Law
from autowarmup.lab.theory.objective import Objective, per_instance, ray_to_gap
from autowarmup.lab.theory.profiles import Profile

Floats = NDArray[np.float64]


@dataclass
class Radial(Objective):
    """c psi(h ||x||_2) for a profile psi: the law is law_psi.scale(c).affine(h).

    Args:
        profile: psi.
        c: height, shape (instances,).
        h: inverse width, shape (instances,).
        dimension: of a point.
    """

    profile: Profile
    c: Floats
    h: Floats
    dimension: int = 3

    def __post_init__(self) -> None:
        self.instances = len(self.c)
        self.shape = (self.dimension,)
        self.geometry = Geometry("l2", 1)
        self.name = f"radial {self.profile.name}, l2, d = {self.dimension}"
        self.law = self.profile.law.scale(self.c).affine(self.h)
        self.f_star = np.zeros(self.instances)
        self.minimiser = np.zeros((self.instances, self.dimension))
        self.mu = self.profile.mu * self.c * self.h**2
        self.zeta = per_instance(self.profile.zeta, self.instances)
        self.convex = self.profile.name not in ("star", "wavy")

    def _radius(self, x: Floats) -> Floats:
        return self.h * np.sqrt(np.sum(x * x, axis=-1))

    def value(self, x: Floats) -> Floats:
        """Return c psi(h ||x||)."""
        return self.c * self.profile.value(self._radius(x))

    def _slope_over_radius(self, z: Floats) -> Floats:
        tiny = z < 1e-12
        safe = np.where(tiny, 1.0, z)
        return np.where(tiny, self.profile.bend(np.zeros_like(z)), self.profile.slope(safe) / safe)

    def gradient(self, x: Floats) -> Floats:
        """Return c h^2 psi'(z) / z x with z = h ||x||."""
        factor = self.c * self.h**2 * self._slope_over_radius(self._radius(x))
        return factor[:, None] * x

    def hessian_action(self, x: Floats, v: Floats) -> Floats:
        """Return c h^2 (psi'/z v + (psi'' - psi'/z) <x, v> x / ||x||^2)."""
        z = self._radius(x)
        across = self._slope_over_radius(z)
        along = self.profile.bend(z) - across
        square = np.sum(x * x, axis=-1)
        part = np.divide(np.sum(x * v, axis=-1), square, out=np.zeros_like(z), where=square > 0)
        return (self.c * self.h**2)[:, None] * (across[:, None] * v + (along * part)[:, None] * x)

    def radius(self, gap: Floats) -> Floats:
        """Return the radius of the ball {gap <= gap}."""
        return self.profile.inverse(np.asarray(gap) / self.c) / self.h

    def start(self, rng: Generator, gap: Floats) -> Floats:
        """Return points in random directions."""
        direction = rng.standard_normal((self.instances, self.dimension))
        direction /= np.linalg.norm(direction, axis=-1, keepdims=True)
        if self.convex and self.profile.mu > 0:
            return direction * self.radius(gap)[:, None]
        return ray_to_gap(self, direction, gap, self.radius(gap) * (1 + 1e-9))


@dataclass
class Ridge(Objective):
    """Sum over i of c_i psi(<a_i, x>) for as many independent a_i as a point has entries; any norm.

    Term i has the law law_psi.scale(c_i).affine(||a_i||_*), and all share the minimiser 0, so the
    law is their sum. With a_i the unit vectors it is separable.

    Args:
        profile: psi.
        c: heights, shape (instances, n).
        a: directions, shape (instances, n, *shape), n the number of entries of a point.
        geometry: the norm.
    """

    profile: Profile
    c: Floats
    a: Floats
    geometry: Geometry

    def __post_init__(self) -> None:
        self.instances, self.shape = len(self.c), self.a.shape[2:]
        kind = "x".join(map(str, self.shape))
        self.name = f"ridge {self.profile.name}, {self.geometry.name}, {kind}"
        self._flat = self.a.reshape(self.instances, self.c.shape[1], -1)
        duals = self.geometry.dual(self.a)
        terms = [
            self.profile.law.scale(self.c[:, i]).affine(duals[:, i]) for i in range(self.c.shape[1])
        ]
        self.law = terms[0]
        for term in terms[1:]:
            self.law = self.law + term
        self.f_star = np.zeros(self.instances)
        self.minimiser = np.zeros((self.instances, *self.shape))
        # Every dual norm here is at least the Euclidean one, so PL follows from that of the terms.
        least = np.linalg.svd(self._flat, compute_uv=False)[:, -1]
        self.mu = self.profile.mu * least**2 * self.c.min(1)
        self.zeta = per_instance(self.profile.zeta, self.instances)
        self.convex = self.profile.name not in ("star", "wavy")

    @cached_property
    def _columns(self) -> Floats:
        """The points x with <a_i, x> = 1 and all other products 0, shape (instances, n, *shape)."""
        inverse = np.asarray(np.linalg.inv(self._flat), dtype=float)
        return np.swapaxes(inverse, 1, 2).reshape(self.a.shape)

    def products(self, x: Floats) -> Floats:
        """Return <a_i, x>, shape (instances, n)."""
        return np.einsum("bnk,bk->bn", self._flat, x.reshape(self.instances, -1))

    def _back(self, weights: Floats) -> Floats:
        flat = np.einsum("bnk,bn->bk", self._flat, weights)
        return flat.reshape(self.instances, *self.shape)

    def value(self, x: Floats) -> Floats:
        """Return the sum of the terms."""
        return np.sum(self.c * self.profile.value(self.products(x)), axis=1)

    def gradient(self, x: Floats) -> Floats:
        """Return the sum of c_i psi'(<a_i, x>) a_i."""
        return self._back(self.c * self.profile.slope(self.products(x)))

    def hessian_action(self, x: Floats, v: Floats) -> Floats:
        """Return the sum of c_i psi''(<a_i, x>) <a_i, v> a_i."""
        return self._back(self.c * self.profile.bend(self.products(x)) * self.products(v))

    def radius(self, gap: Floats) -> Floats:
        """Return a bound over the box |<a_i, x>| <= psi^-1(gap / c_i), which holds the set."""
        reach = self.profile.inverse(np.asarray(gap)[:, None] / self.c)
        if self.geometry.name == "linf":
            return np.einsum("bn,bn...->b...", reach, np.abs(self._columns)).reshape(
                self.instances, -1
            ).max(1)  # fmt: skip
        triangle = np.sum(reach * self.geometry.norm(self._columns), axis=1)
        if self.geometry.name == "l2":
            least = np.linalg.svd(self._flat, compute_uv=False)[:, -1]
            triangle = np.minimum(triangle, np.sqrt(np.sum(reach**2, axis=1)) / least)
        return triangle

    def start(self, rng: Generator, gap: Floats) -> Floats:
        """Return points that share the gap between the terms at random."""
        shares = rng.dirichlet(np.full(self.c.shape[1], 0.7), self.instances)
        shares = np.maximum(shares, 1e-9) / np.maximum(shares, 1e-9).sum(1, keepdims=True)
        z = self.profile.inverse(gap[:, None] * shares / self.c)
        z *= rng.choice([-1.0, 1.0], z.shape)
        return np.einsum("bn,bn...->b...", z, self._columns)


@dataclass
class Quadratic(Objective):
    """||x - centre||_2^2 / 2, measured in any norm: K0 = sup ||v||_* / ||v||.

    Args:
        centre: the minimiser, shape (instances, *shape).
        geometry: the norm; K0 is 1 for l2, the number of entries for linf, min(m, n) for spectral.
    """

    centre: Floats
    geometry: Geometry

    def __post_init__(self) -> None:
        self.instances, self.shape = len(self.centre), self.centre.shape[1:]
        kind = "x".join(map(str, self.shape))
        self.name = f"quadratic, {self.geometry.name}, {kind}"
        sizes = {"l2": 1, "linf": int(np.prod(self.shape)), "spectral": min(self.shape)}
        self.law = Law(per_instance(sizes[self.geometry.name], self.instances))
        self.minimiser, self.f_star = self.centre, np.zeros(self.instances)
        self.mu = self.zeta = np.ones(self.instances)

    def value(self, x: Floats) -> Floats:
        """Return half the squared Euclidean distance."""
        return self.geometry.inner(x - self.centre, x - self.centre) / 2

    def gradient(self, x: Floats) -> Floats:
        """Return x - centre."""
        return x - self.centre

    def hessian_action(self, x: Floats, v: Floats) -> Floats:
        """Return v."""
        return v.copy()

    def radius(self, gap: Floats) -> Floats:
        """Return the Euclidean radius, no norm here being larger."""
        return np.sqrt(2 * np.asarray(gap))

    def start(self, rng: Generator, gap: Floats) -> Floats:
        """Return points in random directions."""
        v = rng.standard_normal((self.instances, *self.shape))
        length = np.sqrt(self.geometry.inner(v, v) / (2 * gap))
        return self.centre + v / self.geometry.expand(length)


class Moved(Objective):
    """f(x - by): the same constants with another minimiser.

    Args:
        objective: f.
        by: shape (instances, *shape).
    """

    def __init__(self, objective: Objective, by: Floats) -> None:
        for name in ("geometry", "shape", "instances", "law", "f_star", "mu", "zeta", "convex"):
            setattr(self, name, getattr(objective, name))
        self.objective, self.by, self.name = objective, by, f"{objective.name}, moved"
        self.minimiser = objective.minimiser + by

    def value(self, x: Floats) -> Floats:
        """Return f(x - by)."""
        return self.objective.value(x - self.by)

    def gradient(self, x: Floats) -> Floats:
        """Return the gradient."""
        return self.objective.gradient(x - self.by)

    def hessian_action(self, x: Floats, v: Floats) -> Floats:
        """Return the Hessian times v."""
        return self.objective.hessian_action(x - self.by, v)

    def radius(self, gap: Floats) -> Floats:
        """Return that of f."""
        return self.objective.radius(gap)

    def start(self, rng: Generator, gap: Floats) -> Floats:
        """Return moved points of f."""
        return self.objective.start(rng, gap) + self.by
