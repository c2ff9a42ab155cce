"""Hessian norms of networks against the gap: B.6, constants of our own (docs/theory/networks.md).

Each class is a bound ||Hessian|| <= curvature(gap) for all weights that satisfy its hypothesis,
concave in the gap. So every tangent H0 + H1 gap of it is a valid pair: `law(at)` is the one that
touches at gap `at`. E is the mean over the data, f the loss.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from autowarmup.lab.theory.law import Floats, Law, Numbers

BEND = 4 / (3 * np.sqrt(3))
"""max |tanh''|."""


@dataclass(frozen=True)
class Moments:
    """Eigenvalues of E x x^T: its norm, the least (above 0 for data of full rank), E ||x||^2."""

    largest: Numbers
    smallest: Numbers
    trace: Numbers

    @classmethod
    def of(cls, x: ArrayLike) -> Moments:
        """Return those of examples, one a row; leading axes are instances.

        Example:
            >>> m = Moments.of([[2.0, 0.0], [0.0, 4.0]])
            >>> float(m.largest), float(m.smallest), float(m.trace)
            (8.0, 2.0, 10.0)
        """
        x = np.asarray(x, dtype=float)
        second = np.swapaxes(x, -1, -2) @ x / x.shape[-2]
        values = np.asarray(np.linalg.eigvalsh(second), dtype=float)
        return cls(values[..., -1], values[..., 0], values.sum(-1))


class Bound(ABC):
    """A bound of the Hessian norm, concave and not falling in the gap."""

    @abstractmethod
    def curvature(self, gap: ArrayLike) -> Any:
        """Return the bound at gaps >= 0; only analytic operations, see `slope`."""

    def slope(self, gap: ArrayLike) -> Floats:
        """Return its derivative at gaps > 0, exact: the imaginary part at gap + i h, over h."""
        h = 1e-20 * np.asarray(gap, dtype=float)
        return self.curvature(np.asarray(gap) + 1j * h).imag / h

    def law(self, at: float) -> Law:
        """Return the pair (H0, H1) whose line touches the bound at the gap `at` > 0."""
        H1 = float(self.slope(at))
        return Law(float(self.curvature(at)) - H1 * at, H1)


@dataclass(frozen=True)
class Line(Bound):
    """H0 + H1 gap itself."""

    H0: float
    H1: float

    def curvature(self, gap: ArrayLike) -> Any:
        """Return the line at gaps."""
        return self.H0 + self.H1 * np.asarray(gap)


@dataclass(frozen=True)
class DeepLinear(Bound):
    """L matrices, E ||W_L ... W_1 x - y||^2 / 2, gap from the least-squares optimum.

    With m = kappa (p + sqrt(2 gap / smallest)), p = ||P*|| for the least-squares map P*:

        ||Hessian|| <= L largest m^(2 - 2/L) + (L - 1) sqrt(2 largest f) m^(1 - 2/L).

    Hypotheses: x of full rank (smallest > 0); ||W_i||^L <= kappa ||W_L ... W_1|| for all i, which
    holds with kappa = 1 for balanced weights.
    """

    layers: int  # L >= 2; no hidden width below the inputs or outputs, so that P* is attained
    moments: Moments  # of the inputs
    best: Numbers  # p = ||P*||
    lower_bound: Numbers  # least-squares optimum f*
    kappa: Numbers = 1.0  # see above

    def curvature(self, gap: ArrayLike) -> Any:
        """Return the bound at gaps >= 0."""
        gap, top, L = np.asarray(gap), self.moments.largest, self.layers
        m = self.kappa * (self.best + np.sqrt(2 * gap / self.moments.smallest))
        size = np.sqrt(2 * top * (gap + self.lower_bound))
        return L * top * m ** (2 - 2 / L) + (L - 1) * size * m ** (1 - 2 / L)


@dataclass(frozen=True)
class LeakyReLU(Bound):
    """Two matrices with leaky ReLU between, E ||W_2 phi(W_1 x) - y||^2 / 2; gap = loss.

    Wherever no unit is at its kink (elsewhere there is no Hessian), with N = sqrt(E ||y||^2) +
    sqrt(2 f) and q^2 the positive root of (rho leak^2 / trace) q^4 = excess q^2 + N^2,

        ||Hessian|| <= (kappa largest / smallest + 1) q^2 + sqrt(2 largest f).

    Hypotheses: full rank; rho W_1 W_1^T <= W_2^T W_2 + excess (as matrices); ||W_2||^2 <= kappa
    ||W_1||^2. Balanced weights have rho = kappa = 1, excess = 0.
    """

    leak: Numbers  # slope of the activation for negative numbers, in (0, 1]
    moments: Moments  # of the inputs
    targets: Numbers  # sqrt(E ||y||^2)
    excess: Numbers = 0.0  # see above
    kappa: Numbers = 1.0  # see above
    rho: Numbers = 1.0  # see above, in (0, 1]

    def curvature(self, gap: ArrayLike) -> Any:
        """Return the bound at gaps >= 0."""
        root, top = np.sqrt(2 * np.asarray(gap)), self.moments.largest
        a = self.rho * np.square(self.leak) / self.moments.trace
        under = np.sqrt(np.square(self.excess) + 4 * a * (self.targets + root) ** 2)
        square = (self.excess + under) / (2 * a)
        return (self.kappa * top / self.moments.smallest + 1) * square + np.sqrt(top) * root


@dataclass(frozen=True)
class TwoLayers(Bound):
    """W_2 tanh(W_1 x + b_1) + b_2, cross-entropy, decay / 2 ||all weights||^2; gap = loss.

        ||Hessian|| <= decay + 1/2 + sqrt(2 largest) + (largest / decay) f
                       + sqrt(2) BEND largest sqrt(2 f / decay),

    `largest` that of (x, 1); `decay` is the lambda of the L2 term, on biases too. No other
    hypothesis. In the gap from the true f* the pair has H0 = C0 + C1 f* where the bound is
    C0 + C1 f: the term in f* must not be dropped.
    """

    moments: Moments
    decay: Numbers

    def curvature(self, gap: ArrayLike) -> Any:
        """Return the bound at gaps >= 0."""
        top, gap = self.moments.largest, np.asarray(gap)
        fixed = self.decay + 0.5 + np.sqrt(2 * top)
        return fixed + top * gap / self.decay + 2 * BEND * top * np.sqrt(gap / self.decay)


@dataclass(frozen=True)
class Attention(Bound):
    """One head: logits V sum_k softmax_k(x_k^T A x_last) x_k, cross-entropy + L2 on (V, A).

    With gap = f - `lowest`, where no cross-entropy on the data is below `lowest`, and
    r = `radius` = max ||x_k||:

        ||Hessian|| <= decay + r^2 / 2 + sqrt(2) r^3 + (r^6 / decay) gap + 4 r^5 sqrt(gap / decay).
    """

    radius: Numbers
    decay: Numbers

    def curvature(self, gap: ArrayLike) -> Any:
        """Return the bound at gaps >= 0."""
        r, share = self.radius, np.asarray(gap) / self.decay
        fixed = self.decay + r**2 / 2 + np.sqrt(2) * r**3
        return fixed + r**6 * share + 4 * r**5 * np.sqrt(share)
