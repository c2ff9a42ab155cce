"""Random small networks with random data and exact dense Hessians: B.6 on many instances."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor, nn
from torch.nn import functional as F

from autowarmup.lab.problems.lower_bounds import squared_error
from autowarmup.lab.problems.networks import AttentionHead, BalancedNet, TwoLayerNet
from autowarmup.lab.theory.bounds import networks as bounds
from autowarmup.lab.theory.families import log_uniform
from autowarmup.lab.theory.law import Floats

EXAMPLES, INPUTS, OUTPUTS = 12, 4, 3
LEAK = 0.3


@dataclass(frozen=True)
class Sample:
    """Networks side by side."""

    gap: Floats  # as the bound counts it, shape (instances,)
    norm: Floats  # of the Hessian, shape (instances,)
    bound: bounds.Bound  # with one entry per instance in its constants


def deep_linear(rng: Generator, count: int, *, unbalance: float = 1.0) -> Sample:
    """Three matrices, balanced; `unbalance` multiplies the first and divides the last."""
    x, y = _data(rng, count)
    widths = (INPUTS, INPUTS, INPUTS, OUTPUTS)
    first, middle, last = balanced(rng, widths, log_uniform(rng, 0.1, 3, count))
    weights = [unbalance * first, middle, last / unbalance]
    best = np.linalg.pinv(x) @ y
    f_star = _half_mean_square(x @ best - y)
    net = BalancedNet(widths, slope=1.0, scale=1.0, seed=0)
    value, norm = exact_hessians(net, squared_error, weights, x, y)
    bound = bounds.DeepLinear(3, bounds.Moments.of(x), np.linalg.norm(best, 2, axis=(1, 2)), f_star)
    return Sample(np.maximum(value - f_star, 0.0), norm, bound)


def leaky_relu(rng: Generator, count: int, *, opposed: bool = False) -> Sample:
    """Two matrices, balanced; `opposed` makes units cancel: large weights, outputs zero."""
    x, y = _data(rng, count, outputs=INPUTS)
    widths = (INPUTS, INPUTS, INPUTS)
    weights = balanced(rng, widths, log_uniform(rng, 0.1, 3, count))
    if opposed:
        # Units in equal pairs with opposite signs in the next layer.
        weights = [weights[0][:, [0, 0, 1, 1]], weights[1] * 0 + rng.standard_normal((count, 4, 1))]
        weights[1] = 10 * weights[1] * np.array([1.0, -1.0, 1.0, -1.0])
    net = BalancedNet(widths, slope=LEAK, scale=1.0, seed=0)
    value, norm = exact_hessians(net, squared_error, weights, x, y)
    bound = bounds.LeakyReLU(LEAK, bounds.Moments.of(x), np.sqrt(2 * _half_mean_square(y)))
    return Sample(value, norm, bound)


def two_layers(rng: Generator, count: int) -> Sample:
    """Affine, tanh, affine; cross-entropy and L2; weights of all sizes."""
    x, _ = _data(rng, count)
    labels, size = _labels_and_size(rng, count)
    shapes = ((INPUTS, INPUTS + 1), (OUTPUTS, INPUTS + 1))
    first, second = (size * rng.standard_normal((count, *shape)) for shape in shapes)
    decay = log_uniform(rng, 1e-3, 1, count)
    net = TwoLayerNet((INPUTS, INPUTS, OUTPUTS), scale=1.0, seed=0)
    weights = [first[..., :-1], first[..., -1], second[..., :-1], second[..., -1]]
    value, norm = exact_hessians(net, F.cross_entropy, weights, x, labels, decay)
    wide = np.concatenate([x, np.ones((count, EXAMPLES, 1))], 2)
    return Sample(value, norm, bounds.TwoLayers(bounds.Moments.of(wide), decay))


def attention(rng: Generator, count: int) -> Sample:
    """One head over four tokens, cross-entropy and L2; weights of all sizes."""
    x, radius = rng.standard_normal((count, EXAMPLES, 4, INPUTS)), rng.uniform(0.3, 2, count)
    x *= (radius / np.linalg.norm(x, axis=3).max((1, 2)))[:, None, None, None]
    labels, size = _labels_and_size(rng, count)
    shapes = ((OUTPUTS, INPUTS), (INPUTS, INPUTS))
    values, key_query = (size * rng.standard_normal((count, *shape)) for shape in shapes)
    decay = log_uniform(rng, 1e-3, 1, count)

    def error(logits: Tensor, y: Tensor) -> Tensor:
        return F.cross_entropy(logits[:, -1], y)  # of the last token, which sees all four

    net = AttentionHead(INPUTS, OUTPUTS, torch.Generator())
    value, norm = exact_hessians(net, error, [key_query, values], x, labels, decay)
    return Sample(value, norm, bounds.Attention(radius, decay))


def _labels_and_size(rng: Generator, count: int) -> tuple[np.ndarray, Floats]:
    labels = rng.integers(0, OUTPUTS, (count, EXAMPLES))
    return labels, log_uniform(rng, 0.1, 10, count)[:, None, None]


def _data(rng: Generator, count: int, outputs: int = OUTPUTS) -> tuple[Floats, Floats]:
    """Return Gaussian inputs, columns of different sizes, and targets, partly linear in them."""
    x = rng.standard_normal((count, EXAMPLES, INPUTS))
    x *= rng.uniform(0.3, 1.5, (count, 1, INPUTS))
    teacher = rng.standard_normal((count, INPUTS, outputs))
    noise = rng.standard_normal((count, EXAMPLES, outputs))
    return x, log_uniform(rng, 0.1, 3, count)[:, None, None] * (x @ teacher + noise)


def balanced(rng: Generator, widths: tuple[int, ...], size: Floats) -> list[Floats]:
    """Return matrices with shared singular values, left vectors of one the right of the next."""
    count, rank = len(size), min(widths)
    values = np.sort(size[:, None] * rng.uniform(0, 1, (count, rank)), 1)
    bases = [np.linalg.qr(rng.standard_normal((count, width, rank)))[0] for width in widths]
    pairs = zip(bases[1:], bases[:-1], strict=True)
    return [(after * values[:, None]) @ np.swapaxes(before, 1, 2) for after, before in pairs]


def _half_mean_square(x: Floats) -> Floats:
    return np.square(x).sum(2).mean(1) / 2


def exact_hessians(
    net: nn.Module,
    error: Callable[[Tensor, Tensor], Tensor],
    weights: list[Floats],
    x: np.ndarray,
    y: np.ndarray,
    decay: Floats | None = None,
) -> tuple[Floats, Floats]:
    """Return the loss and its Hessian's norm in all weights, for every instance.

    Args:
        net: its own weights do not matter.
        error: (outputs, targets) -> mean error.
        weights: in the order of the net's parameters, with an axis of instances before.
        x: inputs, with the same axis.
        y: targets, with the same axis.
        decay: L2, one number per instance; by default none.
    """
    names = [name for name, _ in net.named_parameters()]
    shapes = [w.shape[1:] for w in weights]
    sizes = [int(np.prod(shape)) for shape in shapes]

    def loss(w: Tensor, x: Tensor, y: Tensor, decay: Tensor) -> Tensor:
        parts = zip(names, w.split(sizes), shapes, strict=True)
        held = {name: part.reshape(shape) for name, part, shape in parts}
        return error(torch.func.functional_call(net, held, (x,)), y) + decay / 2 * w.square().sum()

    flat = np.concatenate([w.reshape(len(w), -1) for w in weights], 1)
    l2 = np.zeros(len(flat)) if decay is None else decay
    held = [torch.from_numpy(values) for values in (flat, x, y, l2)]
    value = torch.func.vmap(loss)(*held)
    # Reverse over reverse: forward mode compiles its rules first, which takes seconds.
    hessian = torch.func.vmap(torch.func.jacrev(torch.func.grad(loss)))(*held)
    return value.detach().numpy(), torch.linalg.matrix_norm(hessian, 2).detach().numpy()
