"""The nuclear norm of large and small matrices from the eigenvalues of their Gram matrix.

The nuclear norm is the sum of the square roots of the eigenvalues of G = X X^T, the smaller Gram
matrix. Squaring costs digits: where rounding moves the eigenvalues of G by d, singular values below
sqrt(d) drown. In float64 that is harmless. In float32, which is twice as fast and used for large
matrices, the largest singular values are taken out first:

    X = Q B + R,   Q orthonormal, about the first left singular vectors,   B = Q^T X.

The singular values of gradients fall by 4 to 8 decades: R is 10 to 100 times smaller than X, and so
is the noise in R R^T. With V the right singular vectors of B and K = R V, the matrix X is
[[S, 0], [K, R - K V^T]] in orthonormal bases, and to second order in K

    nuc(X) = nuc(B) + nuc(R - K V^T) + sum_i |K_i|^2 / (2 (s_i + t_i)),

t_i being the singular values of R that K_i meets. What the noise can do to the result is bounded
from the eigenvalues themselves; where the bound is not small the matrix goes to float64.
"""

from __future__ import annotations

import torch
from torch import Tensor

from autowarmup.norms.polar import symmetric_product

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
# A side this many times longer than the other is folded, with random signs, before directions are
# looked for in it: 50304 x 768 becomes 1536 x 768.
_LONG, _FOLDED = 8, 2
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
    if x.dtype == torch.float32 and x.shape[-2] >= FLOAT32_FROM:
        return torch.stack([_nuclear_float32(matrix) for matrix in x])
    return _nuclear_float64(x)


def _nuclear_float64(x: Tensor) -> Tensor:
    """Return the nuclear norms of wide matrices from their Gram matrices in float64."""
    pieces = (piece.double() for piece in x.split(_PIECE, -1))  # a copy of all of x may not fit
    gram = sum(symmetric_product(piece, piece.mT) for piece in pieces)
    return torch.linalg.eigvalsh(gram).clamp(min=0).sqrt().sum(-1)


def gram_matrix(x: Tensor) -> Tensor:
    """Return x x^T of one wide float32 matrix; of a long one in float64, which adds up better."""
    if not is_long(x):
        return symmetric_product(x, x.mT)
    gram = x.new_zeros((x.shape[0],) * 2, dtype=torch.float64)
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
    roots = values.clamp(min=0).sqrt()
    total = top + correction + roots.sum()
    # True eigenvalues are not negative: the most negative one shows the noise.
    noise = torch.maximum(-values[0], torch.finfo(torch.float32).eps * values[-1])
    moved = torch.minimum(noise.sqrt() / 2, noise / (2 * roots)).nan_to_num().sum()
    if moved + _HIGHER * correction <= _TRUSTED * total:
        return total
    return _nuclear_float64(x)


def _first_directions(x: Tensor) -> Tensor:
    """Return orthonormal columns (m, _TOP) that span about the first left singular vectors."""
    small = _fold(x) if is_long(x) else x
    q = small @ same_noise(small.shape[1], _TOP).to(x)
    for _ in range(_ROUNDS):
        q = small @ (small.mT @ torch.linalg.qr(q)[0])
    if small is not x:
        q = x @ (x.mT @ torch.linalg.qr(q)[0])
    return torch.linalg.qr(q)[0]


def _fold(x: Tensor) -> Tensor:
    """Add up pieces of the long side of x (m, n), every column with a random sign."""
    width = _FOLDED * x.shape[0]
    signs = same_noise(x.shape[1]).sign().to(x)
    folded = x[:, :width] * signs[:width]
    for start in range(width, x.shape[1], width):
        piece = x[:, start : start + width]
        folded[:, : piece.shape[1]].addcmul_(piece, signs[start : start + width])
    return folded


def _minus(x: Tensor, left: Tensor, right: Tensor) -> Tensor:
    """Return x - left @ right in x's memory order."""
    if x.is_contiguous():
        return torch.addmm(x, left, right, alpha=-1)
    return torch.addmm(x.mT, right.mT, left.mT, alpha=-1).mT


def same_noise(*shape: int) -> Tensor:
    """Return the same Gaussian numbers every time, and leave the global random state alone."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))
