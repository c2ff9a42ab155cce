"""How much of a measured curvature is batch noise?

Two batches give two gradients at the same point. Their difference has nothing to do with curvature,
but a proxy that takes one gradient before the step and one after it on different batches counts it
as such: the stochastic proxy printed in arXiv 2510.03164 is dominated by it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from autowarmup.measure.blocks import Counted
from autowarmup.measure.passes import Closure, gradient_of, moved
from autowarmup.measure.probe import K_secant


@dataclass(frozen=True)
class BatchNoise:
    """One step seen with one batch and with two.

    Attributes:
        K: the curvature, both gradients on the same batch.
        K_noise: what two batches give at one and the same point, where there is no curvature.
        K_two_batch: the printed proxy: one batch before the step, the other after it.
    """

    K: float
    K_noise: float
    K_two_batch: float

    @property
    def times_off(self) -> float:
        """How many times the curvature the two-batch proxy reports."""
        return self.K_two_batch / self.K if self.K else math.inf


def batch_noise(
    first: Closure, second: Closure, counted: Counted, move: Sequence[Tensor]
) -> BatchNoise:
    """Compare the same-batch curvature of a step with what two batches would report.

    Never use `K_two_batch` as a measurement; it is here to show how far off it is.

    Args:
        first: loss, with its graph, on one batch.
        second: loss, with its graph, on another batch.
        counted: which parameters count, see `count_parameters`.
        move: the step, one tensor for each of `counted.parameters`; the weights are restored.

    Example:
        Two batches of a linear loss: no curvature at all, and still a large proxy.

        >>> import torch
        >>> from autowarmup.measure.blocks import count_parameters
        >>> x = torch.nn.Parameter(torch.tensor([1.0]))
        >>> counted = count_parameters([torch.optim.SGD([x], lr=1.0)])
        >>> batch_noise(lambda: x.sum(), lambda: 3 * x.sum(), counted, [torch.tensor([-0.5])])
        BatchNoise(K=0.0, K_noise=4.0, K_two_batch=4.0)
    """
    parameters = counted.parameters
    _, before = gradient_of(first, parameters)
    with moved(parameters, move):
        _, after = gradient_of(first, parameters)
        _, other = gradient_of(second, parameters)
    step_norm = counted.norm(move[i] for i in counted.indices)

    def ratio(left: Sequence[Tensor], right: Sequence[Tensor]) -> float:
        return K_secant(counted.dual(left[i] - right[i] for i in counted.indices), step_norm)

    return BatchNoise(ratio(after, before), ratio(other, after), ratio(other, before))
