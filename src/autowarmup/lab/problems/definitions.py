"""The problems: a network, its data, its loss, a lower bound of it; one function each.

All are full-batch: the loss, its gradient and its Hessian are exact, and a gap is a gap. The data
are always the same; the seed draws the weights. By default they are the objects that `registry`
trains, of sizes that take a minute or two on one core; `theory.networks` builds others of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from autowarmup.lab.problems.data import (
    Examples,
    digits,
    linear_teacher,
    one_hot,
    text_windows,
    unit_vectors,
)
from autowarmup.lab.problems.lower_bounds import least_squares, prefix_entropy, squared_error
from autowarmup.lab.problems.networks import (
    AttentionHead,
    BalancedNet,
    OneLayerTransformer,
    TwoLayerNet,
    vision_transformer,
)

# What `search_lowest` found, 2,500 to 4,000 iterations from each of seeds 0 to 9, rounded down. The
# ten ends lie 0.09 % (cross-entropy) and 0.36 % (squared error) apart: local minima.
TWO_LAYER_CE_LOWEST = 0.2693518
TWO_LAYER_MSE_LOWEST = 0.107501
_SEARCHED = (
    "lowest loss that L-BFGS found from 10 starts in float64, which end within 0.4 % of it; the "
    "loss is not convex, so f* may be lower still and the gaps a little larger"
)
_ENTROPY = (
    "exact lower bound: the entropy of the next byte given all bytes before it, over these windows"
)


@dataclass(frozen=True)
class Problem:
    """A loss to descend.

    Attributes:
        model: its weights at the start.
        loss: returns the full-batch loss with its graph.
        lower_bound: the lower end f* of the loss, or a number below it.
        source: where that number comes from, one sentence.
        examples: what it is trained on.
    """

    model: nn.Module
    loss: Callable[[], Tensor]
    lower_bound: float
    source: str
    examples: Examples


def problem(
    model: nn.Module,
    error: Callable[..., Tensor],
    examples: Examples,
    lower_bound: float,
    source: str,
    decay: float = 0.0,
) -> Problem:
    """Join the parts; `decay` adds decay / 2 times the squares of all weights and biases."""

    def loss() -> Tensor:
        value = error(model(examples.x), examples.y)
        if not decay:
            return value
        return value + decay / 2 * torch.stack([p.square().sum() for p in model.parameters()]).sum()

    return Problem(model, loss, lower_bound, source, examples)


def deep_linear(
    seed: int,
    examples: Examples | None = None,
    widths: tuple[int, ...] = (20, 32, 32, 10),
    scale: float = 1.6,
    lower_bound: float | None = None,
) -> Problem:
    """Three matrices, squared error; inputs of full rank, as the statement needs."""
    examples = examples or linear_teacher(200, 20, 10, seed=0)
    return problem(
        BalancedNet(widths, slope=1.0, scale=scale, seed=seed),
        squared_error,
        examples,
        least_squares(examples) if lower_bound is None else lower_bound,
        "exact: the least-squares optimum, which a deep linear network without bottleneck attains",
    )


def deep_leaky_relu(
    seed: int,
    examples: Examples | None = None,
    widths: tuple[int, ...] = (64, 96, 96, 10),
    slope: float = 0.1,
) -> Problem:
    """Matrices with leaky ReLU between them, squared error on digits."""
    return problem(
        BalancedNet(widths, slope=slope, scale=1.5, seed=seed),
        squared_error,
        examples or one_hot(digits(500)),
        0.0,
        "lower bound: a squared error is never negative; L-BFGS comes within 1e-6 of it here",
    )


def two_layer_ce(
    seed: int,
    examples: Examples | None = None,
    widths: tuple[int, int, int] = (64, 64, 10),
    scale: float = 1.0,
    decay: float = 0.01,
    lower_bound: float = TWO_LAYER_CE_LOWEST,
) -> Problem:
    """Two layers, cross-entropy and L2 on digits."""
    model = TwoLayerNet(widths, scale=scale, seed=seed)
    return problem(
        model, F.cross_entropy, examples or digits(), lower_bound, _SEARCHED, decay=decay
    )


def two_layer_mse(seed: int) -> Problem:
    """Two layers, squared error and L2 on digits."""
    model, examples = TwoLayerNet((64, 64, 10), scale=1.0, seed=seed), one_hot(digits())
    return problem(model, squared_error, examples, TWO_LAYER_MSE_LOWEST, _SEARCHED, decay=0.01)


def attention_head(seed: int, windows: Tensor, width: int, decay: float) -> Problem:
    """One head of attention on fixed vectors of bytes, cross-entropy and L2."""
    draw = torch.Generator().manual_seed(seed)
    examples = unit_vectors(windows, width, draw)
    model = AttentionHead(width, len(windows.unique()), draw)
    return problem(model, _next_token, examples, prefix_entropy(windows), _ENTROPY, decay=decay)


def one_layer_transformer(seed: int) -> Problem:
    """One layer of attention and one perceptron, cross-entropy on bytes of text."""
    windows = text_windows(32, 32)
    model = OneLayerTransformer(256, 32, width=32, heads=4, seed=seed)
    examples = Examples(windows[:, :-1], windows[:, 1:].flatten())
    return problem(model, _next_token, examples, prefix_entropy(windows), _ENTROPY)


def _next_token(logits: Tensor, targets: Tensor) -> Tensor:
    return F.cross_entropy(logits.flatten(0, 1), targets)


def digits_vit(seed: int) -> Problem:
    """A vision transformer of two layers, cross-entropy on digits."""
    examples = digits(256)
    return problem(
        vision_transformer(width=32, layers=2, heads=4, seed=seed),
        lambda output, y: F.cross_entropy(output.logits, y),
        Examples(examples.x.float().reshape(-1, 1, 8, 8), examples.y),
        0.0,
        "lower bound: a cross-entropy is never negative; this network learns every image",
    )
