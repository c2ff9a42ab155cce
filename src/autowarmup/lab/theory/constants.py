"""Does an objective have the constants that it states? Dense samples against every one of them.

The curvature is sup ||H v||_* / ||v||. From random directions v <- lmo(H v) climbs to a local
maximum of it in any norm, so a stated law that is too small somewhere is seen there.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from autowarmup.lab.theory.families import log_uniform
from autowarmup.lab.theory.geometry import Floats
from autowarmup.lab.theory.objective import Objective


def curvature(objective: Objective, x: Floats, rng: Generator, climbs: int = 8) -> Floats:
    """Return a lower bound of the operator norm of the Hessian at x, shape (instances,)."""
    geometry, best = objective.geometry, np.zeros(objective.instances)
    for first in (rng.standard_normal(x.shape), objective.gradient(x)):
        v = geometry.lmo(first)
        for _ in range(climbs):
            turned, length = objective.hessian_action(x, v), geometry.norm(v)
            ratio = np.zeros_like(best)
            np.divide(geometry.dual(turned), length, out=ratio, where=length > 0)
            best, v = np.maximum(best, ratio), geometry.lmo(turned)
    return best


def compare_with_samples(
    objective: Objective, rng: Generator, samples: int = 20, gaps: tuple[float, float] = (1e-3, 1e2)
) -> dict[str, tuple[Floats, Floats]]:
    """Return constant -> (what it bounds, the bound), each of shape (samples, instances).

    The first is at most the second where the constant is right; gaps are spread over the range.
    """
    found = []
    for _ in range(samples):
        x = objective.start(rng, log_uniform(rng, *gaps, objective.instances))
        found.append(_at(objective, x, rng))
    both = {name: np.array([sample[name] for sample in found]) for name in found[0]}
    return {name: (pairs[:, 0], pairs[:, 1]) for name, pairs in both.items()}


def _at(objective: Objective, x: Floats, rng: Generator) -> dict[str, tuple[Floats, Floats]]:
    """Return (measured, bound) of every constant; derivatives by central differences, to 1e-5."""
    geometry, gap, gradient = objective.geometry, objective.gap(x), objective.gradient(x)
    dual, slope = geometry.dual(gradient), geometry.inner(gradient, x - objective.minimiser)
    found = {
        "law": (curvature(objective, x, rng), objective.law.K(gap)),
        "mu": (2 * objective.mu * gap, dual**2),
        "zeta": (objective.zeta * gap, slope),
        "radius": (objective.distance(x), objective.radius(gap)),
        "f_star": (objective.f_star - objective.value(x), np.zeros_like(gap)),
    }
    v = geometry.lmo(rng.standard_normal(x.shape))
    h = 1e-5 * np.maximum(objective.distance(x), 1e-8)
    ahead, behind = x + geometry.expand(h) * v, x - geometry.expand(h) * v
    rise = (objective.value(ahead) - objective.value(behind)) / (2 * h)
    turn = (objective.gradient(ahead) - objective.gradient(behind)) / geometry.expand(2 * h)
    action = objective.hessian_action(x, v)
    size = geometry.dual(action) + objective.law.K0
    found["gradient"] = (
        np.abs(rise - geometry.inner(gradient, v)),
        1e-5 * (dual + np.abs(objective.f_star) + 1e-3),
    )
    # With a kink between the two points (Huber's function has one) there is nothing to compare.
    jump = objective.hessian_action(ahead, v) - objective.hessian_action(behind, v)
    off = np.where(geometry.dual(jump) < 0.1 * size, geometry.dual(turn - action), 0.0)
    found["Hessian"] = off, 1e-5 * size
    return found
