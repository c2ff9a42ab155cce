"""The Lanczos process for the two ends of a symmetric operator's spectrum, on lists of blocks.

From a random start v_1 it builds an orthonormal basis of the Krylov space and the tridiagonal
matrix T_k of the operator in it, one product a step:

    beta_k v_{k+1} = A v_k - alpha_k v_k - beta_{k-1} v_{k-1}.

The outermost eigenvalues of T_k (Ritz values) lie inside the spectrum of A and go to its ends; an
eigenvalue of A lies within |beta_k s| of each, where s is the last entry of its eigenvector of T_k.
In floating point the basis slowly loses orthogonality, which only brings copies of eigenvalues that
are already found (Paige 1980): the ends stay right, so three vectors are all that has to be kept.
"""

# torch has its grouped ("foreach") operations under private names only.
# pyright: reportPrivateImportUsage=false
from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from autowarmup.measure.passes import inner

AddProduct = Callable[[list[Tensor], list[Tensor]], None]
"""Takes v and a list to add A v to, in place."""


@dataclass(frozen=True)
class Extremes:
    """The two ends of a spectrum.

    Attributes:
        largest: largest (most positive) eigenvalue, from below.
        smallest: smallest (most negative) eigenvalue, from above.
        residual: an eigenvalue lies within this of the end with the larger magnitude.
        products: operator-vector products spent.
        converged: whether both ends say, to the tolerance asked for, what `norm` is.
    """

    largest: float
    smallest: float
    residual: float
    products: int
    converged: bool

    @property
    def norm(self) -> float:
        """The operator norm max |eigenvalue|: ||Hess f|| of (H0, H1)-smoothness."""
        return max(abs(self.largest), abs(self.smallest))


def lanczos(
    add_product: AddProduct,
    start: list[Tensor],
    *,
    tol: float,
    most: int,
    reorthogonalize: bool = False,
) -> Extremes:
    """Run the process until the end with the larger magnitude is known, or `most` products.

    `start`, of any length but zero, is overwritten. `tol` is relative, on the residual; the error
    of the eigenvalue itself is of the order of its square over the distance to the next one.

    Raises:
        ValueError: a product that is not finite.

    Example:
        >>> diagonal = torch.tensor([1.0, 4.0, -9.0, 2.0])
        >>> found = lanczos(lambda v, out: out[0].add_(diagonal * v[0]), [torch.ones(4)],
        ...                 tol=1e-3, most=10)
        >>> round(found.largest, 4), round(found.smallest, 4), found.products
        (4.0, -9.0, 4)
    """
    epsilon = max(torch.finfo(block.dtype).eps for block in start)
    size = sum(block.numel() for block in start)
    # Beyond `size` directions there is nothing left to be orthogonal to.
    limit = min(most, size) if reorthogonalize else most
    alphas: list[float] = []
    betas: list[float] = []
    basis: list[list[Tensor]] = []
    v, spare = start, [torch.zeros_like(block) for block in start]
    torch._foreach_mul_(v, 1.0 / _length(v))
    while True:
        torch._foreach_mul_(spare, -betas[-1] if betas else 0.0)  # spare holds v_{k-1}
        add_product(v, spare)
        alphas.append(inner(zip(spare, v, strict=True)))
        if not math.isfinite(alphas[-1]):
            raise ValueError(
                f"the operator must give finite products: got <v, A v> = {alphas[-1]} "
                f"at product {len(alphas)}"
            )
        torch._foreach_add_(spare, v, alpha=-alphas[-1])
        if reorthogonalize:
            basis.append([block.clone() for block in v])
            _remove(basis, spare)
        betas.append(_length(spare))
        (first, residual), (second, other) = _ends(alphas, betas)
        norm = abs(first)
        # What rounding leaves of a vector that vanished: the whole space has been seen.
        exhausted = betas[-1] <= epsilon * norm or (reorthogonalize and len(alphas) == size)
        # The norm is known: its end is, and the other end cannot reach past it.
        known = residual <= tol * norm and abs(second) + other <= norm + tol * norm
        if exhausted or known or len(alphas) == limit:
            largest, smallest = max(first, second), min(first, second)
            return Extremes(largest, smallest, residual, len(alphas), exhausted or known)
        torch._foreach_mul_(spare, 1.0 / betas[-1])
        v, spare = spare, v


def random_start(like: Sequence[Tensor], seed: int) -> list[Tensor]:
    """Return Gaussian blocks of these shapes, at least in float32, a function of `seed` alone."""
    # On the CPU, so that every device starts alike; the random state of the run is not touched.
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.randn(x.shape, generator=generator, dtype=torch.float64).to(x.device, working(x))
        for x in like
    ]


def working(x: Tensor) -> torch.dtype:
    """Return the type of the vectors that go with a block: half precisions are too coarse."""
    return torch.promote_types(x.dtype, torch.float32)


def _length(x: Sequence[Tensor]) -> float:
    return math.sqrt(inner(zip(x, x, strict=True)))


def _remove(basis: list[list[Tensor]], x: list[Tensor]) -> None:
    """Make x orthogonal to an orthonormal basis; a second pass takes out what the first left."""
    for one in [*basis, *basis]:
        torch._foreach_add_(x, one, alpha=-inner(zip(x, one, strict=True)))


def _ends(alphas: list[float], betas: list[float]) -> list[tuple[float, float]]:
    """Return the outermost Ritz values with their residuals, the one larger in magnitude first."""
    off = betas[:-1]
    values, vectors = np.linalg.eigh(np.diag(alphas) + np.diag(off, 1) + np.diag(off, -1))
    residuals = np.abs(vectors[-1]) * betas[-1]
    ends = [(float(values[place]), float(residuals[place])) for place in (-1, 0)]
    return sorted(ends, key=lambda end: -abs(end[0]))
