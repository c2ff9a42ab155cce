"""The largest spectral norm among many matrices, without computing that of most of them.

The norm of a whole model is the maximum over its blocks, and bounds say of most blocks that they
are not the largest. For the largest singular value s of X, with A = X X^T and p = 1, 2, 4, ...

    s^(2p) <= |A^p|_F <= m^(1/2) s^(2p),

and every squaring of A (m, m) costs one product, a small part of what all eigenvalues cost. It is
done where it can rule something out.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence

import torch
from torch import Tensor

from autowarmup.norms.gram import FLOAT32_FROM
from autowarmup.norms.norm import vector_norms
from autowarmup.norms.singular import spectral_norm

# With two squarings the upper bound of a 96 x 96 matrix is at most 1.33 times too large.
_SQUARINGS = 2
# What rounding in float32 may do to a bound.
_SLACK = 1e-4


def largest_spectral_norm(matrices: Sequence[Tensor], known: float = 0.0) -> float:
    """Return the largest singular value among all matrices and `known`, as `spectral_norm` has it.

    A matrix with an entry that is not finite gives nan.

    Args:
        matrices: shape (m, n) each, m <= n.
        known: what others have reached; a matrix that stays below it is of no interest.

    Example:
        >>> x = torch.tensor([[3.0, 0.0], [0.0, -4.0]])
        >>> largest_spectral_norm([x, x / 2, x / 8]), largest_spectral_norm([x], known=7.0)
        (4.0, 7.0)
    """
    upper = vector_norms(matrices).tolist()
    if not all(map(math.isfinite, upper)):  # or too large for sums of squares
        return _highest(known, [spectral_norm(x) for x in matrices])
    stacks: defaultdict[object, list[int]] = defaultdict(list)
    for index, x in enumerate(matrices):
        # Of larger ones Lanczos costs less than a Gram matrix: one by one.
        alone = x.shape[0] >= FLOAT32_FROM
        stacks[index if alone else (x.shape, x.dtype, x.device)].append(index)
    for stack in sorted(stacks.values(), key=lambda stack: -max(upper[index] for index in stack)):
        left = [index for index in stack if upper[index] > known]
        if not left:
            continue
        x = torch.stack([matrices[index] for index in left])
        if known > 0 and x.shape[1] < FLOAT32_FROM:
            x = x[_may_exceed(x, known)]
        if len(x):
            known = _highest(known, [spectral_norm(x)])
    return known


def _may_exceed(x: Tensor, known: float) -> list[int]:
    """Return the places in a stack (count, m, n) of what bounds do not rule out."""
    size = torch.linalg.vector_norm(
        x, dim=(1, 2), dtype=torch.promote_types(x.dtype, torch.float32)
    )
    x = x.to(size.dtype) / size[:, None, None]
    size = size.double().cpu()
    power, log = x @ x.mT, 2 * size.log()  # A^p = power * exp(p log)
    kept = list(range(len(x)))
    for k in range(_SQUARINGS + 1):
        p = 2**k
        frobenius = torch.linalg.vector_norm(power, dim=(1, 2))
        log = log + frobenius.double().cpu().log() / p
        upper = (log / 2).exp() * (1 + _SLACK)
        # The bound after a squaring is at best m^(1/8p) times lower: is that low enough?
        best = upper / x.shape[1] ** (1 / (8 * p))
        left = (upper > known).nonzero().flatten().tolist()
        kept = [kept[place] for place in left]
        if k == _SQUARINGS or not (best[left] <= known).any():
            break
        power = (power / frobenius[:, None, None])[left]
        power, log = power @ power, log[left]
    return kept


def _highest(known: float, values: Sequence[Tensor]) -> float:
    """Return the largest of all; nan where there is one."""
    numbers = [known, *(number for value in values for number in value.flatten().tolist())]
    return math.nan if any(map(math.isnan, numbers)) else max(numbers)
