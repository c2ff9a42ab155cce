"""Random small networks with random data and exact dense Hessians: B.6 on many instances."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from autowarmup.lab.theory.bounds.networks import (
    Attention,
    Bound,
    DeepLinear,
    LeakyReLU,
    Moments,
    TwoLayers,
)
from autowarmup.lab.theory.families import log_uniform
from autowarmup.lab.theory.law import Floats

EXAMPLES, INPUTS, OUTPUTS = 12, 4, 3
LEAK = 0.3
Loss = Callable[..., Tensor]


@dataclass(frozen=True)
class Sample:
    """Networks side by side.

    Attributes:
        gap: as the bound counts it, shape (instances,).
        norm: of the Hessian, shape (instances,).
        bound: with one entry per instance in its constants.
    """

    gap: Floats
    norm: Floats
    bound: Bound


def deep_linear(rng: np.random.Generator, count: int, *, unbalance: float = 1.0) -> Sample:
    """Three matrices, balanced; `unbalance` multiplies the first and divides the last."""
    x, y = _data(rng, count)
    size = log_uniform(rng, 0.1, 3, count)
    first, middle, last = _balanced(rng, (INPUTS, INPUTS, INPUTS, OUTPUTS), size)
    weights = [unbalance * first, middle, last / unbalance]
    best = np.linalg.pinv(x) @ y
    f_star = _half_mean_square(x @ best - y)

    def loss(w1: Tensor, w2: Tensor, w3: Tensor, x: Tensor, y: Tensor) -> Tensor:
        return (x @ w1.T @ w2.T @ w3.T - y).square().sum(1).mean() / 2

    value, norm = _exact(loss, weights, x, y)
    largest = np.linalg.norm(best, 2, axis=(1, 2))
    bound = DeepLinear(3, Moments.of(x), largest, f_star)
    return Sample(np.maximum(value - f_star, 0.0), norm, bound)


def leaky_relu(rng: np.random.Generator, count: int, *, opposed: bool = False) -> Sample:
    """Two matrices, balanced; `opposed` makes units cancel: large weights, outputs zero."""
    x, y = _data(rng, count, outputs=INPUTS)
    weights = _balanced(rng, (INPUTS, INPUTS, INPUTS), log_uniform(rng, 0.1, 3, count))
    if opposed:
        # Units in equal pairs with opposite signs in the next layer.
        weights = [weights[0][:, [0, 0, 1, 1]], weights[1] * 0 + rng.standard_normal((count, 4, 1))]
        weights[1] = 10 * weights[1] * np.array([1.0, -1.0, 1.0, -1.0])

    def loss(w1: Tensor, w2: Tensor, x: Tensor, y: Tensor) -> Tensor:
        return (F.leaky_relu(x @ w1.T, LEAK) @ w2.T - y).square().sum(1).mean() / 2

    value, norm = _exact(loss, weights, x, y)
    bound = LeakyReLU(LEAK, Moments.of(x), np.sqrt(2 * _half_mean_square(y)))
    return Sample(value, norm, bound)


def two_layers(rng: np.random.Generator, count: int) -> Sample:
    """Affine, tanh, affine; cross-entropy and L2; weights of all sizes."""
    x, _ = _data(rng, count)
    labels = rng.integers(0, OUTPUTS, (count, EXAMPLES))
    size = log_uniform(rng, 0.1, 10, count)[:, None, None]
    shapes = ((INPUTS, INPUTS + 1), (OUTPUTS, INPUTS + 1))
    weights = [size * rng.standard_normal((count, *shape)) for shape in shapes]
    decay = log_uniform(rng, 1e-3, 1, count)
    ones = np.ones((count, EXAMPLES, 1))
    wide = np.concatenate([x, ones], 2)

    def loss(w1: Tensor, w2: Tensor, x: Tensor, y: Tensor, decay: Tensor) -> Tensor:
        hidden = F.pad(torch.tanh(x @ w1.T), (0, 1), value=1.0)
        square = w1.square().sum() + w2.square().sum()
        return F.cross_entropy(hidden @ w2.T, y) + decay / 2 * square

    value, norm = _exact(loss, weights, wide, labels, decay)
    return Sample(value, norm, TwoLayers(Moments.of(wide), decay))


def attention(rng: np.random.Generator, count: int) -> Sample:
    """One head over four tokens, cross-entropy and L2; weights of all sizes."""
    x, radius = rng.standard_normal((count, EXAMPLES, 4, INPUTS)), rng.uniform(0.3, 2, count)
    x *= (radius / np.linalg.norm(x, axis=3).max((1, 2)))[:, None, None, None]
    labels = rng.integers(0, OUTPUTS, (count, EXAMPLES))
    size = log_uniform(rng, 0.1, 10, count)[:, None, None]
    shapes = ((OUTPUTS, INPUTS), (INPUTS, INPUTS))
    weights = [size * rng.standard_normal((count, *shape)) for shape in shapes]
    decay = log_uniform(rng, 1e-3, 1, count)

    def loss(v: Tensor, a: Tensor, x: Tensor, y: Tensor, decay: Tensor) -> Tensor:
        scores = (x @ (x[:, -1] @ a.T).unsqueeze(2)).squeeze(2)
        mean = (scores.softmax(1).unsqueeze(1) @ x).squeeze(1)
        square = v.square().sum() + a.square().sum()
        return F.cross_entropy(mean @ v.T, y) + decay / 2 * square

    value, norm = _exact(loss, weights, x, labels, decay)
    return Sample(value, norm, Attention(radius, decay))


def _data(rng: np.random.Generator, count: int, outputs: int = OUTPUTS) -> tuple[Floats, Floats]:
    """Return Gaussian inputs, columns of different sizes, and targets, partly linear in them."""
    x = rng.standard_normal((count, EXAMPLES, INPUTS))
    x *= rng.uniform(0.3, 1.5, (count, 1, INPUTS))
    teacher = rng.standard_normal((count, INPUTS, outputs))
    noise = rng.standard_normal((count, EXAMPLES, outputs))
    return x, log_uniform(rng, 0.1, 3, count)[:, None, None] * (x @ teacher + noise)


def _balanced(rng: np.random.Generator, widths: tuple[int, ...], size: Floats) -> list[Floats]:
    """Return matrices with shared singular values, left vectors of one the right of the next."""
    count, rank = len(size), min(widths)
    values = np.sort(size[:, None] * rng.uniform(0, 1, (count, rank)), 1)
    bases = [np.linalg.qr(rng.standard_normal((count, width, rank)))[0] for width in widths]
    pairs = zip(bases[1:], bases[:-1], strict=True)
    return [(after * values[:, None]) @ np.swapaxes(before, 1, 2) for after, before in pairs]


def _half_mean_square(x: Floats) -> Floats:
    return np.square(x).sum(2).mean(1) / 2


def _exact(loss: Loss, weights: list[Floats], *data: np.ndarray) -> tuple[Floats, Floats]:
    """Return the loss and its Hessian's norm in all weights, for every instance."""
    shapes = [w.shape[1:] for w in weights]
    sizes = [int(np.prod(shape)) for shape in shapes]

    def flat(w: Tensor, *rest: Tensor) -> Tensor:
        parts = zip(w.split(sizes), shapes, strict=True)
        return loss(*(part.reshape(shape) for part, shape in parts), *rest)

    w = torch.from_numpy(np.concatenate([x.reshape(len(x), -1) for x in weights], 1))
    rest = [torch.from_numpy(values) for values in data]
    value = torch.func.vmap(flat)(w, *rest)
    # Reverse over reverse: forward mode compiles its rules first, which takes seconds.
    hessian = torch.func.vmap(torch.func.jacrev(torch.func.grad(flat)))(w, *rest)
    return value.numpy(), torch.linalg.matrix_norm(hessian, 2).numpy()
