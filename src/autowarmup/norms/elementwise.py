"""The two norms that look at entries only: l_inf (sign updates) and Frobenius (normalised ones)."""

# torch has its grouped ("foreach") operations under private names only.
# pyright: reportPrivateImportUsage=false
from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from autowarmup.norms.norm import Norm, vector_norms
from autowarmup.norms.sharded import is_sharded, sum_over_shards


@dataclass(frozen=True)
class LInf(Norm):
    """The largest absolute entry; its dual is the sum of absolute entries, its lmo the sign.

    The norm of signSGD, Signum and Lion (arXiv 2602.05813).

    Example:
        >>> g = torch.tensor([[3.0, -0.5], [0.0, 2.0]])
        >>> LInf().norm(g).item(), LInf().dual(g).item(), LInf().lmo(g).tolist()
        (3.0, 5.5, [[1.0, -1.0], [0.0, 1.0]])
    """

    name = "linf"
    entrywise = True

    def norm(self, x: Tensor) -> Tensor:
        """Return max |x_i|."""
        if not x.numel():
            return x.sum()
        low, high = x.aminmax()  # no copy of absolute values: a tenth of the time
        return torch.maximum(-low, high)

    def dual(self, x: Tensor) -> Tensor:
        """Return sum |x_i|."""
        return vector_norms([x], 1.0)[0].to(x.dtype)

    def lmo(self, g: Tensor) -> Tensor:
        """Return sign(g), entry by entry."""
        return g.sign()

    def kappa(self, shape: Sequence[int]) -> float:
        """Return the number of entries: all of one size."""
        return float(math.prod(shape))

    def dual_many(self, blocks: Sequence[Tensor]) -> Tensor:
        """Return sum |x_i| of each block in one grouped call."""
        return vector_norms(blocks, 1.0)

    def lmo_many(self, blocks: Sequence[Tensor]) -> list[Tensor]:
        """Return the signs of all blocks in one grouped call."""
        return list(torch._foreach_sign(list(blocks))) if blocks else []


@dataclass(frozen=True)
class Frobenius(Norm):
    """The Euclidean norm of all entries, its own dual; its lmo divides the block by it.

    The norm of normalised SGD, one block per parameter (arXiv 2602.05813).

    Example:
        >>> g = torch.tensor([3.0, 4.0])
        >>> Frobenius().norm(g).item(), Frobenius().dual(g).item(), Frobenius().kappa((2, 3))
        (5.0, 5.0, 1.0)
    """

    name = "frobenius"

    def norm(self, x: Tensor) -> Tensor:
        """Return the square root of the sum of squares."""
        return vector_norms([x])[0].to(x.dtype)

    dual = norm

    def lmo(self, g: Tensor) -> Tensor:
        """Return g / ||g||, and 0 for g = 0."""
        return self.lmo_many([g])[0]

    def kappa(self, shape: Sequence[int]) -> float:
        """Return 1: the norm is its own dual."""
        return 1.0

    def norm_many(self, blocks: Sequence[Tensor]) -> Tensor:
        """Return the norm of each block in one grouped call."""
        return vector_norms(blocks)

    dual_many = norm_many

    def lmo_many(self, blocks: Sequence[Tensor]) -> list[Tensor]:
        """Return the blocks, each divided by its own norm, in grouped calls."""
        if not blocks:
            return []
        return _divided(blocks, vector_norms(blocks))

    def lmo_of_shards(self, shards: Sequence[Tensor], params: Sequence[Tensor]) -> list[Tensor]:
        """Return the shards, each divided by the norm of its whole block."""
        if not any(is_sharded(p) for p in params):
            return self.lmo_many(shards)
        squares = vector_norms(shards).double().square()
        return _divided(shards, sum_over_shards(squares, params).sqrt())


def _divided(blocks: Sequence[Tensor], norms: Tensor) -> list[Tensor]:
    """Divide each block by its norm, in float32 at least; the results have the blocks' types."""
    wide = [block.float() if block.dtype.itemsize < 4 else block for block in blocks]
    types = {block.dtype for block in wide}
    # The floor keeps a zero block at zero, and one whose squares underflow from blowing up. It is
    # that of each block's own arithmetic: in float16 it would be longer than most gradients.
    floored = {t: norms.clamp_min(torch.finfo(t).tiny ** 0.5).to(t).unbind() for t in types}
    divisors = [floored[block.dtype][index] for index, block in enumerate(wide)]
    quotients = torch._foreach_div(wide, divisors)
    return [q.to(block.dtype) for q, block in zip(quotients, blocks, strict=True)]
