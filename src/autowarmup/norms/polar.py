"""The polar factor of a matrix: exact (reference), and by the fast iteration that Muon uses.

The lmo of the spectral norm at G = U S V^T is U V^T, the polar factor. `polar_exact` computes it by
a singular value decomposition in float64. `newton_schulz` runs X <- a X + b (X X^T) X
+ c (X X^T)^2 X a few times in bfloat16: an odd polynomial that acts on the singular values alone
and pushes them towards 1.

Of a long matrix the small Gram matrix is iterated instead (Gram Newton-Schulz, Dao AI Lab 2026,
https://dao-ailab.github.io/blog/2026/gram-newton-schulz/): with R = X X^T and Z = b R + c R^2 a
step is X <- (a I + Z) X, so that the next Gram matrix is (a I + Z) R (a I + Z), and all steps
together are one product Q X. It is the same polynomial with other roundings, which is why in half
precision it begins anew after three steps.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

Triple = tuple[float, float, float]

# Keller Jordan's Muon post, https://kellerjordan.github.io/posts/muon/: steepest at 0, so that five
# steps lift most singular values into about (0.7, 1.2). They never settle at 1.
KELLER_JORDAN: Triple = (3.4445, -4.7750, 2.0315)

# Symmetric products are computed by block rows of this height, upper triangle only, from this side
# on. Measured at side 768 on one core of a Zen 5 in bfloat16: full product 4.2 ms, by rows of 64
# 3.1, 128 2.9, 192 2.85, 256 2.95, 384 3.2 ms; a tenth of it is the copy to the lower triangle.
_BLOCK, _SYMMETRIC_FROM = 192, 512
# The Gram matrix is iterated where the long side is this much longer than the short one, and the
# short one is at least _SYMMETRIC_FROM: five steps are then 14 products of the small side and 4
# with the long one, instead of 5 and 10.
_LONG = 1.5
# X X^T is computed afresh before the a^2 of the steps since then multiply to more than this (times
# 2^16 in float32, 2^45 in float64). Rounding can leave the Gram matrix an eigenvalue of -1 %
# (bfloat16), which every step multiplies by a^2: with a = 3.44 five in a row give singular values
# over 100, with Polar Express (8.2, 4.1, 3.9, ...) three give 4000. Relative distance to the exact
# polynomial after five steps of the former on Gaussian 512 x 1400, in parts of 2 and 3 steps 0.037,
# 3 and 2 0.036, 2 and 2 and 1 0.022, one step at a time 0.011; with singular values 1 / i 0.066,
# 0.037, 0.035, 0.037.
_GROWTH = 150.0


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


@torch.no_grad()
def newton_schulz(
    x: Tensor,
    *,
    steps: int = 5,
    coefficients: Triple | Sequence[Triple] = KELLER_JORDAN,
    eps: float = 1e-7,
    dtype: torch.dtype = torch.bfloat16,
) -> Tensor:
    """Return an approximate polar factor of each matrix, of x's shape, in `dtype`.

    No gradient flows through it.

    Args:
        x: shape (..., m, n); leading dimensions are a batch that is computed in one stacked call.
        steps: number of iterations.
        coefficients: (a, b, c) of every step; or one triple for each, whatever `steps` is.
        eps: Frobenius norms below it are treated as it, so that 0 gives 0.
        dtype: precision of the iteration.

    Example:
        >>> y = newton_schulz(torch.diag(torch.tensor([3.0, 0.2])), dtype=torch.float64)
        >>> torch.linalg.svdvals(y).sub(1).abs().max().item() < 0.35
        True
    """
    if x.ndim < 2:
        raise ValueError(f"expected a matrix or a stack of matrices, got shape {tuple(x.shape)}")
    triples = one_per_step(coefficients, steps)
    tall = x.shape[-2] > x.shape[-1]
    long = _is_long(x)
    work = x.to(dtype, copy=True)
    work = work.contiguous() if long or not tall else work.mT.contiguous()
    batch = work.shape[:-2]
    if work.ndim > 3:
        work = work.flatten(0, -3)
    work /= torch.linalg.vector_norm(work, dim=(-2, -1), keepdim=True).clamp(min=eps)
    # Every product goes to memory that is there already: new pages cost 5 % of the time.
    side, other = min(work.shape[-2:]), torch.empty_like(work)
    spare = [work.new_empty(*work.shape[:-2], side, side) for _ in range(4 if long else 2)]
    if long:
        for part in parts(triples, dtype):
            work, other = _by_gram(work, part, spare, other), work
    else:
        gram, square = spare
        for a, b, c in triples:
            gram = symmetric_product(work, work.mT, out=gram)
            square = symmetric_product(gram, gram, gram, b, c, out=square)
            work, other = _product(square, work, work, a, out=other), work
    work = work.unflatten(0, batch) if len(batch) > 1 else work
    return work.mT.contiguous() if tall and not long else work


def one_per_step(coefficients: Triple | Sequence[Triple], steps: int) -> list[Triple]:
    """Return (a, b, c) of every step."""
    first = coefficients[0]
    return [coefficients] * steps if isinstance(first, float) else list(coefficients)  # pyright: ignore[reportReturnType]


def parts(triples: Sequence[Triple], dtype: torch.dtype) -> list[list[Triple]]:
    """Return the steps in parts, each of which begins with a Gram matrix computed afresh.

    Example:
        >>> [len(part) for part in parts([KELLER_JORDAN] * 5, torch.bfloat16)]
        [3, 2]
    """
    most = _GROWTH * 2.0 ** {2: 0, 4: 16, 8: 45}[dtype.itemsize]
    result: list[list[Triple]] = []
    growth = 0.0
    for triple in triples:
        if not result or growth > most:
            result.append([])
            growth = 1.0
        result[-1].append(triple)
        growth *= triple[0] ** 2
    return result


def _is_long(x: Tensor) -> bool:
    short, long = sorted(x.shape[-2:])
    return short >= _SYMMETRIC_FROM and long >= _LONG * short


def _by_gram(x: Tensor, triples: Sequence[Triple], spare: list[Tensor], out: Tensor) -> Tensor:
    """Do some steps with two products of the size of x: its Gram matrix and the last one.

    The product Q of the factors a I + Z is held as P + d I: a diagonal d would cost bfloat16 the
    low digits of P. Of a tall x it is X^T X that is iterated, and Q comes from the right.
    """
    tall = x.shape[-2] > x.shape[-1]
    gram, z, p, half = spare
    a, b, c = triples[0]
    gram = symmetric_product(*((x.mT, x) if tall else (x, x.mT)), out=gram)
    z = symmetric_product(gram, gram, gram, b, c, out=z)
    p = p.copy_(z)
    d = a
    for after in triples[1:]:
        half = symmetric_product(gram, z, gram, a, out=half)
        gram = symmetric_product(z, half, half, a, out=gram)
        a, b, c = after
        z = symmetric_product(gram, gram, gram, b, c, out=z)
        p, half = symmetric_product(p, z, p, a, out=half).add_(z, alpha=d), p
        d *= a
    return _product(x, p, x, d, out=out) if tall else _product(p, x, x, d, out=out)


def _product(left: Tensor, right: Tensor, add: Tensor, beta: float, out: Tensor) -> Tensor:
    """Return beta * add + left @ right for matrices or stacks of matrices."""
    function = torch.addmm if left.ndim == 2 else torch.baddbmm
    if torch.compiler.is_compiling():  # it plans its memory itself
        return function(add, left, right, beta=beta)
    return function(add, left, right, beta=beta, out=out)


def symmetric_product(
    left: Tensor,
    right: Tensor,
    add: Tensor | None = None,
    beta: float = 0.0,
    alpha: float = 1.0,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """Return beta * add + alpha * left @ right, where the result is known to be symmetric.

    Args:
        left: shape (..., m, k).
        right: shape (..., k, m).
        add: shape (..., m, m).
        beta: factor of `add`.
        alpha: factor of the product.
        out: where to write; none of the others.

    Example:
        >>> x = torch.tensor([[1.0, 2.0], [0.0, 1.0]])
        >>> symmetric_product(x, x.mT).tolist()
        [[5.0, 2.0], [2.0, 1.0]]
    """
    side, compiling = left.shape[-2], torch.compiler.is_compiling()
    if compiling or left.ndim > 2 or side < _SYMMETRIC_FROM or left.device.type != "cpu":
        where = {} if compiling else {"out": out}
        if add is None:
            return torch.matmul(left, right, **where)
        function = torch.addmm if left.ndim == 2 else torch.baddbmm
        return function(add, left, right, beta=beta, alpha=alpha, **where)
    out = left.new_empty(side, side) if out is None else out
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
