"""Gradient descent on the networks of `trained`, with the Hessian norm at logged steps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike

from autowarmup.lab.theory.bounds.networks import Bound
from autowarmup.lab.theory.law import Floats, Law
from autowarmup.lab.theory.networks import ToyCrossEntropy
from autowarmup.lab.theory.trained import Problem
from autowarmup.measure.hessian import hessian_extremes

TOLERANCE = 1e-4
"""Relative residual at which Lanczos, fully reorthogonalised, stops; the error is far below it."""
VACUOUS = 100.0
"""A bound that is more times the measured norm than this says nothing."""


@dataclass(frozen=True)
class Course:
    """One run.

    Attributes:
        step: logged ones.
        loss: at them.
        gap: loss minus the floor of the problem.
        norm: of the Hessian there.
        lr: rates used from there on.
        balance: what was measured of the weights, shape (logged, numbers), maybe none.
        bound: with the worst balance of the run in its constants: one (H0, H1) for all of it.
        here: the bound with the balance of each logged step.
    """

    step: list[int]
    loss: Floats
    gap: Floats
    norm: Floats
    lr: Floats
    balance: Floats
    bound: Bound
    here: Floats

    @property
    def bounds(self) -> Floats:
        """The bound at every logged step."""
        return self.bound.curvature(self.gap)

    @property
    def law(self) -> Law:
        """The pair (H0, H1) that touches the bound at the geometric mean of first and last gap."""
        return self.bound.law(float(np.sqrt(self.gap[0] * self.gap[-1])))


def logged(steps: int, points: int) -> list[int]:
    """Return step numbers from 0 to `steps`, dense at the start.

    Example:
        >>> logged(100, 6)
        [0, 1, 3, 10, 32, 100]
    """
    return [0, *(int(v) for v in np.unique(np.geomspace(1, steps, points - 1).round()))]


def descend(problem: Problem, steps: int, points: int) -> Course:
    """Run gradient descent and measure the Hessian norm at `points` of its steps.

    Raises:
        ValueError: the loss became nan or infinite, or Lanczos did not converge.
    """
    weights, marks = list(problem.model.parameters()), logged(steps, points)
    size = sum(w.numel() for w in weights)
    held: list[tuple[float, float, float]] = []
    balance: list[tuple[float, ...]] = []
    for step in range(steps + 1):
        loss = problem.loss()
        gradient = torch.autograd.grad(loss, weights)
        value = float(loss.detach())
        lr = problem.lr(value - problem.floor)
        if step in marks:
            found = hessian_extremes(
                problem.loss, weights, tol=TOLERANCE, most=min(size, 400), reorthogonalize=True
            )
            if not found.converged:
                raise ValueError(f"Lanczos: expected convergence, got residual {found.residual}")
            held.append((value, found.norm, lr))
            balance.append(problem.balance())
        with torch.no_grad():
            for weight, slope in zip(weights, gradient, strict=True):
                weight -= lr * slope
    loss_, norm, lr_ = np.array(held).T
    seen, gap = np.array(balance), loss_ - problem.floor
    here = [problem.bound(*b).curvature(g) for b, g in zip(balance, gap, strict=True)]
    return Course(marks, loss_, gap, norm, lr_, seen, _worst(problem, seen), np.array(here))


def _worst(problem: Problem, balance: Floats) -> Bound:
    """Return the bound whose hypotheses hold at every logged step of the run."""
    return problem.bound(*(float(value) for value in balance.max(0)))


def toy_course(steps: int = 3000, points: int = 14) -> tuple[Course, Floats]:
    """Descend the toy network of `two_layer_cross_entropy` and return the printed bound too.

    It starts 20 % beyond its minimiser, a little to the side, and f* is known.
    """
    net = ToyCrossEntropy()
    best = net.minimiser()
    f_star, w = net.value(best), 1.2 * best + np.array([0.0, 0.3, 0.0])
    marks, lr, held = logged(steps, points), 0.02, []
    for step in range(steps + 1):
        if step in marks:
            held.append((net.value(w), np.linalg.norm(net.hessian(w), 2)))
        w = w - lr * net.gradient(w)
    loss, norm = np.array(held).T
    gap = loss - f_star
    bound = _Line(net.C0 + net.C1 * f_star, net.C1)
    rates, none = np.full(len(loss), lr), np.zeros((len(loss), 0))
    here = bound.curvature(gap)
    return Course(marks, loss, gap, norm, rates, none, bound, here), net.C0 + net.C1 * gap


@dataclass(frozen=True)
class _Line(Bound):
    """H0 + H1 gap itself."""

    H0: float
    H1: float

    def curvature(self, gap: ArrayLike) -> Floats:
        return self.H0 + self.H1 * np.asarray(gap, dtype=float)

    def slope(self, gap: ArrayLike) -> Floats:
        return np.full(np.shape(gap), self.H1)
