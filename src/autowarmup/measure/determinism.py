"""Is the loss a function? Evaluations at the same weights are compared before numbers are trusted.

Two evaluations on the same batch at the same weights must agree; otherwise the difference of two
gradients along a step measures randomness, not curvature.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import astuple, dataclass

import torch
from torch import Tensor, nn

from autowarmup.measure.passes import (
    Closure,
    gradient_of,
    same_buffers,
    streamed_gradient,
    undisturbed,
)

Evaluation = tuple[float, Sequence[Tensor | None]]
"""A loss and its gradient by each parameter."""

TOLERANCE = 1e-4
"""Largest relative difference of two evaluations. A step changes the gradient by 1e-2 to 1e0 of
itself; reordered sums on a GPU change it by about 1e-6, another batch or mask by 1e-1 or more."""


@dataclass(frozen=True)
class Determinism:
    """How two evaluations at the same weights differed.

    Attributes:
        loss: relative difference of the losses.
        gradient: Euclidean norm of the difference of the gradients over that of the gradient.
    """

    loss: float
    gradient: float


def check_determinism(
    closure: Closure, parameters: Sequence[Tensor], model: nn.Module
) -> Determinism:
    """Evaluate loss and gradient twice and compare.

    Raises:
        ValueError: they differ by more than `TOLERANCE`; the sentence says whether random numbers
            (dropout) or something else (another batch at each call) is to blame.

    Example:
        >>> x = torch.nn.Linear(2, 1)
        >>> check_determinism(lambda: x(torch.ones(2)).sum(), list(x.parameters()), x)
        Determinism(loss=0.0, gradient=0.0)
    """

    def evaluate() -> Evaluation:
        with same_buffers(model):  # what a forward pass changes in them is put back each time
            return gradient_of(closure, parameters)

    with undisturbed(model, parameters):
        first, second = evaluate(), evaluate()
    seen = compare(first, second)
    if max(astuple(seen)) <= TOLERANCE:
        return seen
    got = f"losses {first[0]:.6g} and {second[0]:.6g} at the same weights"
    if seen.loss <= TOLERANCE:
        got = f"gradients {seen.gradient:.2g} of their norm apart at the same weights"
    problem = f"expected a deterministic loss to measure curvature, got {got}"
    dropping = [name for name, module in model.named_modules() if _drops(module)]
    if dropping:
        raise ValueError(f"{problem}: dropout is on ({', '.join(dropping[:3])}); set its p to 0")
    with undisturbed(model, parameters):
        third = evaluate()
    if max(astuple(compare(first, third))) <= TOLERANCE:
        raise ValueError(
            f"{problem}: the closure draws random numbers at each call (dropout, noise, or a "
            "random batch)"
        )
    raise ValueError(
        f"expected the same batch at every call of the loss closure, got {got}: it must compute "
        "the loss of the current batch, not fetch the next one"
    )


def check_seen(seen: Evaluation, closure: Closure, parameters: Sequence[Tensor]) -> None:
    """Compare what `CurvatureObserver.see` took over with the closure: one pass.

    Raises:
        ValueError: they differ; another batch, clipped or scaled gradients, one micro-batch.
    """
    own = streamed_gradient(closure, parameters)
    apart = compare(own, seen)
    # The curvature along a step is a small difference of losses: 0.1 % is already too much.
    if apart.loss > 10 * TOLERANCE or apart.gradient > 100 * TOLERANCE:
        raise ValueError(
            f"see: expected the loss of the closure ({own[0]:.6g}) and its gradients, got a "
            f"loss of {seen[0]:.6g} and gradients {apart.gradient:.2g} of their norm apart; "
            "call it on the same batch, before clipping, with unscaled gradients, or leave it out"
        )


def compare(first: Evaluation, second: Evaluation) -> Determinism:
    """Return how far two evaluations lie apart, in relative terms."""
    apart = math.hypot(*(_apart(a, b) for a, b in zip(first[1], second[1], strict=True)))
    size = math.hypot(*(_apart(a, None) for a in first[1]))
    losses = _relative(first[0], second[0])
    if not apart or (math.isnan(size) and math.isnan(apart)):  # nan: both diverged
        return Determinism(losses, 0.0)
    return Determinism(losses, apart / size if size else math.inf)


def _apart(a: Tensor | None, b: Tensor | None) -> float:
    """Euclidean norm of a - b, `None` standing for zeros."""
    if a is None or b is None:
        one = a if b is None else b
        return 0.0 if one is None else torch.linalg.vector_norm(one).item()
    return torch.linalg.vector_norm(a - b).item()


def _relative(first: float, second: float) -> float:
    """Return |first - second| over the larger magnitude; 0 for equal numbers, also inf and nan."""
    if first == second or (math.isnan(first) and math.isnan(second)):
        return 0.0
    difference = abs(first - second) / max(abs(first), abs(second))
    return math.inf if math.isnan(difference) else difference


def _drops(module: nn.Module) -> bool:
    p = getattr(module, "p", 0.0)
    dropout = module.training and type(module).__name__.endswith("Dropout")
    return dropout and isinstance(p, float) and p > 0.0
