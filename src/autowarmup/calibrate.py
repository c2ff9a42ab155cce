"""The measured start: how large may the very first step be?

The papers start at lr / div with div set by hand. Here it is measured on the first batch: try the
first step of this very optimizer at a fraction f of its peak rates, giving the displacement d(f),
and compare the decrease it really makes with the one that the gradient g promises,

    ratio(f) = (loss(x) - loss(x + d(f))) / (-<g, d(f)>),

which is 1 for tiny f and falls as curvature bites (for a quadratic with Hessian H and a step
f eta u it is 1 - f eta <u, H u> / (2 <g, u>)). The largest f <= 1 that keeps ratio(f) >= c is found
by bisection in log f, and div = 1 / f. With f = 1 there is nothing to warm up for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from autowarmup.rates import set_rate
from autowarmup.snapshot import remember_buffers, remember_optimizers, remember_random

Gradients = list[Tensor | None]

SMALLEST_FRACTION = 1e-3
"""Fractions below this are not tried: the decrease drowns in the rounding of a float32 loss."""
BISECTIONS = 10
"""10 halvings of log(1000) pin the fraction to 0.7 %."""


def largest_fractions(
    small_enough: Callable[[list[float]], list[bool]], count: int = 1
) -> list[float]:
    """Find the largest fraction of the peak rate that is small enough, for several runs at once.

    The whole rate is tried first, then bisection in the logarithm down to `SMALLEST_FRACTION`.

    Args:
        small_enough: gets a fraction for each run and answers for each; called once if all runs
            bear the whole rate, else 1 + `BISECTIONS` times.
        count: number of runs.

    Example:
        >>> found = largest_fractions(lambda tried: [f <= 0.25 for f in tried])
        >>> [round(fraction, 3) for fraction in found]
        [0.249]
    """
    whole = small_enough([1.0] * count)
    low, high = [math.log(SMALLEST_FRACTION)] * count, [0.0] * count
    for _ in range(0 if all(whole) else BISECTIONS):
        middle = [(a + b) / 2 for a, b in zip(low, high, strict=True)]
        good = small_enough([math.exp(m) for m in middle])
        low = [m if g else a for m, a, g in zip(middle, low, good, strict=True)]
        high = [b if g else m for m, b, g in zip(middle, high, good, strict=True)]
    return [1.0 if w else math.exp(a) for w, a in zip(whole, low, strict=True)]


@dataclass(frozen=True)
class MeasuredStart:
    """What the probes on the first batch saw.

    Attributes:
        fraction: largest share of the peak rates whose first step decreased the loss enough, or
            `None` where the first step does not point downhill, so that nothing can be concluded.
        loss: loss of the first batch at the initial weights.
        probes: (fraction, ratio of actual to predicted decrease) in the order they were tried.
    """

    fraction: float | None
    loss: float
    probes: tuple[tuple[float, float], ...]


def measure_start(
    optimizers: Sequence[Optimizer],
    peak_lrs: Sequence[Sequence[float]],
    closure: Callable[[], Tensor],
    *,
    c: float = 0.7,
    model: nn.Module | None = None,
    agree: Callable[[list[float]], list[float]] = list,
) -> MeasuredStart:
    """Find the largest fraction of the peak rates that the first step can bear.

    Weights, gradients, optimizer state, rates, random state and the buffers of `model` are restored
    bit for bit. Costs one backward pass and at most 12 forward passes.

    Args:
        optimizers: the optimizers, before their first step.
        peak_lrs: per optimizer, the peak rate of each parameter group.
        closure: returns the scalar loss of the first batch, with its graph, without backward.
        c: least share of the predicted decrease that must be realised, in [0, 1).
        model: give it when it has buffers that a forward pass changes (BatchNorm).
        agree: averages numbers over the processes that measure together, so that all of them try
            the same fractions and find the same one.

    Raises:
        ValueError: c outside [0, 1), or a loss that is not a finite scalar with a graph.
    """
    if not 0.0 <= c < 1.0:
        raise ValueError(f"c is a share of the predicted decrease: expected 0 <= c < 1, got {c}")
    groups = (group for optimizer in optimizers for group in optimizer.param_groups)
    parameters = [p for group in groups for p in group["params"] if p.requires_grad]
    with _restored(optimizers, parameters, model) as (origin, own, rewind):
        loss, gradient = _loss_and_gradient(closure(), parameters)
        (loss,) = agree([loss])
        if not math.isfinite(loss):
            raise ValueError(f"the loss of the first batch must be finite: got {loss}")
        taken = gradient if all(g is None for g in own) else own
        resolution = 16 * torch.finfo(torch.float32).eps * abs(loss)

        def ratio(fraction: float) -> float:
            rewind()
            for p, g in zip(parameters, taken, strict=True):
                p.grad = None if g is None else g.clone()  # an optimizer may write into it
            _take_step(optimizers, peak_lrs, fraction)
            predicted = -_inner(gradient, parameters, origin)
            with torch.no_grad():
                after = float(closure())
            predicted, after = agree([predicted, after])
            if not predicted > 0.0 or not math.isfinite(after):
                return -math.inf
            if predicted < resolution:  # too small to be seen in the loss: curvature is not felt
                return 1.0
            return (loss - after) / predicted

        probes: list[tuple[float, float]] = []

        def small_enough(fractions: list[float]) -> list[bool]:
            probes.append((fractions[0], ratio(fractions[0])))
            return [probes[-1][1] >= c]

        (fraction,) = largest_fractions(small_enough)
    downhill = any(value > -math.inf for _, value in probes)
    return MeasuredStart(fraction if downhill else None, loss, tuple(probes))


def _loss_and_gradient(loss: Tensor, parameters: Sequence[Tensor]) -> tuple[float, Gradients]:
    if not isinstance(loss, Tensor) or loss.numel() != 1 or not loss.requires_grad:
        got = f"a tensor of shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else repr(loss)
        raise ValueError(
            "the closure must return the loss of the first batch before backward: "
            f"expected a scalar tensor with its graph, got {got}"
        )
    gradient = torch.autograd.grad(loss.reshape(()), parameters, allow_unused=True)
    return float(loss.detach()), list(gradient)


def _take_step(
    optimizers: Sequence[Optimizer], peak_lrs: Sequence[Sequence[float]], fraction: float
) -> None:
    global _trying
    _trying = True
    try:
        for optimizer, peaks in zip(optimizers, peak_lrs, strict=True):
            for group, peak in zip(optimizer.param_groups, peaks, strict=True):
                set_rate(group, peak * fraction)
            optimizer.step()
    finally:
        _trying = False


_trying = False


def is_trial_step() -> bool:
    """Whether the optimizer step under way is a trial that will be undone: hooks may skip it."""
    return _trying


def _inner(
    gradient: Sequence[Tensor | None], parameters: Sequence[Tensor], origin: Sequence[Tensor]
) -> float:
    """<g, x - x0> in float64: it is a small difference that decides."""
    total = 0.0
    for g, p, x in zip(gradient, parameters, origin, strict=True):
        if g is not None:
            total += float(torch.sum(g.double() * (p.detach().double() - x.double())))
    return total


@contextmanager
def _restored(
    optimizers: Sequence[Optimizer], parameters: Sequence[Tensor], model: nn.Module | None
) -> Iterator[tuple[list[Tensor], Gradients, Callable[[], None]]]:
    """Yield copies of weights and gradients, and what sets everything but gradients back.

    On leaving, the gradients are set back too: the same tensors with the same values.
    """
    weights = [p.detach().clone() for p in parameters]
    present = [p.grad for p in parameters]
    gradients = [None if g is None else g.clone() for g in present]
    buffers, state = remember_buffers(model or nn.Module()), remember_optimizers(optimizers)
    random = remember_random(parameters)

    def rewind() -> None:
        for p, value in zip(parameters, weights, strict=True):
            p.detach().copy_(value)
        for set_back in (buffers, state, random):
            set_back()

    try:
        yield weights, gradients, rewind
    finally:
        rewind()
        for p, grad, value in zip(parameters, present, gradients, strict=True):
            p.grad = grad
            if grad is not None and value is not None:
                grad.detach().copy_(value)
