"""Gradient descent on a network, with the Hessian norm at logged steps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from autowarmup.lab.theory.bounds.networks import Bound
from autowarmup.lab.theory.law import Floats, Law
from autowarmup.lab.theory.networks import Bounded
from autowarmup.measure.hessian import hessian_extremes

TOLERANCE = 1e-4
"""Relative residual at which Lanczos, fully reorthogonalised, stops; the error is far below it."""
VACUOUS = 100.0
"""A bound that is more times the measured norm than this says nothing."""


@dataclass(frozen=True)
class HessianRun:
    """One run."""

    step: list[int]  # logged ones
    loss: Floats  # at them
    gap: Floats  # loss minus the lower bound of the problem
    norm: Floats  # of the Hessian there
    lr: Floats  # rates used from there on
    balance: Floats  # what was measured of the weights, shape (logged, numbers), maybe none
    bound: Bound  # with the worst balance of the run in its constants: one (H0, H1) for all of it
    here: Floats  # the bound with the balance of each logged step

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


def descend(bounded: Bounded, steps: int, points: int, tol: float = TOLERANCE) -> HessianRun:
    """Run gradient descent and measure the Hessian norm at `points` of its steps.

    Raises:
        ValueError: the loss became nan or infinite, or Lanczos did not converge.
    """
    problem, marks = bounded.problem, logged(steps, points)
    weights = list(problem.model.parameters())
    size = sum(w.numel() for w in weights)
    held: list[tuple[float, float, float]] = []
    balance: list[tuple[float, ...]] = []
    for step in range(steps + 1):
        loss = problem.loss()
        gradient = torch.autograd.grad(loss, weights)
        value = float(loss.detach())
        lr = bounded.lr(value - problem.lower_bound)
        if step in marks:
            found = hessian_extremes(
                problem.loss, weights, tol=tol, most=min(size, 400), reorthogonalize=True
            )
            if not found.converged:
                raise ValueError(f"Lanczos: expected convergence, got residual {found.residual}")
            held.append((value, found.norm, lr))
            balance.append(bounded.balance())
        with torch.no_grad():
            for weight, slope in zip(weights, gradient, strict=True):
                weight -= lr * slope
    loss_, norm, lr_ = np.array(held).T
    seen, gap = np.array(balance), loss_ - problem.lower_bound
    here = [bounded.bound(*b).curvature(g) for b, g in zip(balance, gap, strict=True)]
    worst = bounded.bound(*(float(value) for value in seen.max(0)))
    return HessianRun(marks, loss_, gap, norm, lr_, seen, worst, np.array(here))
