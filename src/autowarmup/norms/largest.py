"""The largest spectral norm among many matrices, without computing that of most of them.

The norm of a whole model is the maximum over its blocks, and bounds say of most blocks that they
are not the largest. For the largest singular value s of X, with A = X X^T and p = 1, 2, 4, ...

    |A^p|_F^2 / tr(A^p) <= s^(2p) <= |A^p|_F.

The upper bound is at most m^(1/4p) times too large, and every squaring of A (m, m) costs one
product, which is a small part of what all eigenvalues cost.
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
        if x.shape[0] < FLOAT32_FROM:  # of others Lanczos costs less than a Gram matrix
            stacks[x.shape, x.dtype, x.device].append(index)
    for stack in sorted(stacks.values(), key=lambda stack: -max(upper[index] for index in stack)):
        known = _tighten(matrices, stack, upper, known)
    left = sorted(range(len(matrices)), key=lambda index: -upper[index])
    while left := [index for index in left if upper[index] > known]:
        first = matrices[left[0]]
        known = _highest(known, [spectral_norm(first)])
        # What it does not rule out has about the same norm: those of its shape in one call.
        alike = stacks.get((first.shape, first.dtype, first.device), [])
        rest = [index for index in alike if index != left[0] and upper[index] > known]
        if rest:
            known = _highest(known, [spectral_norm(torch.stack([matrices[i] for i in rest]))])
        left = [index for index in left[1:] if index not in alike]
    return known


def _tighten(
    matrices: Sequence[Tensor], stack: list[int], upper: list[float], known: float
) -> float:
    """Lower the upper bounds of matrices of one shape; return the largest lower bound so far."""
    stack = [index for index in stack if upper[index] > known]
    if not stack:
        return known
    size = vector_norms([matrices[index] for index in stack]).double().cpu()
    x = torch.stack([matrices[index] for index in stack])
    x = x.to(torch.promote_types(x.dtype, torch.float32)) / size.to(x)[:, None, None]
    power, log, p = x @ x.mT, size.log().mul(2), 1  # A^p = power * exp(p log)
    for k in range(_SQUARINGS + 1):
        frobenius = torch.linalg.vector_norm(power, dim=(1, 2))
        trace = power.diagonal(dim1=1, dim2=2).sum(-1)
        f, t = torch.stack([frobenius, trace]).double().cpu().log()
        for index, bound in zip(stack, ((log + f / p) / 2).exp().tolist(), strict=True):
            upper[index] = min(upper[index], bound * (1 + _SLACK))
        lower = ((log + (2 * f - t) / p) / 2).exp().max().item()
        known = max(known, lower * (1 - _SLACK))
        kept = [place for place, index in enumerate(stack) if upper[index] > known]
        if k == _SQUARINGS or not kept:
            return known
        stack = [stack[place] for place in kept]
        power = (power / frobenius[:, None, None])[kept]
        log, p = (log + f / p)[kept], 2 * p
        power = power @ power
    return known


def _highest(known: float, values: Sequence[Tensor]) -> float:
    """Return the largest of all; nan where there is one."""
    numbers = [known, *(number for value in values for number in value.flatten().tolist())]
    return math.nan if any(map(math.isnan, numbers)) else max(numbers)
