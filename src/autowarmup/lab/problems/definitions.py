"""The problems: a network, its data, its loss, a lower bound of it; one function each.

All are full-batch, the data always the same; the seed draws the weights. By default they are the
objects that `registry` trains, a minute or two each; `theory.networks` builds others of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from autowarmup.lab.problems import data, networks
from autowarmup.lab.problems.data import Examples
from autowarmup.lab.problems.lower_bounds import least_squares, prefix_entropy, squared_error

# What `studies.lowest_losses` found, 2,500 to 4,000 iterations from each of seeds 0 to 9, rounded
# down. The ten ends lie 0.09 % (cross-entropy) and 0.36 % (squared error) apart: local minima.
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
    """A loss to descend."""

    model: nn.Module  # its weights at the start
    loss: Callable[[], Tensor]  # returns the full-batch loss with its graph
    lower_bound: float  # the lower end f* of the loss, or a number below it
    source: str  # where that number comes from, one sentence
    examples: Examples  # what it is trained on


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
    examples = examples or data.linear_teacher(200, 20, 10, seed=0)
    model = networks.BalancedNet(widths, slope=1.0, scale=scale, seed=seed)
    least = least_squares(examples) if lower_bound is None else lower_bound
    source = "exact: the least-squares optimum, which a deep linear network without bottleneck "
    return problem(model, squared_error, examples, least, f"{source}attains")


def deep_leaky_relu(
    seed: int,
    examples: Examples | None = None,
    widths: tuple[int, ...] = (64, 96, 96, 10),
    slope: float = 0.1,
) -> Problem:
    """Matrices with leaky ReLU between them, squared error on digits."""
    examples = examples or data.one_hot(data.digits(500))
    model = networks.BalancedNet(widths, slope=slope, scale=1.5, seed=seed)
    source = "lower bound: a squared error is never negative; L-BFGS comes within 1e-6 of it here"
    return problem(model, squared_error, examples, 0.0, source)


def two_layer_ce(
    seed: int,
    examples: Examples | None = None,
    widths: tuple[int, int, int] = (64, 64, 10),
    scale: float = 1.0,
    decay: float = 0.01,
    lower_bound: float = TWO_LAYER_CE_LOWEST,
) -> Problem:
    """Two layers, cross-entropy and L2 on digits."""
    model = networks.TwoLayerNet(widths, scale=scale, seed=seed)
    return problem(model, F.cross_entropy, examples or data.digits(), lower_bound, _SEARCHED, decay)


def two_layer_mse(seed: int) -> Problem:
    """Two layers, squared error and L2 on digits."""
    model = networks.TwoLayerNet((64, 64, 10), scale=1.0, seed=seed)
    examples = data.one_hot(data.digits())
    return problem(model, squared_error, examples, TWO_LAYER_MSE_LOWEST, _SEARCHED, 0.01)


def attention_head(seed: int, windows: Tensor, width: int, decay: float) -> Problem:
    """One head of attention on fixed vectors of bytes, cross-entropy and L2."""
    draw = torch.Generator().manual_seed(seed)
    examples = data.unit_vectors(windows, width, draw)
    model = networks.AttentionHead(width, len(windows.unique()), draw)
    return problem(model, _next_token, examples, prefix_entropy(windows), _ENTROPY, decay=decay)


def one_layer_transformer(seed: int) -> Problem:
    """One layer of attention and one perceptron, cross-entropy on bytes of text."""
    windows = data.text_windows(32, 32)
    model = networks.OneLayerTransformer(256, 32, width=32, heads=4, seed=seed)
    examples = Examples(windows[:, :-1], windows[:, 1:].flatten())
    return problem(model, _next_token, examples, prefix_entropy(windows), _ENTROPY)


def _next_token(logits: Tensor, targets: Tensor) -> Tensor:
    return F.cross_entropy(logits.flatten(0, 1), targets)


def digits_vit(seed: int) -> Problem:
    """A vision transformer of two layers, cross-entropy on digits."""
    held = data.digits(256)
    examples = Examples(held.x.float().reshape(-1, 1, 8, 8), held.y)
    model = networks.vision_transformer(width=32, layers=2, heads=4, seed=seed)
    source = "lower bound: a cross-entropy is never negative; this network learns every image"
    return problem(model, _of_logits, examples, 0.0, source)


def _of_logits(output: Any, y: Tensor) -> Tensor:
    return F.cross_entropy(output.logits, y)
