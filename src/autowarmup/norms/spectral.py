"""The spectral norm: its exact polar factor (reference) and the fast iteration that Muon uses.

The lmo of the spectral norm at G = U S V^T is U V^T, the polar factor. `polar_exact` computes it by
a singular value decomposition in float64. `newton_schulz` runs X <- a X + b (X X^T) X
+ c (X X^T)^2 X a few times in bfloat16: an odd polynomial that acts on the singular values alone
and pushes them towards 1.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import torch
from torch import Tensor

from autowarmup.norms.norm import Norm

Triple = tuple[float, float, float]

# Keller Jordan's Muon post, https://kellerjordan.github.io/posts/muon/: steepest at 0, so that five
# steps lift most singular values into about (0.7, 1.2). They never settle at 1.
KELLER_JORDAN: Triple = (3.4445, -4.7750, 2.0315)
METHODS = ("newton_schulz", "exact")

# On a CPU a matrix from this many entries on is iterated alone (it fills the cache, and stacking
# would only copy it); smaller ones are stacked, which saves most of the cost of a call. Measured
# on a 2-core Zen 5: 8 matrices of 128 x 128 take 16 us each stacked and 46 us alone; from 384 x 384
# there is no difference.
_ALONE = 384 * 384
# Symmetric products are computed by block rows of this height, upper triangle only, from this side
# on. Measured at side 768 on one idle core: 1.7 ms against 2.2 ms for the full product.
_BLOCK, _SYMMETRIC_FROM = 256, 512
# Two steps share one pass over the long side where it is this much longer than the short one, and
# the short one is at least _SYMMETRIC_FROM.
_PAIR_RATIO = 1.6


def polar_exact(x: Tensor) -> Tensor:
    """Return the polar factor U V^T of x = U S V^T by SVD in float64, in x's shape and dtype.

    Directions whose singular value is zero to float64 accuracy are left out, so that 0 gives 0.

    Args:
        x: shape (..., m, n).

    Example:
        >>> polar_exact(torch.tensor([[0.0, -2.0], [5.0, 0.0]])).round(decimals=6).tolist()
        [[0.0, -1.0], [1.0, 0.0]]
    """
    u, s, vh = torch.linalg.svd(x.double(), full_matrices=False)
    kept = s > s.amax(-1, keepdim=True) * (max(x.shape[-2:]) * torch.finfo(s.dtype).eps)
    return ((u * kept.unsqueeze(-2)) @ vh).to(x.dtype)


def newton_schulz(
    x: Tensor,
    *,
    steps: int = 5,
    coefficients: Triple = KELLER_JORDAN,
    eps: float = 1e-7,
    dtype: torch.dtype = torch.bfloat16,
) -> Tensor:
    """Return an approximate polar factor of each matrix, of x's shape, in `dtype`.

    Args:
        x: shape (..., m, n); leading dimensions are a batch that is computed in one stacked call.
        steps: number of iterations.
        coefficients: (a, b, c) of every step.
        eps: Frobenius norms below it are treated as it, so that 0 gives 0.
        dtype: precision of the iteration.

    Example:
        >>> y = newton_schulz(torch.diag(torch.tensor([3.0, 0.2])), dtype=torch.float64)
        >>> torch.linalg.svdvals(y).sub(1).abs().max().item() < 0.35
        True
    """
    if x.ndim < 2:
        raise ValueError(f"expected a matrix or a stack of matrices, got shape {tuple(x.shape)}")
    tall = x.shape[-2] > x.shape[-1]
    work = x.to(dtype, copy=True)
    work = (work.mT if tall else work).contiguous()
    batch = work.shape[:-2]
    if work.ndim > 3:
        work = work.flatten(0, -3)
    work /= torch.linalg.vector_norm(work, dim=(-2, -1), keepdim=True).clamp(min=eps)
    pairs = steps // 2 if _is_long(work) else 0
    for _ in range(pairs):
        work = _two_steps(work, *coefficients)
    for _ in range(steps - 2 * pairs):
        gram = _symmetric(work, work.mT)
        work = _multiply_add(
            work, _symmetric(gram, gram, gram, *coefficients[1:]), work, coefficients[0]
        )
    work = work.unflatten(0, batch) if len(batch) > 1 else work
    return work.mT.contiguous() if tall else work


def _is_long(x: Tensor) -> bool:
    m, n = x.shape[-2:]
    return m >= _SYMMETRIC_FROM and n >= _PAIR_RATIO * m


def _two_steps(x: Tensor, a: float, b: float, c: float) -> Tensor:
    """Do two steps with two products of the size of x instead of four.

    With G = X X^T and P = b G + c G^2 a step is X <- a X + P X, so that the next Gram matrix is
    G' = (a I + P) G (a I + P): for a long X it is cheaper to get G' from G than from the new X.
    Rounding can leave G an eigenvalue of about -0.01, which a step multiplies by a^2 = 12 and only
    a fresh X X^T removes. After one step that is still harmless: it changes P' by about 0.6 beside
    a = 3.4, in directions that X hardly has. Five steps in a row give singular values over 100.
    """
    gram = _symmetric(x, x.mT)
    p = _symmetric(gram, gram, gram, b, c)
    half = _symmetric(p, gram, gram, a)
    gram = _symmetric(p, half, half, a)
    q = _symmetric(gram, gram, gram, b, c)
    # (a I + Q)(a I + P) without its diagonal a^2 I, which would cost bfloat16 its low digits.
    both = _symmetric(q, p, p, a).add_(q, alpha=a)
    return _multiply_add(x, both, x, a * a)


def _multiply_add(add: Tensor, left: Tensor, right: Tensor, beta: float) -> Tensor:
    """Return beta * add + left @ right for matrices or stacks of matrices."""
    function = torch.addmm if left.ndim == 2 else torch.baddbmm
    return function(add, left, right, beta=beta)


def _symmetric(
    left: Tensor, right: Tensor, add: Tensor | None = None, beta: float = 0.0, alpha: float = 1.0
) -> Tensor:
    """Return beta * add + alpha * left @ right, where the result is known to be symmetric."""
    side = left.shape[-2]
    if left.ndim > 2 or side < _SYMMETRIC_FROM or left.device.type != "cpu":
        if add is None:
            return left @ right
        function = torch.addmm if left.ndim == 2 else torch.baddbmm
        return function(add, left, right, beta=beta, alpha=alpha)
    out = left.new_empty(side, side)
    for start in range(0, side, _BLOCK):
        stop = start + _BLOCK
        block = out[start:stop, start:]
        if add is None:
            torch.mm(left[start:stop], right[:, start:], out=block)
        else:
            rows = add[start:stop, start:]
            torch.addmm(rows, left[start:stop], right[:, start:], beta=beta, alpha=alpha, out=block)
        out[stop:, start:stop] = block[:, _BLOCK:].mT
    return out


class Spectral(Norm):
    """The largest singular value; its dual is the nuclear norm, its lmo the polar factor.

    The norm of Muon (arXiv 2602.05813). `norm` and `dual` are exact (singular values in float64).

    Args:
        method: how the lmo is computed: "newton_schulz" or "exact" (SVD, slow).
        steps: iterations of Newton-Schulz.
        eps: as in `newton_schulz`.
        dtype: precision of Newton-Schulz.

    Example:
        >>> g = torch.tensor([[0.0, -2.0, 0.0], [5.0, 0.0, 0.0]])
        >>> spectral = Spectral("exact")
        >>> round(spectral.norm(g).item(), 6), round(spectral.dual(g).item(), 6)
        (5.0, 7.0)
        >>> spectral.kappa((2, 3))
        2.0
    """

    name = "spectral"

    def __init__(
        self,
        method: str = "newton_schulz",
        *,
        steps: int = 5,
        eps: float = 1e-7,
        dtype: torch.dtype = torch.bfloat16,
    ) -> None:
        if method not in METHODS:
            raise ValueError(f"expected a method among {', '.join(METHODS)}, got {method!r}")
        self.method, self.steps, self.eps, self.dtype = method, steps, eps, dtype

    def norm(self, x: Tensor) -> Tensor:
        """Return the largest singular value of the matrix."""
        return torch.linalg.svdvals(_matrix(x).double()).amax().to(x.dtype)

    def dual(self, x: Tensor) -> Tensor:
        """Return the sum of the singular values of the matrix."""
        return torch.linalg.svdvals(_matrix(x).double()).sum().to(x.dtype)

    def lmo(self, g: Tensor) -> Tensor:
        """Return the polar factor of the matrix, exact or approximate as `method` says."""
        return self._polar(_matrix(g)).to(g.dtype)

    def lmo_many(self, blocks: Sequence[Tensor]) -> list[Tensor]:
        """Return the polar factors; matrices of the same shape share one stacked call.

        With Newton-Schulz the results have its dtype.
        """
        results: list[Tensor] = list(blocks)
        for indices in alike(blocks):
            if len(indices) == 1:
                results[indices[0]] = self._polar(_matrix(blocks[indices[0]]))
                continue
            stacked = self._polar(torch.stack([_matrix(blocks[index]) for index in indices]))
            for index, matrix in zip(indices, stacked.unbind(), strict=True):
                results[index] = matrix
        return results

    def _polar(self, x: Tensor) -> Tensor:
        if self.method == "exact":
            return polar_exact(x)
        return newton_schulz(x, steps=self.steps, eps=self.eps, dtype=self.dtype)


def alike(blocks: Sequence[Tensor]) -> list[list[int]]:
    """Return the indices of the blocks that are worth stacking, group by group."""
    groups: defaultdict[object, list[int]] = defaultdict(list)
    for index, block in enumerate(blocks):
        alone = block.device.type == "cpu" and block.numel() >= _ALONE
        groups[index if alone else (block.shape, block.dtype, block.device)].append(index)
    return list(groups.values())


def _matrix(x: Tensor) -> Tensor:
    if x.ndim != 2:
        raise ValueError(
            f"the spectral norm needs a matrix: expected 2-D, got shape {tuple(x.shape)}"
        )
    return x
