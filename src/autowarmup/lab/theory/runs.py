"""Gradient descent and norm-constrained methods on many objectives side by side.

    x <- (1 - lambda eta) x - eta u,    u = the gradient (GD) or lmo(d), d a gradient estimate

`eta` comes from a rule (`theory.rules`), which sees the state before the step and, for
stochastic gradients, not the sample: rates that depend on the sample are outside the theorems.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from autowarmup.lab.theory.geometry import Floats
from autowarmup.lab.theory.objective import Objective

Momentum = Literal["none", "polyak", "lion", "nesterov"]

FAR = 1e100
"""A gap from here on counts as divergence; squares beyond it would overflow."""


@dataclass(frozen=True)
class Method:
    """How a step is made: by the lmo of the gradient estimate d ("lmo") or by d itself ("gd").

    "none": d = g; "polyak": d = m; "lion": d = beta1 m_before + (1 - beta1) g; "nesterov":
    d = (1 - beta) g + beta m; m = beta m_before + (1 - beta) g, m_before = g at the first step.
    """

    kind: Literal["lmo", "gd"] = "lmo"
    exact: bool = True  # the lmo of the spectral norm, or five steps of Newton-Schulz
    momentum: Momentum = "none"
    beta: float = 0.9  # of the average m
    beta1: float = 0.9  # of Lion's direction, <= beta
    weight_decay: float | Floats = 0.0  # decoupled
    noise: Callable[[Generator, Floats], Floats] | None = None  # (rng, g) -> what is added to g

    def __post_init__(self) -> None:
        if self.kind not in ("lmo", "gd"):
            raise ValueError(f"expected kind lmo or gd, got {self.kind!r}")
        if self.momentum not in ("none", "polyak", "lion", "nesterov"):
            raise ValueError(
                f"expected a momentum none/polyak/lion/nesterov, got {self.momentum!r}"
            )
        if not (0 <= self.beta < 1 and 0 <= self.beta1 <= self.beta):
            raise ValueError(f"expected 0 <= beta1 <= beta < 1, got {self.beta1} and {self.beta}")

    def estimate(self, g: Floats, m: Floats | None) -> tuple[Floats, Floats]:
        """Return d and the new average from the gradient that is seen and the old average."""
        before = g if m is None else m
        m = self.beta * before + (1 - self.beta) * g
        if self.momentum == "none":
            return g, m
        if self.momentum == "lion":
            return self.beta1 * before + (1 - self.beta1) * g, m
        return (m if self.momentum == "polyak" else (1 - self.beta) * g + self.beta * m), m


GD = Method("gd")


@dataclass(frozen=True)
class View:
    """What a rule may see before a step; every array has one entry per instance."""

    objective: Objective  # the functions
    x: Floats  # where the method stands
    gap: Floats  # f(x) - floor
    gradient: Floats  # the true one
    dual: Floats  # its dual norm
    u: Floats  # the direction against which the step goes
    slope: Floats  # <gradient, u>
    length: Floats  # norm of u
    step: int  # index of the step


Rule = Callable[[View], Floats]


@dataclass
class History:
    """What happened, step by step; arrays of shape (steps, instances)."""

    gap: Floats  # before each step and after the last, (steps + 1, instances); inf once it diverged
    distance: Floats  # to the minimiser, same shape as gap
    lr: Floats  # eta of each step
    dual: Floats  # dual norm of the gradient before each step
    slope: Floats  # <gradient, u>
    length: Floats  # norm of u
    error: Floats  # dual norm of d - gradient, 0 without momentum and noise
    x: Floats  # the last points

    @property
    def steps(self) -> int:
        """How many steps were made."""
        return len(self.lr)

    def count(self, eps: Floats | float) -> NDArray[np.int64]:
        """Return the first step at which gap <= eps, -1 where there was none."""
        reached = self.gap <= eps
        return np.where(reached.any(0), reached.argmax(0), -1)


def run(
    objective: Objective,
    x0: Floats,
    rule: Rule,
    *,
    method: Method | None = None,
    steps: int = 1000,
    until: Floats | float | None = None,
    floor: Floats | None = None,
    rng: Generator | None = None,
) -> History:
    """Run one method with one rule on every instance, by default the plain exact lmo method.

    Args:
        objective: the functions.
        x0: first points, shape (instances, *shape).
        rule: gives eta, shape (instances,).
        method: how a step is made.
        steps: at most so many.
        until: stop when every gap is at or below it.
        floor: what the gap is measured from, by default f_star (a constrained minimum for A.4).
        rng: randomness of the noise.
    """
    method = method or Method()
    expected = (objective.instances, *objective.shape)
    if x0.shape != expected:
        raise ValueError(f"expected first points of shape {expected}, got {x0.shape}")
    if method.noise is not None and rng is None:
        raise ValueError("expected an rng for the noise of the method, got None")
    decay = np.broadcast_to(np.asarray(method.weight_decay, float), (objective.instances,))
    expand, x, m = objective.geometry.expand, x0.copy(), None
    gaps, distances = [_gap(objective, x, floor)], [objective.distance(x)]
    taken: list[tuple[Floats, ...]] = []
    for step in range(steps):
        gap, alive = gaps[-1], np.isfinite(gaps[-1])
        if not alive.any() or (until is not None and np.all((gap <= until) | ~alive)):
            break
        view, m, error = _look(objective, method, x, gap, m, step, rng)
        lr = np.where(alive, rule(view), 0.0)
        x = np.where(expand(alive), expand(1 - decay * lr) * x - expand(lr) * view.u, x)
        with np.errstate(over="ignore", invalid="ignore"):
            after = _gap(objective, x, floor)
        # What has left the domain, or overflowed, stays outside.
        gaps.append(np.where(alive & (after < FAR), after, np.inf))
        distances.append(objective.distance(x))
        taken.append((lr, view.dual, view.slope, view.length, error))
    columns = np.array(taken).reshape(len(taken), 5, objective.instances).swapaxes(0, 1)
    return History(np.array(gaps), np.array(distances), *columns, x=x)


def _gap(objective: Objective, x: Floats, floor: Floats | None) -> Floats:
    # An objective may know its own gap to more digits than a difference has.
    return objective.gap(x) if floor is None else np.maximum(objective.value(x) - floor, 0.0)


def _look(
    objective: Objective,
    method: Method,
    x: Floats,
    gap: Floats,
    m: Floats | None,
    step: int,
    rng: Generator | None,
) -> tuple[View, Floats, Floats]:
    """Return what the rule sees, the new average, and the error of the estimate."""
    geometry = objective.geometry
    with np.errstate(over="ignore", invalid="ignore"):
        gradient = np.where(geometry.expand(np.isfinite(gap)), objective.gradient(x), 0.0)
    seen = gradient
    if method.noise is not None and rng is not None:
        seen = gradient + method.noise(rng, gradient)
    d, m = method.estimate(seen, m)
    plain, gd = method.momentum == "none" and method.noise is None, method.kind == "gd"
    u, dual = d if gd else geometry.lmo(d, exact=method.exact), geometry.dual(gradient)
    error = np.zeros(objective.instances) if plain else geometry.dual(d - gradient)
    exact = not gd and method.exact
    slope = dual if plain and exact else geometry.inner(gradient, u)
    length = (dual > 0).astype(float) if exact else geometry.norm(u)
    return View(objective, x, gap, gradient, dual, u, slope, length, step), m, error
