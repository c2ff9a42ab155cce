"""Is the loss a function? The same loss and gradient twice, before the first number is trusted.

Two evaluations on the same batch at the same weights must agree; otherwise the difference of two
gradients along a step measures randomness, not curvature.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

from autowarmup.measure.passes import Closure, gradient_of, relative, same_buffers, undisturbed

Evaluation = tuple[float, Sequence[Tensor | None]]

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

    def to_dict(self) -> dict[str, float]:
        """Return both as plain JSON values."""
        return asdict(self)


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

    def evaluate() -> tuple[float, list[Tensor]]:
        with same_buffers(model):  # what a forward pass changes in them is put back each time
            return gradient_of(closure, parameters)

    with undisturbed(model, parameters):
        first, second = evaluate(), evaluate()
    seen = compare(first, second)
    if max(seen.loss, seen.gradient) <= TOLERANCE:
        return seen
    got = f"losses {first[0]:.6g} and {second[0]:.6g} at the same weights"
    if seen.loss <= TOLERANCE:
        got = f"gradients {seen.gradient:.2g} of their norm apart at the same weights"
    dropping = [name for name, module in model.named_modules() if _drops(module)]
    if dropping:
        raise ValueError(
            "expected a deterministic loss to measure curvature, got "
            f"{got}: dropout is on ({', '.join(dropping[:3])}); set its p to 0"
        )
    with undisturbed(model, parameters):
        third = evaluate()
    if max(asdict(compare(first, third)).values()) <= TOLERANCE:
        raise ValueError(
            f"expected a deterministic loss to measure curvature, got {got}: the closure draws "
            "random numbers at each call (dropout, noise, or a random batch)"
        )
    raise ValueError(
        f"expected the same batch at every call of the loss closure, got {got}: it must compute "
        "the loss of the current batch, not fetch the next one"
    )


def compare(first: Evaluation, second: Evaluation) -> Determinism:
    """Return how far two evaluations (loss, gradients) lie apart, in relative terms."""
    apart = math.hypot(*(_apart(a, b) for a, b in zip(first[1], second[1], strict=True)))
    size = math.hypot(*(_apart(a, None) for a in first[1]))
    if math.isnan(size) and math.isnan(apart):  # both diverged: nothing to compare
        return Determinism(relative(first[0], second[0]), 0.0)
    share = apart / size if size else math.inf
    return Determinism(relative(first[0], second[0]), share if apart else 0.0)


def _apart(a: Tensor | None, b: Tensor | None) -> float:
    """Euclidean norm of a - b, `None` standing for zeros."""
    if a is None or b is None:
        one = a if b is None else b
        return 0.0 if one is None else torch.linalg.vector_norm(one).item()
    return torch.linalg.vector_norm(a - b).item()


def _drops(module: nn.Module) -> bool:
    return module.training and type(module).__name__.endswith("Dropout") and _p(module) > 0.0


def _p(module: nn.Module) -> float:
    p = getattr(module, "p", 0.0)
    return p if isinstance(p, float) else 0.0
