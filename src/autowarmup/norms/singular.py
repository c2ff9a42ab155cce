"""Nuclear and spectral norms without a full singular value decomposition, for stacks of matrices.

The fast ways are the eigenvalues of the smaller Gram matrix (`norms/gram.py`) and Lanczos; an SVD
in float64 stands beside them as the reference.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from autowarmup.norms.gram import FLOAT32_FROM, gram_matrix, is_long, nuclear_gram, same_noise

# Lanczos stops at a residual of this share of the eigenvalue, or after this many steps. Measured
# error over gradients of a LLaMA of width 768, its Muon steps (whose singular values crowd below
# the first) and Gaussian matrices, 3 starts each: 16 steps 4e-3, 24 steps 2e-3, 32 steps 1e-3,
# 48 steps 5e-4. Stopped as here: 1.2e-4.
_RESIDUAL, _STEPS, _CHECK = 1e-3, 64, 16
# Squares of entries of this size, and sums of them, are in range of float32: no scaling needed.
_LEAST, _MOST = 1e-12, 1e12


def nuclear_norm(x: Tensor, method: str = "gram") -> Tensor:
    """Return the sum of the singular values of each matrix, shape (...), in float32 at least.

    Deterministic; a matrix with an entry that is not finite gives nan.

    Args:
        x: shape (..., m, n).
        method: "gram" (relative error below 5e-4, below 4e-5 for measured gradients) or "svd"
            (float64, the reference).

    Raises:
        ValueError: an unknown method, or fewer than two dimensions.

    Example:
        >>> nuclear_norm(torch.tensor([[0.0, -2.0, 0.0], [5.0, 0.0, 0.0]])).item()
        7.0
    """
    return _each(x, {"gram": nuclear_gram, "svd": lambda m: _singular_values(m).sum(-1)}, method)


def spectral_norm(x: Tensor, method: str = "lanczos") -> Tensor:
    """Return the largest singular value of each matrix, shape (...), in float32 at least.

    Deterministic; a matrix with an entry that is not finite gives nan.

    Args:
        x: shape (..., m, n).
        method: "lanczos" (never above the truth but for rounding, relative error below 1e-3) or
            "svd" (float64, the reference).

    Raises:
        ValueError: an unknown method, or fewer than two dimensions.

    Example:
        >>> spectral_norm(torch.tensor([[0.0, -2.0, 0.0], [5.0, 0.0, 0.0]])).item()
        5.0
    """
    return _each(x, {"lanczos": _largest, "svd": lambda m: _singular_values(m).amax(-1)}, method)


def _each(x: Tensor, functions: dict[str, Callable[[Tensor], Tensor]], method: str) -> Tensor:
    """Call the method on a stack of wide matrices whose squares are in range."""
    if method not in functions:
        raise ValueError(f"expected a method among {', '.join(functions)}, got {method!r}")
    if x.ndim < 2:
        raise ValueError(f"expected a matrix or a stack of matrices, got shape {tuple(x.shape)}")
    work = x.detach().to(torch.promote_types(x.dtype, torch.float32))
    if not x.numel():
        return work.sum((-2, -1))
    batch = x.shape[:-2]
    work = work.reshape(-1, *x.shape[-2:])
    work = work.mT if x.shape[-2] > x.shape[-1] else work
    size = torch.maximum(work.amax((-2, -1)), -work.amin((-2, -1)))
    finite = size.isfinite()
    scale = torch.where(finite & (size > 0), size, 1.0)
    scale = torch.where((scale > _LEAST) & (scale < _MOST), 1.0, scale)
    if (scale != 1).any():
        work = work / scale[:, None, None]
    if not finite.all():  # LAPACK raises where it meets them
        work = torch.where(finite[:, None, None], work, 0.0)
    value = functions[method](work).to(size.dtype) * scale
    return torch.where(finite, value, torch.nan).reshape(batch)


def _singular_values(x: Tensor) -> Tensor:
    return torch.linalg.svdvals(x.double())


def _largest(x: Tensor) -> Tensor:
    """Return the largest singular value of each matrix of a stack by Lanczos on x x^T."""
    count, m, _ = x.shape
    if m < FLOAT32_FROM:  # all eigenvalues take less: 22 gradients of tiny-cpu 5 ms against 16 ms
        return torch.linalg.eigvalsh(x @ x.mT)[:, -1].clamp(min=0).sqrt()
    if is_long(x):  # so they do here: 30 steps read 50304 x 768 sixty times
        largest = [torch.linalg.eigvalsh(gram_matrix(matrix))[-1] for matrix in x]
        return torch.stack(largest).clamp(min=0).sqrt()
    steps = min(m, _STEPS)
    basis = x.new_zeros(count, steps + 1, m)
    t = torch.zeros(count, steps, steps, dtype=torch.float64, device=x.device)
    basis[:, 0] = torch.nn.functional.normalize(same_noise(m), dim=0).to(x)
    largest = x.new_zeros(count)
    for k in range(steps):
        v = basis[:, k].unsqueeze(-1)
        w = x @ (x.mT @ v)
        t[:, k, k] = (v.mT @ w).flatten()
        done = basis[:, : k + 1]
        for _ in range(2):  # once is not orthogonal enough in float32
            w = w - done.mT @ (done @ w)
        beta = torch.linalg.vector_norm(w, dim=1)
        last = k + 1 == steps
        if last or (k + 1) % _CHECK == 0:
            values, vectors = torch.linalg.eigh(t[:, : k + 1, : k + 1])
            largest = values[:, -1].clamp(min=0)
            residual = beta[:, 0] * vectors[:, -1, -1].abs()
            if last or bool((residual <= _RESIDUAL * largest).all()):
                break
        # What is left of the rounding where the vectors so far span all there is: stay there.
        alive = beta[:, 0] > 10 * torch.finfo(x.dtype).eps * t.diagonal(dim1=1, dim2=2).amax(1)
        t[:, k, k + 1] = t[:, k + 1, k] = torch.where(alive, beta[:, 0], 0.0)
        basis[:, k + 1] = torch.where(alive[:, None], w[..., 0] / beta, 0.0)
    return largest.sqrt()
