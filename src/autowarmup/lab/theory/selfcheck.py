"""Does an objective have the constants that it states? Dense samples against every one of them.

The curvature is sup ||H v||_* / ||v||. From random directions v <- lmo(H v) climbs to a local
maximum of it in any norm, so a stated law that is too small somewhere is seen there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from autowarmup.lab.theory.families import log_uniform
from autowarmup.lab.theory.objective import Objective

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Finding:
    """One constant against samples of what it bounds, `measured <= bound` where it is right.

    Attributes:
        constant: "law", "mu", "zeta", "radius", "f_star", "gradient" or "Hessian".
        measured: sampled values, shape (samples, instances).
        bound: what the constant says of them, same shape.
    """

    constant: str
    measured: Floats
    bound: Floats

    @property
    def margin(self) -> Floats:
        """(bound - measured) / bound, in the worst sample of each instance."""
        scale = np.maximum(np.abs(self.bound), 1e-300)
        return ((self.bound - self.measured) / scale).min(0)


def curvature(objective: Objective, x: Floats, rng: Generator, climbs: int = 8) -> Floats:
    """Return a lower bound of the operator norm of the Hessian at x, shape (instances,)."""
    geometry, best = objective.geometry, np.zeros(objective.instances)
    for first in (rng.standard_normal(x.shape), objective.gradient(x)):
        v = geometry.lmo(first)
        for _ in range(climbs):
            turned = objective.hessian_action(x, v)
            length = geometry.norm(v)
            ratio = np.divide(
                geometry.dual(turned), length, out=np.zeros_like(best), where=length > 0
            )
            best = np.maximum(best, ratio)
            v = geometry.lmo(turned)
    return best


def self_check(
    objective: Objective, rng: Generator, samples: int = 20, gaps: tuple[float, float] = (1e-3, 1e2)
) -> list[Finding]:
    """Compare all stated constants with samples at gaps over orders of magnitude.

    Args:
        objective: what states them.
        rng: where the samples come from.
        samples: points per instance.
        gaps: from the least to the largest gap, in multiples of K0 times a squared length of 1.
    """
    rows: dict[str, list[tuple[Floats, Floats]]] = {}
    for _ in range(samples):
        gap = log_uniform(rng, *gaps, objective.instances)
        x = objective.start(rng, gap)
        gap, gradient = objective.gap(x), objective.gradient(x)
        for name, pair in _at(objective, x, gap, gradient, rng).items():
            rows.setdefault(name, []).append(pair)
    return [
        Finding(name, np.array([m for m, _ in pairs]), np.array([b for _, b in pairs]))
        for name, pairs in rows.items()
    ]


def _at(
    objective: Objective, x: Floats, gap: Floats, gradient: Floats, rng: Generator
) -> dict[str, tuple[Floats, Floats]]:
    geometry, dual = objective.geometry, objective.geometry.dual(gradient)
    slope = geometry.inner(gradient, x - objective.minimiser)
    found = {
        "law": (curvature(objective, x, rng), objective.law.K(gap)),
        "mu": (2 * objective.mu * gap, dual**2),
        "zeta": (objective.zeta * gap, slope),
        "radius": (objective.distance(x), objective.radius(gap)),
        "f_star": (objective.f_star - objective.value(x), np.zeros_like(gap)),
    }
    return found | _derivatives(objective, x, dual, rng)


def _derivatives(
    objective: Objective, x: Floats, dual: Floats, rng: Generator
) -> dict[str, tuple[Floats, Floats]]:
    """Compare gradient and Hessian with central differences, to 1e-5 of their size."""
    geometry = objective.geometry
    v = geometry.lmo(rng.standard_normal(x.shape))
    h = 1e-5 * np.maximum(objective.distance(x), 1e-8)
    step = geometry.expand(h) * v
    rise = (objective.value(x + step) - objective.value(x - step)) / (2 * h)
    off = np.abs(rise - geometry.inner(objective.gradient(x), v))
    action = objective.hessian_action(x, v)
    turn = (objective.gradient(x + step) - objective.gradient(x - step)) / geometry.expand(2 * h)
    size = geometry.dual(action) + objective.law.K0
    return {
        "gradient": (off, 1e-5 * (dual + np.abs(objective.f_star) + 1e-3)),
        "Hessian": (geometry.dual(turn - action), 1e-5 * size),
    }
