"""Lower bounds of losses by formulas."""

from __future__ import annotations

import math
from collections import Counter, defaultdict

import torch
from torch import Tensor

from autowarmup.lab.problems.data import Examples


def squared_error(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the mean over examples of ||output - target||^2 / 2.

    Example:
        >>> squared_error(torch.tensor([[3.0, 4.0], [0.0, 0.0]]), torch.zeros(2, 2)).item()
        6.25
    """
    return (outputs - targets).square().sum(1).mean() / 2


def least_squares(examples: Examples) -> float:
    """Return the least squared error of any linear map, in float64, for inputs of full rank.

    It is f* of a deep linear network whose hidden widths are no narrower than its inputs or its
    outputs: the product of its matrices can be any matrix.

    Example:
        y = (1, 0) at x = (1, 1): the best line through zero answers 1/2 twice.

        >>> least_squares(Examples(torch.ones(2, 1), torch.tensor([[1.0], [0.0]])))
        0.125
    """
    x, y = examples.x.double(), examples.y.double()
    best = torch.linalg.lstsq(x, y, driver="gels").solution
    return squared_error(x @ best, y).item()


def prefix_entropy(windows: Tensor) -> float:
    """Return the mean cross-entropy in nats per token that no causal model of windows can beat.

    A causal model answers with one distribution to all windows that have begun the same way. Its
    best answer is the frequencies of what follows, and costs their entropy. `windows` are token
    numbers, shape (windows, length + 1).

    Example:
        Nothing tells "1, 2" from "1, 3"; after that all is known:

        >>> two = torch.tensor([[1, 2, 5], [1, 3, 6]])
        >>> prefix_entropy(two) == math.log(2) / 2
        True
    """
    followers: dict[tuple[int, ...], Counter[int]] = defaultdict(Counter)
    for window in windows.tolist():
        for end in range(1, len(window)):
            followers[tuple(window[:end])][window[end]] += 1
    nats = 0.0
    for counts in followers.values():
        nats -= sum(count * math.log(count / counts.total()) for count in counts.values())
    return nats / (windows.shape[0] * (windows.shape[1] - 1))
