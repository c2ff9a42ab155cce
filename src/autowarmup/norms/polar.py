"""The polar factor of a matrix: exact (reference), and by the fast iteration that Muon uses.

The lmo of the spectral norm at G = U S V^T is U V^T, the polar factor. `polar_exact` computes it by
a singular value decomposition in float64. `newton_schulz` runs X <- a X + b (X X^T) X
+ c (X X^T)^2 X a few times in bfloat16: an odd polynomial that acts on the singular values alone
and pushes them towards 1.

Of a long matrix the small Gram matrix is iterated instead (Gram Newton-Schulz, Dao AI Lab 2026,
https://dao-ailab.github.io/blog/2026/gram-newton-schulz/): with R = X X^T and Z = b R + c R^2 a
step is X <- (a I + Z) X, so that the next Gram matrix is (a I + Z) R (a I + Z), and all steps
together are one product Q X. It is the same polynomial with other roundings, which is why in half
precision it begins anew after three steps. Steps of degree 9 are those of `three_steps`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from autowarmup.norms.symmetric import SYMMETRIC_FROM, product, symmetric_product

Triple = tuple[float, float, float]
Step = tuple[float, ...]
"""(a, b, c) of a step of degree 5; or the coefficients of q, constant first, of a step of degree 9,
x -> x q(x^2 - 1/2)."""

# Keller Jordan's Muon post, https://kellerjordan.github.io/posts/muon/: steepest at 0, so that five
# steps lift most singular values into about (0.7, 1.2). They never settle at 1.
KELLER_JORDAN: Triple = (3.4445, -4.7750, 2.0315)

# The Gram matrix is iterated where the long side is this much longer than the short one, and the
# short one is at least SYMMETRIC_FROM: five steps are then 14 products of the small side and 4
# with the long one, instead of 5 and 10.
_LONG = 1.5
# X X^T is computed afresh before the a^2 of the steps since then multiply to more than this (times
# 2^16 in float32, 2^45 in float64). Rounding can leave the Gram matrix an eigenvalue of -1 %
# (bfloat16), which every step multiplies by a^2: with a = 3.44 five in a row give singular values
# over 100, with Polar Express (8.2, 4.1, 3.9, ...) three give 4000. Relative distance to the exact
# polynomial after five steps of the former on Gaussian 512 x 1400, in parts of 2 and 3 steps 0.037,
# 3 and 2 0.036, 2 and 2 and 1 0.022, one step at a time 0.011; with singular values 1 / i 0.066,
# 0.037, 0.035, 0.037. Steps of degree 9 are parted from the end, 1 and 2: so steep are they outside
# of [0, 1] that the last one must not start from what the Gram matrix's errors left (1400 x 512
# with singular values i^-1.2 in parts of 2 and 1: one of 20; 1 and 2: 1.25).
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
    tight: bool = False,
) -> Tensor:
    """Return an approximate polar factor of each matrix, of x's shape, in `dtype`.

    No gradient flows through it.

    Args:
        x: shape (..., m, n); leading dimensions are a batch that is computed in one stacked call.
        steps: number of iterations.
        coefficients: (a, b, c) of every step; or one triple for each, whatever `steps` is.
        eps: Frobenius norms below it are treated as it, so that 0 gives 0.
        dtype: precision of the iteration.
        tight: start from x divided by the 4th root of the sum of 4th powers of its singular values
            instead of its Frobenius norm, a bound of the largest that is tighter where they are
            alike and costs 1 % of the time.

    Example:
        >>> y = newton_schulz(torch.diag(torch.tensor([3.0, 0.2])), dtype=torch.float64)
        >>> torch.linalg.svdvals(y).sub(1).abs().max().item() < 0.35
        True
    """
    return iterate(x, one_per_step(coefficients, steps), eps=eps, dtype=dtype, tight=tight)


@torch.no_grad()
def iterate(
    x: Tensor, steps: Sequence[Step], *, eps: float, dtype: torch.dtype, tight: bool
) -> Tensor:
    """Return what the steps make of each matrix; arguments as in `newton_schulz`."""
    if x.ndim < 2:
        raise ValueError(f"expected a matrix or a stack of matrices, got shape {tuple(x.shape)}")
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
    count = 2 + 2 * long + 2 * _is_nonic(steps[0])
    spare = [work.new_empty(*work.shape[:-2], side, side) for _ in range(count)]
    if long:
        for part in parts(steps, dtype):
            work, other = _by_gram(work, part, spare, other, tight=tight), work
            tight = False
    else:
        gram, z, *rest = spare
        for step in steps:
            gram = _gram(work, gram, tight=tight)
            tight = False
            z = _z(gram, step, (gram, *rest), out=z)
            work, other = product(z, work, work, step[0], out=other), work
    work = work.unflatten(0, batch) if len(batch) > 1 else work
    return work.mT.contiguous() if tall and not long else work


def one_per_step(coefficients: Triple | Sequence[Triple], steps: int) -> list[Triple]:
    """Return (a, b, c) of every step."""
    first = coefficients[0]
    return [coefficients] * steps if isinstance(first, float) else list(coefficients)  # pyright: ignore[reportReturnType]


def parts(steps: Sequence[Step], dtype: torch.dtype) -> list[list[Step]]:
    """Return the steps in parts, each of which begins with a Gram matrix computed afresh.

    Example:
        >>> [len(part) for part in parts([KELLER_JORDAN] * 5, torch.bfloat16)]
        [3, 2]
    """
    most = _GROWTH * 2.0 ** {2: 0, 4: 16, 8: 45}[dtype.itemsize]
    result: list[list[Step]] = []
    growth, back = 0.0, _is_nonic(steps[0])
    for step in reversed(steps) if back else steps:
        if not result or growth > most:
            result.append([])
            growth = 1.0
        result[-1].append(step)
        growth *= _slope(step) ** 2
    return [part[::-1] for part in reversed(result)] if back else result


def _slope(step: Step) -> float:
    """Return the factor of the smallest singular values."""
    return sum(c * (-0.5) ** k for k, c in enumerate(step)) if _is_nonic(step) else step[0]


def _is_nonic(step: Step) -> bool:
    """Return whether a step is of degree 9: it has five coefficients then."""
    return len(step) == 5


def _is_long(x: Tensor) -> bool:
    short, long = sorted(x.shape[-2:])
    return short >= SYMMETRIC_FROM and long >= _LONG * short


def _gram(x: Tensor, out: Tensor, *, tight: bool) -> Tensor:
    """Return the Gram matrix of the short side.

    Args:
        x: shape (..., m, n).
        out: where to write it.
        tight: divide x, in place, by the root of its Gram matrix's Frobenius norm, which is the
            4th root of the sum of 4th powers of its singular values: at least their Frobenius norm
            times side^-0.25. Where that is 1, but for x below eps, the limit changes nothing; what
            is below eps stays small.
    """
    tall = x.shape[-2] > x.shape[-1]
    gram = symmetric_product(*((x.mT, x) if tall else (x, x.mT)), out=out)
    if tight:
        square = torch.linalg.vector_norm(gram, dim=(-2, -1), keepdim=True)
        square = square.clamp(min=gram.shape[-1] ** -0.5)
        gram /= square
        x /= square.sqrt()
    return gram


def _z(gram: Tensor, step: Step, spare: Sequence[Tensor], out: Tensor) -> Tensor:
    """Return the matrix Z of a step X <- (a I + Z) X, a = step[0].

    A polynomial of degree 4 takes two products. In powers of the Gram matrix G its coefficients
    are in the hundreds and cancel, which bfloat16 does not survive; in powers of H = G - I / 2
    they do not. `spare[0]` gets H; it may be `gram`.
    """
    if not _is_nonic(step):
        _, b, c = step
        return symmetric_product(gram, gram, gram, b, c, out=out)
    _, b, c, d, e = step
    h, square, high = spare
    if h is not gram:
        h = h.copy_(gram)
    h.diagonal(dim1=-2, dim2=-1).sub_(0.5)
    square = symmetric_product(h, h, out=square)
    high = torch.add(h, square, alpha=e / d, out=high)
    low = h.add_(square, alpha=c / b)
    return symmetric_product(square, high, low, b, d, out=out)


def _by_gram(
    x: Tensor, steps: Sequence[Step], spare: list[Tensor], out: Tensor, *, tight: bool
) -> Tensor:
    """Do some steps with two products of the size of x: its Gram matrix and the last one.

    The product Q of the factors a I + Z is held as P + d I: a diagonal d would cost bfloat16 the
    low digits of P. Of a tall x it is X^T X that is iterated, and Q comes from the right. Rounding
    keeps the factors from commuting: in the wrong order what one leaves of another's error meets
    a slope. Steps of degree 9 need the right one and the whole product: singular values 1 / i of
    512 x 1400 otherwise give 1.8 instead of 1.0 after two steps, and 1e5 after the third.
    """
    tall = x.shape[-2] > x.shape[-1]
    gram, z, p, half, *rest = spare
    gram = _gram(x, gram, tight=tight)
    z = _z(gram, steps[0], (*rest, half), out=z)
    p = p.copy_(z)
    d = a = steps[0][0]
    for step in steps[1:]:
        half = symmetric_product(gram, z, gram, a, out=half)
        gram = symmetric_product(z, half, half, a, out=gram)
        a = step[0]
        z = _z(gram, step, (*rest, half), out=z)
        if _is_nonic(step):
            half = product(*((p, z) if tall else (z, p)), p, a, out=half)
        else:
            half = symmetric_product(p, z, p, a, out=half)
        p, half = half.add_(z, alpha=d), p
        d *= a
    return product(x, p, x, d, out=out) if tall else product(p, x, x, d, out=out)
