"""Two networks small enough for exact Hessians in closed form, as counterexamples need them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def deep_linear_hessian(W1: Floats, W2: Floats, X: Floats, Y: Floats) -> Floats:
    """Return the Hessian of ||W2 W1 X - Y||_F^2 in (W1, W2), square, of side W1.size + W2.size.

    Its quadratic form is 2 ||W2 d1 X + d2 W1 X||^2 + 4 <W2 W1 X - Y, d2 d1 X>.

    Example:
        >>> W, X = np.diag([0.0, 3.0]), np.diag([1.0, 0.0])
        >>> round(float(np.linalg.norm(deep_linear_hessian(W, W, X, 0 * X), 2)), 9)
        18.0
    """
    residual = W2 @ W1 @ X - Y
    sides = (W1.size, W2.size)
    units = [np.eye(side).reshape(side, *W.shape) for side, W in zip(sides, (W1, W2), strict=True)]
    first = np.concatenate([W2 @ units[0] @ X, units[1] @ (W1 @ X)])
    jacobian = first.reshape(len(first), -1)
    hessian = 2 * jacobian @ jacobian.T
    cross = 2 * np.einsum("pij,qjk,kl,il->qp", units[1], units[0], X, residual)
    hessian[: sides[0], sides[0] :] += cross
    hessian[sides[0] :, : sides[0]] += cross.T
    return hessian


def deep_linear_bound(X: Floats, Y: Floats, *, f: float, sigma_min: float) -> float:
    """Return the bound of that Hessian's norm for balanced weights (W1 W1^T = W2^T W2).

    4 ||X||^2 (||Y|| + sqrt f) / sigma_min + 2 ||X|| sqrt f, since ||W_i||^2 = ||W2 W1|| <=
    ||W2 W1 X|| / sigma_min(X). That last step is where X needs full row rank.
    """
    size, root = np.linalg.norm(X, 2), np.sqrt(f)
    return float(4 * size**2 * (np.linalg.norm(Y) + root) / sigma_min + 2 * size * root)


@dataclass(frozen=True)
class ToyCrossEntropy:
    """w2 (w11 x1 + w12 x2), logistic loss, L2 of strength `decay`; w = (w11, w12, w2).

    Half of the data is x = (small, 0) with one label, which only large weights fit; the other half
    is x = (0, large) with both labels equally often, which no weights fit.

    Attributes:
        small: feature of the first half.
        large: feature of the second.
        decay: lambda in lambda / 2 ||w||^2.
    """

    small: float = 0.05
    large: float = 2.0
    decay: float = 1e-3

    @property
    def C0(self) -> float:
        """Bound lambda + E|x| of the curvature that does not grow with f."""
        return self.decay + (self.small + self.large) / 2

    @property
    def C1(self) -> float:
        """E|x|^2 / (2 lambda): l'' <= 1/4, |grad z|^2 <= |x|^2 |w|^2, |w|^2 <= 2 f / lambda."""
        return (self.small**2 + self.large**2) / 2 / (2 * self.decay)

    def _samples(self) -> list[tuple[float, Floats]]:
        up, down = np.array([self.small, 0.0]), np.array([0.0, self.large])
        return [(0.5, up), (0.25, down), (0.25, -down)]

    def value(self, w: Floats) -> float:
        """Return the loss."""
        loss = sum(p * np.logaddexp(0.0, -w[2] * (w[:2] @ x)) for p, x in self._samples())
        return float(loss + self.decay / 2 * (w @ w))

    def gradient(self, w: Floats) -> Floats:
        """Return the gradient, 3 numbers."""
        total = self.decay * w
        for p, x in self._samples():
            q = 1 / (1 + np.exp(w[2] * (w[:2] @ x)))
            total = total - p * q * np.append(w[2] * x, w[:2] @ x)
        return total

    def hessian(self, w: Floats) -> Floats:
        """Return the Hessian, 3 x 3."""
        total = self.decay * np.eye(3)
        for p, x in self._samples():
            q = 1 / (1 + np.exp(w[2] * (w[:2] @ x)))  # -l'(z), and l'' = q (1 - q)
            turn = np.append(w[2] * x, w[:2] @ x)
            bend = np.zeros((3, 3))
            bend[:2, 2] = bend[2, :2] = x
            total += p * (q * (1 - q) * np.outer(turn, turn) - q * bend)
        return total

    def minimiser(self) -> Floats:
        """Return one: w12 = 0, w11 = w2 = s with 1 / (1 + e^(small s^2)) = 2 lambda / small.

        For fixed w2 the loss is convex and even in w12; the rest is AM-GM in (w11, w2).
        """
        share = 2 * self.decay / self.small
        s = np.sqrt(np.log(1 / share - 1) / self.small)
        return np.array([s, 0.0, s])
