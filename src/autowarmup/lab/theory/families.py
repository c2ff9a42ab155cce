"""Random instances of every kind of objective: `FAMILIES[name](rng, instances)`.

Heights and widths are drawn over orders of magnitude, so that no unit is favoured.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.random import Generator

from autowarmup.lab.theory import profiles
from autowarmup.lab.theory.cosh_objectives import CoshPair, ProductCosh
from autowarmup.lab.theory.geometry import Floats, Geometry, Name
from autowarmup.lab.theory.objective import Objective
from autowarmup.lab.theory.objectives import Quadratic, Radial, Ridge
from autowarmup.lab.theory.profiles import Profile

Family = Callable[[Generator, int], Objective]


def log_uniform(rng: Generator, low: float, high: float, *shape: int) -> Floats:
    """Return numbers between low and high, evenly spread in the logarithm."""
    return np.exp(rng.uniform(np.log(low), np.log(high), shape))


def _pair(rng: Generator, instances: int) -> tuple[Floats, Floats]:
    return log_uniform(rng, 0.1, 10, instances), log_uniform(rng, 0.1, 10, instances)


def radial(profile: Profile, dimension: int) -> Family:
    """Return the family c psi(h ||x||)."""
    return lambda rng, instances: Radial(profile, *_pair(rng, instances), dimension)


def ridge(profile: Profile, norm: Name, shape: tuple[int, ...], *, tilt: float = 0.0) -> Family:
    """Return the family of ridge sums whose directions are an orthonormal basis, tilted."""

    def make(rng: Generator, instances: int) -> Ridge:
        n = int(np.prod(shape))
        if norm == "spectral":
            basis = np.linalg.qr(rng.standard_normal((instances, n, n)))[0]
        else:
            basis = np.broadcast_to(np.eye(n), (instances, n, n))
        directions = basis + tilt * rng.standard_normal((instances, n, n)) / n
        directions = directions * log_uniform(rng, 0.3, 3, instances)[:, None, None]
        c = log_uniform(rng, 0.1, 10, instances)[:, None] * log_uniform(rng, 0.7, 1.4, instances, n)
        a = directions.reshape(instances, n, *shape)
        return Ridge(profile, c, a, Geometry(norm, len(shape)))

    return make


def separable(profile: Profile, n: int) -> Family:
    """Return the family A sum psi(b x_i) in l_inf with equal terms, the one of the rho = 2 law."""

    def make(rng: Generator, instances: int) -> Ridge:
        A, b = _pair(rng, instances)
        a = np.broadcast_to(np.eye(n), (instances, n, n)) * b[:, None, None]
        return Ridge(profile, np.repeat(A[:, None], n, 1), a, Geometry("linf", 1))

    return make


def product_cosh(rng: Generator, instances: int) -> ProductCosh:
    """Return random products of two cosh in the plane."""
    return ProductCosh(*_pair(rng, instances), rng.uniform(0.1, 0.9, instances))


def quadratic(norm: Name, shape: tuple[int, ...]) -> Family:
    """Return quadratics around random centres."""
    return lambda rng, instances: Quadratic(
        rng.standard_normal((instances, *shape)), Geometry(norm, len(shape))
    )


FAMILIES: dict[str, Family] = {
    "radial cosh, l2": radial(profiles.COSH, 3),
    "radial core and tail, l2": radial(profiles.CORE_TAIL, 2),
    "radial tan2, l2": radial(profiles.TAN2, 3),
    "Huber, l2": radial(profiles.HUBER, 2),
    "star-convex, l2": radial(profiles.STAR, 1),
    "wavy, l2": radial(profiles.WAVY, 1),
    "product cosh, l2": product_cosh,
    "ridge cosh, l2": ridge(profiles.COSH, "l2", (4,), tilt=0.5),
    "ridge cosh, linf": ridge(profiles.COSH, "linf", (4,), tilt=0.5),
    "ridge cosh, spectral": ridge(profiles.COSH, "spectral", (2, 3)),
    "separable tan2, linf": separable(profiles.TAN2, 4),
    "ridge tan2, spectral": ridge(profiles.TAN2, "spectral", (2, 2)),
    "ridge square, linf": ridge(profiles.SQUARE, "linf", (4,), tilt=0.5),
    "quadratic, l2": quadratic("l2", (4,)),
    "quadratic, linf": quadratic("linf", (4,)),
    "quadratic, spectral": quadratic("spectral", (3, 2)),
    "shifted cosh pair, l2": CoshPair.random,
}
