"""Networks on real data whose Hessian norm is followed while gradient descent trains them.

Images are scikit-learn's handwritten digits, as principal components with variance 1 each, so that
the data have full rank; text is the Python standard library's own. Everything is full-batch and in
float64. What a statement supposes of the weights (balance) is measured beside the Hessian.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from autowarmup.lab.problems.data import Examples, digits, one_hot, text_windows
from autowarmup.lab.problems.floor import prefix_entropy, squared_error
from autowarmup.lab.problems.networks import BalancedNet, TwoLayerNet
from autowarmup.lab.theory.bounds.networks import (
    Attention,
    Bound,
    DeepLinear,
    LeakyReLU,
    Moments,
    TwoLayers,
)

LEAK = 0.5
RHO = 0.5
"""rho of `LeakyReLU` in these runs: below 1, so that weights may leave the balance a little."""
DECAY = 0.02


class Size(NamedTuple):
    """How large the objects are.

    Attributes:
        images: digits, at most 1,797.
        components: of them, that the networks see.
        hidden: width of the two-layer network.
        windows: of text.
        length: bytes a window predicts.
        width: of the vectors that stand for bytes.
    """

    images: int
    components: int
    hidden: int
    windows: int
    length: int
    width: int


QUICK = Size(200, 10, 10, 16, 12, 10)
"""For the table."""

FULL = Size(1797, 32, 64, 256, 32, 32)
"""For the committed study."""


@dataclass(frozen=True)
class Problem:
    """A loss to descend and what is stated of its Hessian.

    Attributes:
        model: its weights at the start.
        loss: full-batch, with its graph.
        floor: what the gap is counted from: f*, or a number below it where f* is not known.
        lr: gap -> rate.
        balance: returns what the statement's constants need to know of the weights; the bound
            grows with each of these numbers.
        bound: takes those numbers and returns the bound.
    """

    model: nn.Module
    loss: Callable[[], Tensor]
    floor: float
    lr: Callable[[float], float]
    balance: Callable[[], tuple[float, ...]]
    bound: Callable[..., Bound]


def components(count: int, images: int) -> Examples:
    """Return digits as their first principal components, each of mean 0 and variance 1."""
    held = digits(images)
    x = held.x - held.x.mean(0)
    x = x @ torch.linalg.svd(x, full_matrices=False)[2][:count].T
    return Examples(x / x.square().mean(0).sqrt(), held.y)


def deep_linear(seed: int, size: Size) -> Problem:
    """Three matrices, squared error, balanced; the rate is that of the theorem, 1 / bound."""
    examples = one_hot(components(size.components, size.images))
    width = examples.x.shape[1]
    model = BalancedNet((width, width, width, 10), slope=1.0, scale=1.5, seed=seed)
    problem = _linear(model, examples, lr=0.0)
    start = problem.bound(1.0)
    return replace(problem, lr=lambda gap: 1 / float(start.curvature(gap)))


def blank_pixel(seed: int, size: Size) -> Problem:
    """As `deep_linear` with one input more that is 0 in every image, as some pixels are.

    The weights are balanced, but the largest singular value of every layer belongs to that input.
    The bound takes the least positive eigenvalue of the data for the least: what is false.
    """
    held = one_hot(components(size.components, size.images))
    blank = torch.zeros(len(held.x), 1, dtype=held.x.dtype)
    examples = Examples(torch.cat([held.x, blank], 1), held.y)
    width = examples.x.shape[1]
    model = BalancedNet((width, width, width, 10), slope=1.0, scale=0.5, seed=seed)
    draw = torch.Generator().manual_seed(seed)
    bases = [
        torch.linalg.qr(torch.randn(rows, 10, generator=draw, dtype=torch.float64))[0]
        for rows in (width, width, width, 10)
    ]
    seen = torch.randn(width - 1, 9, generator=draw, dtype=torch.float64)
    bases[0] = torch.block_diag(torch.linalg.qr(seen)[0], torch.ones(1, 1, dtype=torch.float64))
    values = torch.tensor([0.5] * 9 + [3.0], dtype=torch.float64)
    with torch.no_grad():
        for weight, before, after in zip(model.layers, bases[:-1], bases[1:], strict=True):
            weight.copy_(after * values @ before.T)
    return _linear(model, examples, lr=0.01)


def _linear(model: BalancedNet, examples: Examples, *, lr: float) -> Problem:
    x, y, layers = examples.x.numpy(), examples.y.numpy(), len(model.layers)
    values = np.linalg.eigvalsh(x.T @ x / len(x))
    moments = Moments(values[-1], values[values > 1e-9][0], values.sum())
    best = float(np.linalg.norm(np.linalg.pinv(x) @ y, 2))  # the least-norm solution
    floor = float(np.square(x @ np.linalg.pinv(x) @ y - y).sum() / len(x) / 2)

    def kappa() -> tuple[float]:
        weights = [w.detach() for w in model.layers]
        product = torch.linalg.multi_dot(weights[::-1])
        return (max(_norm(w) for w in weights) ** layers / _norm(product),)

    return Problem(
        model,
        lambda: squared_error(model(examples.x), examples.y),
        floor,
        lambda _: lr,
        kappa,
        lambda kappa: DeepLinear(layers, moments, best, floor, kappa),
    )


def leaky_relu(seed: int, size: Size) -> Problem:
    """Two matrices with leaky ReLU of slope 1/2 between, squared error, balanced at the start."""
    examples = one_hot(components(size.components, size.images))
    model = BalancedNet((size.components, 10, 10), slope=LEAK, scale=1.5, seed=seed)
    moments = Moments.of(examples.x.numpy())

    def balance() -> tuple[float, float]:
        first, second = (w.detach() for w in model.layers)
        short = RHO * first @ first.T - second.T @ second
        excess = max(torch.linalg.eigvalsh(short)[-1].item(), 0.0)
        return excess, (_norm(second) / _norm(first)) ** 2

    return Problem(
        model,
        lambda: squared_error(model(examples.x), examples.y),
        0.0,
        lambda _: 0.02,
        balance,
        lambda excess, kappa: LeakyReLU(LEAK, moments, 1.0, excess, kappa, RHO),
    )


def two_layers(seed: int, size: Size) -> Problem:
    """Affine, tanh, affine; cross-entropy and L2 on all weights and biases."""
    examples = components(size.components, size.images)
    model = TwoLayerNet((size.components, size.hidden, 10), scale=2.0, seed=seed)
    ones = np.ones((len(examples.x), 1))
    bound = TwoLayers(Moments.of(np.concatenate([examples.x.numpy(), ones], 1)), DECAY)
    return Problem(
        model,
        lambda: F.cross_entropy(model(examples.x), examples.y) + _penalty(model),
        0.0,
        lambda _: 0.3,
        tuple,
        lambda: bound,
    )


class OneHead(nn.Module):
    """Causal attention of one head with one key-query matrix A; V turns its mean into logits.

    Bytes are fixed random unit vectors, which know their place in the window.

    Args:
        windows: token numbers, shape (windows, length + 1).
        width: of the vectors.
        seed: of vectors and weights.
    """

    def __init__(self, windows: Tensor, *, width: int, seed: int) -> None:
        super().__init__()
        draw = torch.Generator().manual_seed(seed)

        def gaussian(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=draw, dtype=torch.float64)

        bytes_, windows = windows.unique(return_inverse=True)
        self.targets = windows[:, 1:].flatten()
        x = gaussian(len(bytes_), width)[windows[:, :-1]]
        x = x + gaussian(windows.shape[1] - 1, width) / 2
        self.x = x / x.norm(dim=2, keepdim=True)
        self.key_query = nn.Parameter(gaussian(width, width))
        self.values = nn.Parameter(gaussian(len(bytes_), width))

    def forward(self) -> Tensor:
        """Return the logits of the next byte, one row per place in every window."""
        scores = self.x @ self.key_query.T @ self.x.transpose(1, 2)
        length = scores.shape[1]
        later = torch.ones(length, length, dtype=torch.bool).triu(1)
        weights = scores.masked_fill(later, -torch.inf).softmax(2)
        return (weights @ self.x @ self.values.T).flatten(0, 1)


def attention(seed: int, size: Size) -> Problem:
    """One head of attention on bytes of text, cross-entropy and L2; data as in `OneHead`."""
    windows = text_windows(size.windows, size.length)
    model = OneHead(windows, width=size.width, seed=seed)
    bound = Attention(1.0, DECAY)
    return Problem(
        model,
        lambda: F.cross_entropy(model(), model.targets) + _penalty(model),
        prefix_entropy(windows),
        lambda _: 1.0,
        tuple,
        lambda: bound,
    )


def _penalty(model: nn.Module) -> Tensor:
    return DECAY / 2 * torch.stack([p.square().sum() for p in model.parameters()]).sum()


def _norm(matrix: Tensor) -> float:
    return float(torch.linalg.matrix_norm(matrix, 2))
