"""Hessian norms of networks against the gap: B.6, constants of our own with their proofs.

The paper (arXiv 2510.03164) states that (H0, H1) holds for these networks. Its constants are not
reproduced here; of two of them it is known what is wrong (`counterexamples`). Each class below is a
bound ||Hessian|| <= curvature(gap) for all weights that satisfy its hypothesis, concave in the gap.
So every tangent H0 + H1 gap of it is a valid pair: `law(at)` is the one that touches at gap `at`.

Common notation: x an example, E the mean over the data, second moments E x x^T with eigenvalues
`Moments`, d = (d_1, d_2, ...) a direction in the weights with Frobenius norms |d_i|, all of them
together of length 1. A quadratic form of the Hessian has a Gauss-Newton part, in which the outputs
move, and a part in which the network itself bends.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from autowarmup.lab.theory.law import Floats, Law, Numbers

BEND = 4 / (3 * np.sqrt(3))
"""max |tanh''|."""


@dataclass(frozen=True)
class Moments:
    """Eigenvalues of E x x^T.

    Attributes:
        largest: its norm.
        smallest: above 0 for data of full rank.
        trace: E ||x||^2.
    """

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
    def curvature(self, gap: ArrayLike) -> Floats:
        """Return the bound at gaps >= 0."""

    @abstractmethod
    def slope(self, gap: ArrayLike) -> Floats:
        """Return its derivative at gaps > 0."""

    def law(self, at: float) -> Law:
        """Return the pair (H0, H1) whose line touches the bound at the gap `at` > 0."""
        H1 = float(self.slope(at))
        return Law(float(self.curvature(at)) - H1 * at, H1)


@dataclass(frozen=True)
class DeepLinear(Bound):
    """L matrices, E ||W_L ... W_1 x - y||^2 / 2, gap from the least-squares optimum.

    With m = kappa (p + sqrt(2 gap / smallest)), p = ||P*|| for the least-squares map P*:

        ||Hessian|| <= L largest m^(2 - 2/L) + (L - 1) sqrt(2 largest f) m^(1 - 2/L).

    Hypotheses: x of full rank (smallest > 0); ||W_i||^L <= kappa ||W_L ... W_1|| for all i, which
    holds with kappa = 1 for balanced weights (W_{i+1}^T W_{i+1} = W_i W_i^T), whose singular values
    are shared by all layers. Gradient flow keeps them balanced, a finite step nearly.
    Proof: gap = E ||(P - P*) x||^2 / 2 >= smallest ||P - P*||^2 / 2, so ||P|| <= p + sqrt(2 gap /
    smallest) and ||W_i||^L <= m. One matrix moves the outputs by at most |d_i| ||W||^(L-1)
    sqrt(largest); two of them change them by |d_i| |d_j| ||W||^(L-2) sqrt(largest), against
    residuals of size sqrt(2 f); sum |d_i| <= sqrt L and 2 sum_{i<j} |d_i| |d_j| <= L - 1. The line
    with `smallest` is false without full rank: weights on inputs that never occur cost nothing.

    Attributes:
        layers: L >= 2; no hidden width below the inputs or outputs, so that P* is attained.
        moments: of the inputs.
        best: p = ||P*||.
        f_star: least-squares optimum.
        kappa: see above.
    """

    layers: int
    moments: Moments
    best: Numbers
    f_star: Numbers
    kappa: Numbers = 1.0

    def _parts(self, gap: ArrayLike) -> tuple[Floats, Floats, Floats]:
        gap = np.asarray(gap, dtype=float)
        m = self.kappa * (self.best + np.sqrt(2 * gap / self.moments.smallest))
        return gap, m, np.sqrt(2 * self.moments.largest * (gap + self.f_star))

    def curvature(self, gap: ArrayLike) -> Floats:
        """Return the bound at gaps >= 0."""
        _, m, size = self._parts(gap)
        L = self.layers
        return L * self.moments.largest * m ** (2 - 2 / L) + (L - 1) * size * m ** (1 - 2 / L)

    def slope(self, gap: ArrayLike) -> Floats:
        """Return its derivative at gaps > 0."""
        gap, m, size = self._parts(gap)
        L, largest = self.layers, self.moments.largest
        turn = self.kappa / np.sqrt(2 * gap * self.moments.smallest)
        first = L * largest * (2 - 2 / L) * m ** (1 - 2 / L) * turn
        second = (1 - 2 / L) * m ** (-2 / L) * turn * size + m ** (1 - 2 / L) * largest / size
        return first + (L - 1) * second


@dataclass(frozen=True)
class LeakyReLU(Bound):
    """Two matrices with leaky ReLU between, E ||W_2 phi(W_1 x) - y||^2 / 2; gap = loss.

    Wherever no unit is at its kink (elsewhere there is no Hessian), with N = sqrt(E ||y||^2) +
    sqrt(2 f) and q^2 the positive root of (rho leak^2 / trace) q^4 = excess q^2 + N^2,

        ||Hessian|| <= (kappa largest / smallest + 1) q^2 + sqrt(2 largest f).

    Hypotheses: full rank; rho W_1 W_1^T <= W_2^T W_2 + excess (as matrices); ||W_2||^2 <= kappa
    ||W_1||^2. Balanced weights have rho = kappa = 1, excess = 0. Unlike for linear networks
    gradient flow does not keep them balanced, only the norms in and out of each unit.
    Proof: with G = W_1 W_1^T, W_1 x = G^(1/2) z, ||z|| <= ||x||, and phi = a diagonal A between
    leak and 1, v = A W_1 x: ||G^(1/2) v|| ||x|| >= <G^(1/2) A G^(1/2) z, z> >= leak ||W_1 x||^2,
    and ||W_2 v||^2 >= rho ||G^(1/2) v||^2 - excess ||v||^2. In the mean, with Cauchy-Schwarz,
    N^2 >= rho leak^2 (E ||W_1 x||^2)^2 / trace - excess E ||W_1 x||^2, so E ||W_1 x||^2 <= q^2;
    it is at least smallest ||W_1||^2. The outputs move by ||W_2|| sqrt(largest) |d_1| + q |d_2|,
    and bend by sqrt(largest) |d_1| |d_2|, twice. For three matrices and more the products of two
    such diagonals need not be bounded below: nothing is claimed.

    Attributes:
        leak: slope of the activation for negative numbers, in (0, 1].
        moments: of the inputs.
        targets: sqrt(E ||y||^2).
        excess: see above.
        kappa: see above.
        rho: see above, in (0, 1].
    """

    leak: Numbers
    moments: Moments
    targets: Numbers
    excess: Numbers = 0.0
    kappa: Numbers = 1.0
    rho: Numbers = 1.0

    def _parts(self, gap: ArrayLike) -> tuple[Floats, Floats, Floats]:
        """Return sqrt(2 f), the root in q^2 and q^2."""
        root = np.sqrt(2 * np.asarray(gap, dtype=float))
        a = self.rho * np.square(self.leak) / self.moments.trace
        under = np.sqrt(np.square(self.excess) + 4 * a * (self.targets + root) ** 2)
        return root, under, (self.excess + under) / (2 * a)

    def curvature(self, gap: ArrayLike) -> Floats:
        """Return the bound at gaps >= 0."""
        root, _, square = self._parts(gap)
        top = self.moments.largest
        return (self.kappa * top / self.moments.smallest + 1) * square + np.sqrt(top) * root

    def slope(self, gap: ArrayLike) -> Floats:
        """Return its derivative at gaps > 0."""
        root, under, _ = self._parts(gap)
        top = self.moments.largest
        share = (self.kappa * top / self.moments.smallest + 1) * 2 * (self.targets + root) / under
        return (share + np.sqrt(top)) / root


@dataclass(frozen=True)
class TwoLayers(Bound):
    """W_2 tanh(W_1 x + b_1) + b_2, cross-entropy, decay / 2 ||all weights||^2; gap = loss.

        ||Hessian|| <= decay + 1/2 + sqrt(2 largest) + (largest / decay) f
                       + sqrt(2) BEND largest sqrt(2 f / decay),

    `largest` that of E x~ x~^T, x~ = (x, 1). No other hypothesis. In the gap from the true f* the
    pair has H0 = C0 + C1 f* where the bound is C0 + C1 f: the term in f* must not be dropped.
    Proof: ||weights||^2 <= 2 f / decay. The Hessian of the cross-entropy in the logits is at most
    1/2, its gradient at most sqrt(2). The logits move by |d_2| sqrt(1 + E ||W_1 x~||^2) + ||W_2||
    sqrt(largest) |d_1|, and both squares together are at most 1 + largest ||weights||^2; they bend
    by sqrt(largest) |d_1| |d_2| twice and by BEND ||W_2|| largest |d_1|^2.

    Attributes:
        moments: of (x, 1).
        decay: lambda of the L2 term, on biases too.
    """

    moments: Moments
    decay: Numbers

    def curvature(self, gap: ArrayLike) -> Floats:
        """Return the bound at gaps >= 0."""
        top, gap = self.moments.largest, np.asarray(gap, dtype=float)
        fixed = self.decay + 0.5 + np.sqrt(2 * top)
        return fixed + top * gap / self.decay + 2 * BEND * top * np.sqrt(gap / self.decay)

    def slope(self, gap: ArrayLike) -> Floats:
        """Return its derivative at gaps > 0."""
        top, gap = self.moments.largest, np.asarray(gap, dtype=float)
        return top / self.decay + BEND * top / np.sqrt(gap * self.decay)


@dataclass(frozen=True)
class Attention(Bound):
    """One head: logits V sum_k softmax_k(x_k^T A x_last) x_k, cross-entropy + L2 on (V, A).

    With gap = f - `lowest`, where no cross-entropy on the data is below `lowest`, r = max ||x_k||:

        ||Hessian|| <= decay + r^2 / 2 + sqrt(2) r^3 + (r^6 / decay) gap + 4 r^5 sqrt(gap / decay).

    The key-query product is one matrix. With keys and queries apart the logits have degree three in
    the weights and this proof gives a square of the gap, which is no (H0, H1).
    Proof: decay / 2 ||V||^2 <= gap. Let c be the mean of the x_k under the softmax: along dA it
    moves by its covariance times dA x_last, at most r^3 |dA|, and bends by a third moment, at most
    2 r^5 |dA|^2. The logits move by r |dV| + ||V|| r^3 |dA| and bend by 2 r^3 |dV| |dA| +
    2 r^5 ||V|| |dA|^2, against a gradient of at most sqrt(2) and a Hessian of at most 1/2.

    Attributes:
        radius: r.
        decay: lambda of the L2 term.
    """

    radius: Numbers
    decay: Numbers

    def curvature(self, gap: ArrayLike) -> Floats:
        """Return the bound at gaps >= 0."""
        r, share = self.radius, np.asarray(gap, dtype=float) / self.decay
        fixed = self.decay + r**2 / 2 + np.sqrt(2) * r**3
        return fixed + r**6 * share + 4 * r**5 * np.sqrt(share)

    def slope(self, gap: ArrayLike) -> Floats:
        """Return its derivative at gaps > 0."""
        r, gap = self.radius, np.asarray(gap, dtype=float)
        return r**6 / self.decay + 2 * r**5 / np.sqrt(gap * self.decay)
