"""Networks of `lab.problems` with what B.6 states of them, to be trained on real data.

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
from torch import Tensor
from torch.nn import functional as F

from autowarmup.lab.problems import definitions
from autowarmup.lab.problems.data import Examples, one_hot, principal_components, text_windows
from autowarmup.lab.problems.definitions import Problem
from autowarmup.lab.problems.lower_bounds import least_squares
from autowarmup.lab.problems.networks import BalancedNet, orthonormal
from autowarmup.lab.theory.bounds import networks as bounds
from autowarmup.lab.theory.law import Floats
from autowarmup.lab.theory.random_networks import exact_hessians

LEAK = 0.5
RHO = 0.5
"""rho of `LeakyReLU` in these runs: below 1, so that weights may leave the balance a little."""
DECAY = 0.02


class Size(NamedTuple):
    """How large they are."""

    images: int  # digits, at most 1,797
    components: int  # of them, that the networks see
    hidden: int  # width of the two-layer network
    windows: int  # of text
    length: int  # bytes a window predicts
    width: int  # of the vectors that stand for bytes


QUICK = Size(200, 10, 10, 16, 12, 10)
"""For the table."""


@dataclass(frozen=True)
class Bounded:
    """A problem and what is stated of its Hessian."""

    problem: Problem  # the loss to descend
    lr: Callable[[float], float]  # gap -> rate
    bound: Callable[..., bounds.Bound]  # of the numbers of `balance`, rises with each of them
    balance: Callable[[], tuple[float, ...]] = tuple  # what constants need to know of the weights


def deep_linear(seed: int, size: Size) -> Bounded:
    """Three matrices, squared error, balanced; the rate is that of the theorem, 1 / bound."""
    held = one_hot(principal_components(size.components, size.images))
    problem = definitions.deep_linear(seed, held, (*[size.components] * 3, 10), scale=1.5)
    start = _linear_bound(problem)(1.0)
    return _linear(problem, lambda gap: 1 / float(start.curvature(gap)))


def blank_pixel(seed: int, size: Size) -> Bounded:
    """As `deep_linear` with one input more that is 0 in every image, as some pixels are.

    The weights are balanced, but the largest singular value of every layer belongs to that input.
    The bound takes the least positive eigenvalue of the data for the least: what is false.
    """
    held = one_hot(principal_components(size.components, size.images))
    blank = torch.zeros(len(held.x), 1, dtype=held.x.dtype)
    width = size.components + 1
    widths = (width, width, width, 10)
    examples = Examples(torch.cat([held.x, blank], 1), held.y)
    least = least_squares(held)  # the blank input changes nothing
    problem = definitions.deep_linear(seed, examples, widths, scale=0.5, lower_bound=least)
    draw = torch.Generator().manual_seed(seed)
    bases = [orthonormal(rows, 10, draw) for rows in widths]
    seen = orthonormal(width - 1, 9, draw)
    bases[0] = torch.block_diag(seen, torch.ones(1, 1, dtype=torch.float64))
    values = torch.tensor([0.5] * 9 + [3.0], dtype=torch.float64)
    with torch.no_grad():
        for weight, before, after in zip(_layers(problem), bases[:-1], bases[1:], strict=True):
            weight.copy_(after * values @ before.T)
    return _linear(problem, lambda _: 0.01)


def _layers(problem: Problem) -> list[Tensor]:
    assert isinstance(problem.model, BalancedNet)
    return [weight.detach() for weight in problem.model.layers]


def _linear(problem: Problem, lr: Callable[[float], float]) -> Bounded:
    def kappa() -> tuple[float]:
        weights = _layers(problem)
        product = _norm(torch.linalg.multi_dot(weights[::-1]))
        return (max(_norm(w) for w in weights) ** len(weights) / product,)

    return Bounded(problem, lr, _linear_bound(problem), kappa)


def _linear_bound(problem: Problem) -> Callable[[float], bounds.DeepLinear]:
    x, y = problem.examples.x.numpy(), problem.examples.y.numpy()
    values = np.linalg.eigvalsh(x.T @ x / len(x))
    moments = bounds.Moments(values[-1], values[values > 1e-9][0], values.sum())
    best = float(np.linalg.norm(np.linalg.pinv(x) @ y, 2))  # the least-norm solution
    layers = len(_layers(problem))
    return lambda kappa: bounds.DeepLinear(layers, moments, best, problem.lower_bound, kappa)


def leaky_relu(seed: int, size: Size) -> Bounded:
    """Two matrices with leaky ReLU of slope 1/2 between, squared error, balanced at the start."""
    examples = one_hot(principal_components(size.components, size.images))
    widths = (size.components, 10, 10)
    problem = definitions.deep_leaky_relu(seed, examples, widths, slope=LEAK)
    moments = bounds.Moments.of(examples.x.numpy())

    def balance() -> tuple[float, float]:
        first, second = _layers(problem)
        short = RHO * first @ first.T - second.T @ second
        excess = max(torch.linalg.eigvalsh(short)[-1].item(), 0.0)
        return excess, (_norm(second) / _norm(first)) ** 2

    def bound(excess: float, kappa: float) -> bounds.LeakyReLU:
        return bounds.LeakyReLU(LEAK, moments, 1.0, excess, kappa, RHO)

    return Bounded(problem, lambda _: 0.02, bound, balance)


def two_layers(seed: int, size: Size) -> Bounded:
    """Affine, tanh, affine; cross-entropy and L2 on all weights and biases."""
    examples = principal_components(size.components, size.images)
    widths = (size.components, size.hidden, 10)
    problem = definitions.two_layer_ce(seed, examples, widths, 2.0, DECAY, lower_bound=0.0)
    bound = bounds.TwoLayers(bounds.Moments.of(F.pad(examples.x, (0, 1), value=1.0).numpy()), DECAY)
    return Bounded(problem, lambda _: 0.3, lambda: bound)


def attention(seed: int, size: Size) -> Bounded:
    """One head of attention on bytes of text, cross-entropy and L2."""
    windows = text_windows(size.windows, size.length)
    problem = definitions.attention_head(seed, windows, size.width, DECAY)
    return Bounded(problem, lambda _: 1.0, lambda: bounds.Attention(1.0, DECAY))


class Toy:
    """w2 (w11 x1 + w12 x2), logistic loss, L2 of strength `decay`: its f* is known.

    Half of the data is x = (small, 0) with one label, which only large weights fit; the other half
    is x = (0, large) with both labels equally often, which no weights fit.

    Attributes:
        C0: bound decay + E|x| of the curvature that does not grow with f.
        C1: E|x|^2 / (2 decay): l'' <= 1/4, |grad z|^2 <= |x|^2 |w|^2, |w|^2 <= 2 f / decay.
        best: (w11, w12, w2) = (s, 0, s) with 1 / (1 + e^(small s^2)) = 2 decay / small: for fixed
            w2 the loss is convex and even in w12; the rest is AM-GM in (w11, w2).
    """

    small, large, decay = 0.05, 2.0, 1e-3
    C0 = decay + (small + large) / 2
    C1 = (small**2 + large**2) / 2 / (2 * decay)
    best = np.sqrt(np.log(1 / (2 * decay / small) - 1) / small) * np.array([1.0, 0.0, 1.0])
    x = torch.tensor([[small, 0], [small, 0], [0, large], [0, -large]], dtype=torch.float64)

    @staticmethod
    def error(outputs: Tensor, labels: Tensor) -> Tensor:
        """Return the logistic loss."""
        return F.softplus(-labels * outputs[:, 0]).mean()

    @classmethod
    def hessians(cls, w: Floats) -> tuple[Floats, Floats]:
        """Return loss and Hessian norm at weights of shape (instances, 3)."""
        net, count = BalancedNet((2, 1, 1), slope=1.0, scale=1.0, seed=0), len(w)
        weights = [w[:, None, :2], w[:, None, 2:]]
        x = np.broadcast_to(cls.x.numpy(), (count, 4, 2)).copy()
        decay = np.full(count, cls.decay)
        return exact_hessians(net, cls.error, weights, x, np.ones((count, 4)), decay)

    @classmethod
    def bounded(cls, start: Floats) -> Bounded:
        """Return the problem from these weights, with its exact gap and the corrected bound."""
        net = BalancedNet((2, 1, 1), slope=1.0, scale=1.0, seed=0)
        held = Examples(cls.x, torch.ones(4).double())
        found = definitions.problem(net, cls.error, held, 0.0, "exact", cls.decay)
        torch.nn.utils.vector_to_parameters(torch.tensor(cls.best), net.parameters())
        lowest = found.loss().item()
        torch.nn.utils.vector_to_parameters(torch.tensor(start), net.parameters())
        bound = bounds.Line(cls.C0 + cls.C1 * lowest, cls.C1)
        return Bounded(replace(found, lower_bound=lowest), lambda _: 0.02, lambda: bound)


def _norm(matrix: Tensor) -> float:
    return float(torch.linalg.matrix_norm(matrix, 2))
