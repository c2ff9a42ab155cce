"""What one step shows, and the readable reference of how it is measured.

A step moves x to x + d. Both losses and both gradients are taken on the SAME batch, before and
after. ||.|| is the primal norm of the optimizer, ||.||_* its dual (arXiv 2602.05813, assumption and
its measurement). `CurvatureObserver` finds the same numbers inside a training loop.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from autowarmup.measure.blocks import CountedParameters
from autowarmup.measure.passes import Closure, gradient_of, inner, moved


def K_secant(difference_dual: float, step_norm: float) -> float:
    """Return ||g(x + d) - g(x)||_* / ||d||, the ratio that paper A plots against the gap.

    It bounds the curvature along the segment from below: gradients that agree at both ends say
    nothing about what lies between. It belongs to the larger of the two gaps at the ends.
    """
    return _ratio(difference_dual, step_norm)


def K_next_batch(loss_before: float, loss: float, slope_after: float, step_norm: float) -> float:
    """Return 2 (<g'(x), d> - (f'(x) - f'(x - d))) / ||d||^2 on a batch f' drawn after the step.

    The step d did not depend on this batch, so both terms are unbiased for the expected loss; on
    the batch that made the step, the decrease is larger than expected. `slope_after` is <g', d> at
    the weights after the step.
    """
    return _ratio(2.0 * (slope_after - (loss - loss_before)), step_norm**2)


def _ratio(above: float, below: float) -> float:
    return above / below if below != 0.0 else math.nan


@dataclass(frozen=True)
class Probe:
    """What one step shows; the names are those of `Point`.

    Attributes:
        loss: f(x).
        loss_after: f(x + d), same batch.
        slope: <g, d>, negative for a step downhill.
        step_norm: ||d||.
        grad_dual: ||g||_*.
        K: see `K_secant`.
        K_dir: 2 (f(x + d) - f(x) - <g, d>) / ||d||^2, the number that the descent lemma uses.
        trust_ratio: (f(x) - f(x + d)) / -<g, d>: 1 for a tiny step, 1/2 for the best step on a
            parabola, below 0 where the loss rose.
        alignment: -<g, d> / (||g||_* ||d||) over the parameters that count: 1 for the steepest step
            of this length, -1 straight uphill.
    """

    loss: float
    loss_after: float
    slope: float
    step_norm: float
    grad_dual: float
    K: float
    K_dir: float
    trust_ratio: float
    alignment: float

    @classmethod
    def of(
        cls,
        losses: tuple[float, float],
        slope: float,
        slope_counted: float,
        step_norm: float,
        grad_dual: float,
        difference_dual: float,
    ) -> Probe:
        """Return all quantities of a step: losses before and after, slopes over all and counted."""
        loss, loss_after = losses
        return cls(
            loss=loss,
            loss_after=loss_after,
            slope=slope,
            step_norm=step_norm,
            grad_dual=grad_dual,
            K=K_secant(difference_dual, step_norm),
            K_dir=_ratio(2.0 * (loss_after - loss - slope), step_norm**2),
            trust_ratio=_ratio(loss - loss_after, -slope),
            alignment=_ratio(-slope_counted, grad_dual * step_norm),
        )


def probe_step(closure: Closure, counted: CountedParameters, move: Sequence[Tensor]) -> Probe:
    """Measure one step without taking it: the readable reference of `CurvatureObserver`.

    Keeps two gradients and the weights at once. Weights are restored bit for bit; gradients that
    lie in `.grad` are left alone.

    Args:
        closure: returns the scalar loss, with its graph, on the same batch at every call.
        counted: which parameters count, see `choose_parameters`.
        move: the step d, one tensor for each of `counted.parameters`, of its shape.

    Raises:
        ValueError: a closure without a scalar loss and its graph.

    Example:
        >>> import torch
        >>> from autowarmup.measure.blocks import choose_parameters
        >>> x = torch.nn.Parameter(torch.tensor([2.0, 0.0]))
        >>> counted = choose_parameters([torch.optim.SGD([x], lr=1.0)])
        >>> seen = probe_step(lambda: (x @ x) / 2, counted, [torch.tensor([-1.0, 0.0])])
        >>> seen.K, seen.K_dir, seen.trust_ratio, seen.alignment
        (1.0, 1.0, 0.75, 1.0)
    """
    loss, before = gradient_of(closure, counted.parameters)
    with moved(counted.parameters, move):
        loss_after, after = gradient_of(closure, counted.parameters)
    return Probe.of(
        (loss, loss_after),
        slope=inner(zip(before, move, strict=True)),
        slope_counted=inner((before[i], move[i]) for i in counted.indices),
        step_norm=counted.norm(move[i] for i in counted.indices),
        grad_dual=counted.dual(before[i] for i in counted.indices),
        difference_dual=counted.dual(after[i] - before[i] for i in counted.indices),
    )


@dataclass(frozen=True)
class BatchNoise:
    """One step seen with one batch and with two.

    Attributes:
        K: the curvature, both gradients on the same batch.
        K_noise: what two batches give at one and the same point, where there is no curvature.
        K_two_batch: one batch before the step, the other after it: the stochastic proxy printed in
            arXiv 2510.03164, which batch noise dominates.
    """

    K: float
    K_noise: float
    K_two_batch: float

    @property
    def times_off(self) -> float:
        """How many times the curvature the two-batch proxy reports."""
        return self.K_two_batch / self.K if self.K else math.inf


def batch_noise(
    first: Closure, second: Closure, counted: CountedParameters, move: Sequence[Tensor]
) -> BatchNoise:
    """Compare the same-batch curvature of a step with what two batches would report.

    Never use `K_two_batch` as a measurement; it is here to show how far off it is.

    Args:
        first: loss, with its graph, on one batch.
        second: loss, with its graph, on another batch.
        counted: which parameters count, see `choose_parameters`.
        move: the step, one tensor for each of `counted.parameters`; the weights are restored.

    Example:
        Two batches of a linear loss: no curvature at all, and still a large proxy.

        >>> import torch
        >>> from autowarmup.measure.blocks import choose_parameters
        >>> x = torch.nn.Parameter(torch.tensor([1.0]))
        >>> counted = choose_parameters([torch.optim.SGD([x], lr=1.0)])
        >>> batch_noise(lambda: x.sum(), lambda: 3 * x.sum(), counted, [torch.tensor([-0.5])])
        BatchNoise(K=0.0, K_noise=4.0, K_two_batch=4.0)
    """
    _, before = gradient_of(first, counted.parameters)
    with moved(counted.parameters, move):
        _, after = gradient_of(first, counted.parameters)
        _, other = gradient_of(second, counted.parameters)
    step_norm = counted.norm(move[i] for i in counted.indices)

    def ratio(left: Sequence[Tensor], right: Sequence[Tensor]) -> float:
        return K_secant(counted.dual(left[i] - right[i] for i in counted.indices), step_norm)

    return BatchNoise(ratio(after, before), ratio(other, after), ratio(other, before))
