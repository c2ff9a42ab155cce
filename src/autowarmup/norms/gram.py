"""The nuclear norm of large and small matrices from the eigenvalues of their Gram matrix.

The nuclear norm is the sum of the square roots of the eigenvalues of G = X X^T, the smaller Gram
matrix. Squaring costs digits: where rounding moves the eigenvalues of G by d, singular values below
sqrt(d) drown. In float64 that is harmless. In float32, which is twice as fast, what the noise can
do to the result is bounded from the eigenvalues themselves; where the bound is not small the matrix
goes to float64. So that this is rare for large matrices, the largest singular values are taken out
first:

    X = Q B + R,   Q orthonormal, about the first left singular vectors,   B = Q^T X.

The singular values of gradients fall by 4 to 8 decades: R is 10 to 100 times smaller than X, and so
is the noise in R R^T. With V the right singular vectors of B and K = R V, the matrix X is
[[S, 0], [K, R - K V^T]] in orthonormal bases, and to second order in K

    nuc(X) = nuc(B) + nuc(R - K V^T) + sum_i |K_i|^2 / (2 (s_i + t_i)),

t_i being the singular values of R that K_i meets.

Of a matrix with one long side the Gram matrix is the larger part of the work and its eigenvalues
the smaller: they are looked at first, and only where they drown is something taken out. Q are its
own eigenvectors then, so that K is no more than the noise of G.
"""

from __future__ import annotations

import torch
from torch import Tensor

from autowarmup.norms.symmetric import symmetric_product

# From this short side on float32 with the top taken out beats float64. Measured for part of a
# gradient, on one core of a Zen 5 with other work beside: side 256 3.0 ms against 2.8 ms, 320
# 7.9 against 9.7, 384 16 against 25, 768 88 against 123.
FLOAT32_FROM = 320
# Directions taken out, and rounds of subspace iteration that find them. Measured for 42 gradients
# and gradient differences of a LLaMA of width 768 (before training and after 10 and 20 steps):
# 8 directions in 1 round: 34 of the 42 need float64; 16 in 1: 9 do; 32 in 0: largest error 4e-4;
# 32 in 1: no float64, largest error 3e-5, median 4e-6; 32 in 2: the same.
_TOP, _ROUNDS = 32, 1
# If the last of them is still this share of the first, taking them out would change nothing.
_FLAT = 0.5
# What the second-order correction leaves out, as a share of it. Largest measured: 0.07 (spectra
# that decay evenly, directions from no round at all); with the gradients above 0.02.
_HIGHER = 0.07
# Trust float32 where the bound on the noise is below this. Measured: at most half of the bound is
# reached (spectra that decay exponentially by 1e-10: bound 1e-3, error 5e-4).
_TRUSTED = 5e-4
# From this ratio of the sides on a matrix is long.
_LONG = 8
# Of a long matrix at most so many directions are taken out, down to this share of the first
# singular value: those below are too far from what the noise of G leaves of their directions.
_MOST_OUT, _SMALLEST_OUT = 64, 1e-2
# The noise of their Gram matrix, added up in float64, as a share of float32's. Measured for spectra
# of 400 x 3600 that fall: 0.01 to 0.12, or half of what the most negative eigenvalue shows.
_LONG_NOISE = 0.125
# From this short side on small matrices are tried in float32. Measured on one core of a Zen 4, all
# eigenvalues in float32 and in float64: side 96 and 128 0.35 against 0.45 ms, 256 1.8 against 3.9.
_TRIED_FROM = 160
# Columns of a Gram matrix that are summed in one product. Measured for 50304 x 768: the noise of
# float32 products that are added in float64 is 1e-6 of the largest eigenvalue for one product, and
# 3e-8 for products of 1024 columns, at the same speed.
_PIECE = 1024


def nuclear_gram(x: Tensor) -> Tensor:
    """Return the nuclear norm of each matrix of a stack (count, m, n), m <= n, of finite entries.

    Example:
        >>> nuclear_gram(torch.tensor([[[3.0, 0.0], [0.0, -4.0]]])).tolist()
        [7.0]
    """
    if x.dtype != torch.float32 or x.shape[-2] < _TRIED_FROM:
        return _nuclear_float64(x)
    if x.shape[-2] < FLOAT32_FROM:
        return _nuclear_small(x)
    function = _nuclear_long if is_long(x) else _nuclear_float32
    return torch.stack([function(matrix) for matrix in x])


def _nuclear_float64(x: Tensor) -> Tensor:
    """Return the nuclear norms of wide matrices from their Gram matrices in float64."""
    pieces = (piece.double() for piece in x.split(_PIECE, -1))  # a copy of all of x may not fit
    gram = sum(symmetric_product(piece, piece.mT) for piece in pieces)
    return torch.linalg.eigvalsh(gram).clamp(min=0).sqrt().sum(-1)


def _nuclear_small(x: Tensor) -> Tensor:
    """Return the nuclear norms of a stack in float32 where that is enough, else in float64."""
    values = torch.linalg.eigvalsh(gram_matrix(x)).double()
    total = values.clamp(min=0).sqrt().sum(-1)
    doubtful = ~(_moved(values) <= _TRUSTED * total)
    if doubtful.any():
        total[doubtful] = _nuclear_float64(x[doubtful])
    return total


def _moved(values: Tensor, share: float = 1.0) -> Tensor:
    """Bound what noise of that share of float32's does to the sum of roots of values (..., m)."""
    # True eigenvalues are not negative: the most negative one shows the noise.
    least = share * torch.finfo(torch.float32).eps * values[..., -1:]
    noise = torch.maximum(-values[..., :1] * (1 + (share < 1)), least)
    roots = values.clamp(min=0).sqrt()
    return torch.minimum(noise.sqrt() / 2, noise / (2 * roots)).nan_to_num().sum(-1)


def _nuclear_long(x: Tensor) -> Tensor:
    """Return the nuclear norm of one long float32 matrix (m, n): the end of the module's text."""
    gram = gram_matrix(x)
    values = torch.linalg.eigvalsh(gram)
    total = values.clamp(min=0).sqrt().sum()
    if _moved(values, _LONG_NOISE) <= _TRUSTED * total:
        return total
    s = values[-_MOST_OUT:].clamp(min=0).sqrt()
    s = s[s > _SMALLEST_OUT * s[-1]]
    if s[0] < _FLAT * s[-1]:
        q = torch.linalg.eigh(gram)[1][:, -len(s) :].to(x.dtype)
        rest = torch.zeros_like(gram)
        for piece in x.split(_PIECE, -1):
            piece = torch.addmm(piece, q, q.mT @ piece, alpha=-1)
            rest += symmetric_product(piece, piece.mT)
        below = torch.linalg.eigvalsh(rest)
        total = s.sum() + below.clamp(min=0).sqrt().sum()
        noise = torch.finfo(x.dtype).eps * values[-1]
        if _moved(below) + (noise / s).sum() <= _TRUSTED * total:
            return total
    return _nuclear_float64(x[None])[0]


def gram_matrix(x: Tensor) -> Tensor:
    """Return x x^T of wide float32 matrices; of long ones in float64, which adds up better."""
    if not is_long(x):
        return symmetric_product(x, x.mT)
    gram = x.new_zeros(*x.shape[:-1], x.shape[-2], dtype=torch.float64)
    for piece in x.split(_PIECE, -1):
        gram += symmetric_product(piece, piece.mT)
    return gram


def is_long(x: Tensor) -> bool:
    """Whether reading a wide matrix costs more than working with its Gram matrix."""
    return x.shape[-1] > _LONG * x.shape[-2]


def _nuclear_float32(x: Tensor) -> Tensor:
    """Return the nuclear norm of one wide float32 matrix: see the module's text."""
    q = _first_directions(x)
    b = q.mT @ x
    squares, turn = torch.linalg.eigh(b.double() @ b.double().mT)
    s = squares.clamp(min=0).sqrt()
    # Tiny ones stay in the rest: their right singular vectors would be rounding noise.
    kept = s > 1e-4 * s[-1]
    top, correction, rest = s.new_zeros(()), s.new_zeros(()), x
    if s[0] < _FLAT * s[-1]:
        s, turn = s[kept], turn[:, kept]
        b = turn.mT.to(b.dtype) @ b
        rest = _minus(x, q @ turn.to(b.dtype), b)
        right = b.mT / s.to(b.dtype)
        coupling = rest @ right
        rest = _minus(rest, coupling, right.mT)
        amount = torch.linalg.vector_norm(coupling, dim=0).double()
        met = torch.linalg.vector_norm(rest.mT @ coupling, dim=0).double()
        met = met / amount.clamp(min=torch.finfo(torch.float32).tiny)
        top, correction = s.sum(), (amount.square() / (2 * (s + met))).sum()
    values = torch.linalg.eigvalsh(gram_matrix(rest)).double()
    total = top + correction + values.clamp(min=0).sqrt().sum()
    if _moved(values) + _HIGHER * correction <= _TRUSTED * total:
        return total
    return _nuclear_float64(x)


def _first_directions(x: Tensor) -> Tensor:
    """Return orthonormal columns (m, _TOP) that span about the first left singular vectors."""
    q = x @ same_noise(x.shape[1], _TOP).to(x)
    for _ in range(_ROUNDS):
        q = x @ (x.mT @ torch.linalg.qr(q)[0])
    return torch.linalg.qr(q)[0]


def _minus(x: Tensor, left: Tensor, right: Tensor) -> Tensor:
    """Return x - left @ right in x's memory order."""
    if x.is_contiguous():
        return torch.addmm(x, left, right, alpha=-1)
    return torch.addmm(x.mT, right.mT, left.mT, alpha=-1).mT


def same_noise(*shape: int) -> Tensor:
    """Return the same Gaussian numbers every time, and leave the global random state alone."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))
