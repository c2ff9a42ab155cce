"""One function per object of paper B (arXiv 2510.03164): its network, its data, its loss, its f*.

All are full-batch: the loss, its gradient and its Hessian are exact, and a gap is a gap. The data
are always the same; the seed draws the weights. Sizes and rates are chosen so that a run takes a
minute or two on one core and the descent is spread over many measured points.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from autowarmup.lab.problems.data import digits, linear_teacher, one_hot, text_windows
from autowarmup.lab.problems.floor import least_squares, prefix_entropy, squared_error
from autowarmup.lab.problems.networks import (
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
L2 = 0.01


@dataclass(frozen=True)
class Problem:
    """A loss to descend.

    Attributes:
        model: its weights at the start.
        loss: returns the full-batch loss with its graph.
        f_star: the lower end of the loss, or a number below it.
        f_star_source: where that number comes from, one sentence.
    """

    model: nn.Module
    loss: Callable[[], Tensor]
    f_star: float
    f_star_source: str


def deep_linear(seed: int) -> Problem:
    """Three matrices, squared error; inputs of full rank, as the statement needs."""
    examples = linear_teacher(200, 20, 10, seed=0)
    model = BalancedNet((20, 32, 32, 10), slope=1.0, scale=1.6, seed=seed)
    return Problem(
        model,
        lambda: squared_error(model(examples.x), examples.y),
        least_squares(examples),
        "exact: the least-squares optimum, which a deep linear network without bottleneck attains",
    )


def deep_leaky_relu(seed: int) -> Problem:
    """Three matrices with leaky ReLU between them, squared error on digits."""
    examples = one_hot(digits(500))
    model = BalancedNet((64, 96, 96, 10), slope=0.1, scale=1.5, seed=seed)
    return Problem(
        model,
        lambda: squared_error(model(examples.x), examples.y),
        0.0,
        "lower bound: a squared error is never negative; L-BFGS comes within 1e-6 of it here",
    )


def two_layer_ce(seed: int) -> Problem:
    """Two layers, cross-entropy and L2 on digits."""
    examples = digits()
    model = TwoLayerNet((64, 64, 10), scale=1.0, seed=seed)
    return Problem(
        model,
        lambda: F.cross_entropy(model(examples.x), examples.y) + _penalty(model),
        TWO_LAYER_CE_LOWEST,
        _SEARCHED,
    )


def two_layer_mse(seed: int) -> Problem:
    """Two layers, squared error and L2 on digits."""
    examples = one_hot(digits())
    model = TwoLayerNet((64, 64, 10), scale=1.0, seed=seed)
    return Problem(
        model,
        lambda: squared_error(model(examples.x), examples.y) + _penalty(model),
        TWO_LAYER_MSE_LOWEST,
        _SEARCHED,
    )


def one_layer_transformer(seed: int) -> Problem:
    """One layer of attention and one perceptron, cross-entropy on bytes of text."""
    windows = text_windows(32, 32)
    model = OneLayerTransformer(256, 32, width=32, heads=4, seed=seed)
    inputs, targets = windows[:, :-1], windows[:, 1:].flatten()
    return Problem(
        model,
        lambda: F.cross_entropy(model(inputs).flatten(0, 1), targets),
        prefix_entropy(windows),
        "exact lower bound: the entropy of the next byte given all bytes before it, over these "
        "windows",
    )


def digits_vit(seed: int) -> Problem:
    """A vision transformer of two layers, cross-entropy on digits."""
    examples = digits(256)
    images = examples.x.float().reshape(-1, 1, 8, 8)
    model = vision_transformer(width=32, layers=2, heads=4, seed=seed)
    return Problem(
        model,
        lambda: F.cross_entropy(model(pixel_values=images).logits, examples.y),
        0.0,
        "lower bound: a cross-entropy is never negative; this network learns every image",
    )


def _penalty(model: nn.Module) -> Tensor:
    """L2 / 2 times the sum of the squares of all weights and biases."""
    return L2 / 2 * torch.stack([p.square().sum() for p in model.parameters()]).sum()
