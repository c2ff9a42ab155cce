"""The objectives on which the theorems are checked, each for many instances side by side.

See `theory.objective` for the contract, `theory.families` for random instances of each kind.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.random import Generator

from autowarmup.lab.theory.geometry import Floats, Geometry
from autowarmup.lab.theory.law import Law
from autowarmup.lab.theory.objective import Objective
from autowarmup.lab.theory.profiles import Profile


@dataclass
class Radial(Objective):
    """c psi(h ||x - centre||_2) for a profile psi: the law is law_psi.scale(c).affine(h)."""

    profile: Profile  # psi
    c: Floats  # height, shape (instances,)
    h: Floats  # inverse width, shape (instances,)
    dimension: int = 3  # of a point
    centre: Floats | None = None  # the minimiser, shape (instances, dimension); 0 by default

    def __post_init__(self) -> None:
        psi, shape = self.profile, (self.dimension,)
        self.know(
            f"radial {psi.name}, l2, d = {self.dimension}", Geometry("l2", 1), shape,
            psi.law.scale(self.c).affine(self.h), psi.mu * self.c * self.h**2,
            zeta=psi.zeta, convex=psi.convex, minimiser=self.centre,
        )  # fmt: skip

    def _parts(self, x: Floats) -> tuple[Floats, Floats]:
        """Return x - centre and z = h ||x - centre||."""
        x = x - self.minimiser
        return x, self.h * np.sqrt(np.sum(x * x, axis=-1))

    def _slope_over_radius(self, z: Floats) -> Floats:
        tiny = z < 1e-12
        safe = np.where(tiny, 1.0, z)
        return np.where(tiny, self.profile.bend(np.zeros_like(z)), self.profile.slope(safe) / safe)

    def value(self, x: Floats) -> Floats:
        """Return c psi(z)."""
        return self.c * self.profile.value(self._parts(x)[1])

    def gradient(self, x: Floats) -> Floats:
        """Return c h^2 psi'(z) / z x."""
        x, z = self._parts(x)
        return (self.c * self.h**2 * self._slope_over_radius(z))[:, None] * x

    def hessian_action(self, x: Floats, v: Floats) -> Floats:
        """Return c h^2 (psi'/z v + (psi'' - psi'/z) <x, v> x / ||x||^2)."""
        x, z = self._parts(x)
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
            return self.minimiser + direction * self.radius(gap)[:, None]
        return self.along(direction, gap)


@dataclass
class Ridge(Objective):
    """Sum over i of c_i psi(<a_i, x>) for as many independent a_i as a point has entries; any norm.

    Term i has the law law_psi.scale(c_i).affine(||a_i||_*), and all share the minimiser 0, so the
    law is their sum. With a_i the unit vectors it is separable.
    """

    profile: Profile  # psi
    c: Floats  # heights, shape (instances, n)
    a: Floats  # directions, shape (instances, n, *shape), n the number of entries of a point
    geometry: Geometry  # the norm

    def __post_init__(self) -> None:
        psi, shape, n = self.profile, self.a.shape[2:], self.c.shape[1]
        self._flat = self.a.reshape(len(self.c), n, -1)
        duals = self.geometry.dual(self.a)
        law, *others = (psi.law.scale(self.c[:, i]).affine(duals[:, i]) for i in range(n))
        for term in others:
            law = law + term
        # Every dual norm here is at least the Euclidean one, so PL follows from that of the terms.
        self._least = np.linalg.svd(self._flat, compute_uv=False)[:, -1]
        self.know(
            f"ridge {psi.name}, {self.geometry.name}, {'x'.join(map(str, shape))}",
            self.geometry, shape, law, psi.mu * self._least**2 * self.c.min(1),
            zeta=psi.zeta, convex=psi.convex,
        )  # fmt: skip

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
            corner = np.einsum("bn,bn...->b...", reach, np.abs(self._columns))
            return corner.reshape(self.instances, -1).max(1)
        triangle = np.sum(reach * self.geometry.norm(self._columns), axis=1)
        if self.geometry.name == "l2":
            triangle = np.minimum(triangle, np.sqrt(np.sum(reach**2, axis=1)) / self._least)
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

    K0 is 1 for l2, the number of entries for linf, min(m, n) for spectral.
    """

    centre: Floats
    geometry: Geometry

    def __post_init__(self) -> None:
        shape, one = self.centre.shape[1:], np.ones(len(self.centre))
        sizes = {"l2": 1, "linf": int(np.prod(shape)), "spectral": min(shape)}
        self.know(
            f"quadratic, {self.geometry.name}, {'x'.join(map(str, shape))}", self.geometry, shape,
            Law(sizes[self.geometry.name] * one), one, minimiser=self.centre,
        )  # fmt: skip

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
