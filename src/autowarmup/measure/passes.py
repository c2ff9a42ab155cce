"""Forward and backward passes that leave training as it was: gradients, buffers, random state."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from autowarmup.snapshot import remember_buffers, remember_random

Closure = Callable[[], Tensor]
Gradients = list[Tensor | None]
"""The gradient by each parameter, `None` where the loss does not depend on it."""

# Entries of a product that are added up at a time on a CPU, so that it stays in the cache. Measured
# for 50257 x 768: 29 ms, and 238 ms with one product in new memory.
_PIECE = 65536


def inner(pairs: Iterable[tuple[Tensor, Tensor]]) -> float:
    """Return the sum of <left, right> over the pairs, added up in float64."""
    return added_up([product(left, right) for left, right in pairs])


def product(left: Tensor, right: Tensor) -> Tensor:
    """Return <left, right> as a float64 scalar on their device: small differences decide."""
    if left.device.type != "cpu" or left.numel() <= _PIECE:
        return torch.sum(left * right, dtype=torch.float64)
    pieces = zip(left.reshape(-1).split(_PIECE), right.reshape(-1).split(_PIECE), strict=True)
    return torch.stack([torch.sum(a * b, dtype=torch.float64) for a, b in pieces]).sum()


def added_up(products: Sequence[Tensor]) -> float:
    """Return the sum of scalars; a device is asked for one number only."""
    if not products:
        return 0.0
    return float(torch.stack([each.to(products[0].device) for each in products]).sum())


def filled(gradient: Tensor | None, like: Tensor) -> Tensor:
    """Return a gradient, zeros where the loss does not depend on the parameter."""
    return torch.zeros_like(like) if gradient is None else gradient


def scalar_loss(closure: Closure) -> Tensor:
    """Return the closure's loss.

    Raises:
        ValueError: it is not one number with its graph.
    """
    # Inside an autocast region weights are cached in low precision: those of before the step.
    torch.clear_autocast_cache()
    with torch.enable_grad():
        loss = closure()
        loss = loss.reshape(()) if isinstance(loss, Tensor) and loss.numel() == 1 else loss
    torch.clear_autocast_cache()
    if not isinstance(loss, Tensor) or loss.numel() != 1 or not loss.requires_grad:
        got = f"a tensor of shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else repr(loss)
        raise ValueError(
            "the loss closure must return the loss of the current batch before backward: "
            f"expected a scalar tensor with its graph, got {got}"
        )
    return loss


def gradient_of(closure: Closure, parameters: Sequence[Tensor]) -> tuple[float, list[Tensor]]:
    """Return the loss and its gradient by each parameter (zeros where it does not depend on it)."""
    loss = scalar_loss(closure)
    grads = torch.autograd.grad(loss, list(parameters), allow_unused=True)
    for g in grads:
        _check_dense(g)
    return float(loss.detach()), [filled(g, p) for g, p in zip(grads, parameters, strict=True)]


def _check_dense(gradient: Tensor | None) -> None:
    if gradient is not None and gradient.is_sparse:
        raise ValueError(
            "curvature is measured with dense gradients: expected sparse=False in the embedding, "
            f"got a sparse gradient of shape {tuple(gradient.shape)}"
        )


def stream_gradient(
    closure: Closure, parameters: Sequence[Tensor], take: Callable[[int, Tensor], None]
) -> float:
    """Return the loss and hand over its gradient one parameter at a time, as backward finds them.

    No two gradients are held at once, whatever the size of the model. Parameters that the loss does
    not depend on are not handed over. What lies in `.grad` is there again afterwards.

    Args:
        closure: returns the scalar loss with its graph.
        parameters: leaves of the graph.
        take: called with the position of a parameter and its gradient, which it may keep.
    """
    held = [p.grad for p in parameters]

    def hand_over(index: int) -> Callable[[Tensor], None]:
        def hook(p: Tensor) -> None:
            gradient, p.grad = p.grad, None
            assert gradient is not None
            _check_dense(gradient)
            with torch.no_grad():
                take(index, gradient)

        return hook

    hooks = [
        p.register_post_accumulate_grad_hook(hand_over(index)) for index, p in enumerate(parameters)
    ]
    try:
        for p in parameters:
            p.grad = None
        loss = scalar_loss(closure)
        # Only these leaves: gradients of others, e.g. inputs or frozen parts, stay untouched.
        torch.autograd.backward(loss, inputs=list(parameters))
        return float(loss.detach())
    finally:
        for hook in hooks:
            hook.remove()
        for p, gradient in zip(parameters, held, strict=True):
            p.grad = gradient


def streamed_gradient(closure: Closure, parameters: Sequence[Tensor]) -> tuple[float, Gradients]:
    """Return loss and gradient from a pass of its own; what lies in `.grad` is left alone."""
    gradients: Gradients = [None] * len(parameters)
    return stream_gradient(closure, parameters, gradients.__setitem__), gradients


@contextmanager
def moved(parameters: Sequence[Tensor], move: Sequence[Tensor]) -> Iterator[None]:
    """Hold the weights at x + d inside; on leaving they are x again, bit for bit."""
    origin = [p.detach().clone() for p in parameters]
    try:
        with torch.no_grad():
            for p, d in zip(parameters, move, strict=True):
                p.add_(d)
        yield
    finally:
        with torch.no_grad():
            for p, x in zip(parameters, origin, strict=True):
                p.copy_(x)


@contextmanager
def undisturbed(model: nn.Module, parameters: Sequence[Tensor]) -> Iterator[None]:
    """Set the random state and the buffers of the model back on leaving.

    Forward passes inside then change neither the random numbers that training draws next nor the
    running statistics of BatchNorm. Gradients can be taken inside, whatever the mode outside.
    """
    set_back = remember_random(parameters)
    try:
        with torch.inference_mode(False), same_buffers(model):
            yield
    finally:
        set_back()


@contextmanager
def same_buffers(model: nn.Module) -> Iterator[None]:
    """Put the buffers of the model back on leaving: the same tensors with the same values."""
    set_back = remember_buffers(model)
    try:
        yield
    finally:
        set_back()
