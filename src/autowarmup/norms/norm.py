"""What a norm is: its value, its dual, the steepest step in its unit ball, and how they share work.

A norm-constrained optimizer moves by `-lr * lmo(m)`, the steepest step inside the unit ball of the
norm (arXiv 2602.05813, section on norm-constrained optimizers), block by block; a block is one
parameter. docs/add-a-norm.md shows how to write a norm of one's own.
"""

# torch has its grouped ("foreach") operations under private names only.
# pyright: reportPrivateImportUsage=false
from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import reduce
from typing import ClassVar

import torch
from torch import Tensor

from autowarmup.norms.sharded import is_sharded, own_shards, whole_blocks

# torch adds a float32 tensor up in 16 to 64 running sums, which stop taking in small terms where
# they have grown large: measured for a Gaussian 50304 x 768, -10 % (1-norm) and -0.3 % (2-norm).
# In pieces of this many entries it is 3e-7 and 1e-7, for 1.4 times the time of the 2-norm.
_PIECE = 65536

BATCH = 2**24
"""Entries that are worth handling together: 64 MiB in float32, more saves no time."""


class Norm(ABC):
    """A norm on one block; a subclass is a frozen dataclass whose fields are its settings.

    For all blocks x, y and g of one shape: |<x, y>| <= norm(x) * dual(y), <g, lmo(g)> = dual(g),
    norm(lmo(g)) <= 1, and lmo(0) = 0.

    Attributes:
        name: what parameter groups, saved states and measurements call it.
        matrices_only: whether a block has to be 2-D; otherwise it may have any shape.
        entrywise: whether an entry of the lmo depends on that entry of the gradient alone. Then a
            shard of a parameter, or a piece of it, is treated without the rest.
    """

    name: ClassVar[str]
    matrices_only: ClassVar[bool] = False
    entrywise: ClassVar[bool] = False

    @abstractmethod
    def norm(self, x: Tensor) -> Tensor:
        """Return the norm of the block as a scalar tensor."""

    @abstractmethod
    def dual(self, x: Tensor) -> Tensor:
        """Return the dual norm sup {<x, v> : norm(v) <= 1} as a scalar tensor."""

    @abstractmethod
    def lmo(self, g: Tensor) -> Tensor:
        """Return a maximiser of <g, v> over norm(v) <= 1, of g's shape and dtype; 0 for g = 0."""

    @abstractmethod
    def kappa(self, shape: Sequence[int]) -> float:
        """Return sup dual(v) / norm(v) over the blocks of a 2-D shape (arXiv 2602.05813)."""

    def accepts(self, shape: Sequence[int]) -> bool:
        """Whether a block of this shape has the norm."""
        return len(shape) == 2 or not self.matrices_only

    def norm_many(self, blocks: Sequence[Tensor]) -> Tensor:
        """Return the norm of each block, shape (len(blocks),), in float32 at least."""
        return stack_scalars([self.norm(block) for block in blocks])

    def dual_many(self, blocks: Sequence[Tensor]) -> Tensor:
        """Return the dual norm of each block, shape (len(blocks),), in float32 at least."""
        return stack_scalars([self.dual(block) for block in blocks])

    def largest(self, blocks: Sequence[Tensor], known: float | Tensor = 0.0) -> Tensor:
        """Return the largest norm among the blocks and `known`, in float32 at least.

        A norm that can tell cheaply which blocks stay below the largest, or below what others are
        `known` to have reached, overrides this.
        """
        return self.norm_many(blocks).amax().clamp(min=known)

    def lmo_many(self, blocks: Sequence[Tensor]) -> list[Tensor]:
        """Return the lmo of each block; a norm that can do many at once overrides this."""
        return [self.lmo(block) for block in blocks]

    def batches(self, blocks: Sequence[Tensor]) -> list[list[int]]:
        """Return the indices of the blocks that an optimizer should hand to `lmo_many` together.

        Few calls, and little memory: together they have at most `BATCH` entries.
        """
        parts: list[list[int]] = []
        size = 0
        for index, block in enumerate(blocks):
            if not parts or size + block.numel() > BATCH:
                parts.append([])
                size = 0
            parts[-1].append(index)
            size += block.numel()
        return parts

    def lmo_of_shards(self, shards: Sequence[Tensor], params: Sequence[Tensor]) -> list[Tensor]:
        """Return this process's shards of the lmo of each whole block.

        Unless the norm is entrywise the directions are gathered and every process computes the same
        lmo of the whole block; a norm that needs less overrides this. Collective: every process of
        the mesh calls it for the same blocks.

        Args:
            shards: the local part of each direction.
            params: the parameters, which know how the blocks are laid out; plain ones are whole.
        """
        if self.entrywise or not any(is_sharded(p) for p in params):
            return self.lmo_many(shards)
        return own_shards(self.lmo_many(whole_blocks(shards, params)), params)


def stack_scalars(scalars: Sequence[Tensor]) -> Tensor:
    """Return the scalars as one vector, in float32 at least: sums over blocks follow."""
    if not scalars:
        return torch.zeros(0)
    vector = torch.stack(tuple(scalars))
    return vector.to(torch.promote_types(vector.dtype, torch.float32))


def vector_norms(blocks: Sequence[Tensor], order: float = 2.0) -> Tensor:
    """Return the vector norm of all entries of each block, shape (len(blocks),), in a grouped call.

    Example:
        >>> vector_norms([torch.tensor([3.0, 4.0]), torch.full((300, 300), 2.0)]).tolist()
        [5.0, 600.0]
    """
    if not blocks:
        return torch.zeros(0)
    dtype = reduce(torch.promote_types, {x.dtype for x in blocks}, torch.float32)
    # Contiguous: the order in which entries are added up is that of the block, not of its memory.
    pieces: list[Tensor] = []
    cut: list[tuple[int, int]] = []
    for x in blocks:
        if x.numel() <= _PIECE:
            pieces.append(x.contiguous())
        else:
            parts = x.contiguous().view(-1).split(_PIECE)
            cut.append((len(pieces), len(pieces) + len(parts)))
            pieces += parts
    norms = torch._foreach_norm(pieces, order, dtype)
    for start, stop in reversed(cut):  # from behind: places before stay
        norms = [*norms[:start], torch.linalg.vector_norm(torch.stack(norms[start:stop]), order),
                 *norms[stop:]]  # fmt: skip
    return torch.stack(norms)
