"""The quantities that a probe of one step sees, one per function, and the reference probe.

A step moves x to x + d. Both losses and both gradients are taken on the SAME batch, before and
after. ||.|| is the primal norm of the optimizer, ||.||_* its dual (arXiv 2602.05813, assumption and
its measurement). `CurvatureObserver` finds the same numbers inside a training loop.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from autowarmup.measure.blocks import Counted
from autowarmup.measure.passes import Closure, gradient_of, inner, moved


def K_secant(difference_dual: float, step_norm: float) -> float:
    """Return ||g(x + d) - g(x)||_* / ||d||, the ratio that paper A plots against the gap.

    It bounds the curvature along the segment from below: gradients that agree at both ends say
    nothing about what lies between. It belongs to the larger of the two gaps at the ends.

    Args:
        difference_dual: dual norm of the difference of the gradients, loss per length.
        step_norm: primal norm of the step.

    Example:
        >>> K_secant(difference_dual=3.0, step_norm=0.5)
        6.0
    """
    return _ratio(difference_dual, step_norm)


def K_directional(loss: float, loss_after: float, slope: float, step_norm: float) -> float:
    """Return 2 (f(x + d) - f(x) - <g, d>) / ||d||^2, the number that the descent lemma uses.

    Args:
        loss: f(x).
        loss_after: f(x + d), same batch.
        slope: <g(x), d>, negative for a step downhill.
        step_norm: primal norm of the step.

    Example:
        f = x^2 / 2 from 2 to 1 has curvature 1 all along:

        >>> K_directional(loss=2.0, loss_after=0.5, slope=-2.0, step_norm=1.0)
        1.0
    """
    return _ratio(2.0 * (loss_after - loss - slope), step_norm**2)


def K_next_batch(loss_before: float, loss: float, slope_after: float, step_norm: float) -> float:
    """Return 2 (<g'(x), d> - (f'(x) - f'(x - d))) / ||d||^2 on a batch f' drawn after the step.

    The step d did not depend on this batch, so both terms are unbiased for the expected loss
    (rule 1 of the project's notes on closed-loop rates); on the batch that made the step, the
    decrease is larger than expected.

    Args:
        loss_before: f' at the weights before the step.
        loss: f' at the weights after the step.
        slope_after: <g', d> at the weights after the step.
        step_norm: primal norm of the step.

    Example:
        >>> K_next_batch(loss_before=2.0, loss=0.5, slope_after=-1.0, step_norm=1.0)
        1.0
    """
    return _ratio(2.0 * (slope_after - (loss - loss_before)), step_norm**2)


def trust_ratio(loss: float, loss_after: float, slope: float) -> float:
    """Return the actual decrease over the first-order one, (f(x) - f(x + d)) / -<g, d>.

    1 for a tiny step, 1/2 for the best step on a parabola, below 0 where the loss rose.

    Example:
        >>> trust_ratio(loss=2.0, loss_after=0.5, slope=-2.0)
        0.75
    """
    return _ratio(loss - loss_after, -slope)


def alignment(slope: float, grad_dual: float, step_norm: float) -> float:
    """Return -<g, d> / (||g||_* ||d||): 1 for the steepest step of this length, -1 straight uphill.

    All three are taken over the parameters that count.

    Example:
        >>> alignment(slope=-2.0, grad_dual=4.0, step_norm=1.0)
        0.5
    """
    return _ratio(-slope, grad_dual * step_norm)


def _ratio(above: float, below: float) -> float:
    return above / below if below != 0.0 else math.nan


@dataclass(frozen=True)
class Probe:
    """What one step shows; the names are those of `Point`, and `slope` is <g, d>."""

    loss: float
    loss_after: float
    slope: float
    step_norm: float
    grad_dual: float
    K: float
    K_dir: float
    trust_ratio: float
    alignment: float


def probe_step(closure: Closure, counted: Counted, move: Sequence[Tensor]) -> Probe:
    """Measure one step without taking it: the readable reference of `CurvatureObserver`.

    Keeps two gradients and the weights at once. Weights are restored bit for bit; gradients that
    lie in `.grad` are left alone.

    Args:
        closure: returns the scalar loss, with its graph, on the same batch at every call.
        counted: which parameters count, see `count_parameters`.
        move: the step d, one tensor for each of `counted.parameters`, of its shape.

    Raises:
        ValueError: a closure without a scalar loss and its graph.

    Example:
        >>> import torch
        >>> from autowarmup.measure.blocks import count_parameters
        >>> x = torch.nn.Parameter(torch.tensor([2.0, 0.0]))
        >>> counted = count_parameters([torch.optim.SGD([x], lr=1.0)])
        >>> seen = probe_step(lambda: (x @ x) / 2, counted, [torch.tensor([-1.0, 0.0])])
        >>> seen.K, seen.K_dir, seen.trust_ratio, seen.alignment
        (1.0, 1.0, 0.75, 1.0)
    """
    parameters = counted.parameters
    loss, before = gradient_of(closure, parameters)
    with moved(parameters, move):
        loss_after, after = gradient_of(closure, parameters)
    step_norm = counted.norm(move[i] for i in counted.indices)
    grad_dual = counted.dual(before[i] for i in counted.indices)
    difference = counted.dual(after[i] - before[i] for i in counted.indices)
    slope = inner(zip(before, move, strict=True))
    slope_counted = inner((before[i], move[i]) for i in counted.indices)
    return Probe(
        loss=loss,
        loss_after=loss_after,
        slope=slope,
        step_norm=step_norm,
        grad_dual=grad_dual,
        K=K_secant(difference, step_norm),
        K_dir=K_directional(loss, loss_after, slope, step_norm),
        trust_ratio=trust_ratio(loss, loss_after, slope),
        alignment=alignment(slope_counted, grad_dual, step_norm),
    )
