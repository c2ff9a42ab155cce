"""The contract of a norm: its value, its dual, the move it allows, and how far the two may differ.

A norm-constrained optimizer moves by `-lr * lmo(m)`, the steepest move inside the unit ball of the
norm (arXiv 2602.05813, section on norm-constrained optimizers). Over the blocks of a model (one
block per parameter) the norm is the maximum over blocks, so its dual is the sum over blocks and the
lmo acts block by block. Plain SGD moves along the gradient itself; its norm is the Euclidean one
over all blocks together.
"""

# torch has its grouped ("foreach") operations under private names only.
# pyright: reportPrivateImportUsage=false
from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import reduce
from typing import ClassVar

import torch
from torch import Tensor

from autowarmup.rules.gap_law.peak import kappa


class Norm(ABC):
    """A norm on one block (one parameter of any shape the norm accepts).

    Every subclass keeps, for all blocks x, y and g: |<x, y>| <= norm(x) * dual(y),
    <g, lmo(g)> = dual(g), norm(lmo(g)) <= 1, and lmo(0) = 0.
    """

    name: ClassVar[str]

    @abstractmethod
    def norm(self, x: Tensor) -> Tensor:
        """Return the norm of the block as a scalar tensor."""

    @abstractmethod
    def dual(self, x: Tensor) -> Tensor:
        """Return the dual norm sup {<x, v> : norm(v) <= 1} as a scalar tensor."""

    @abstractmethod
    def lmo(self, g: Tensor) -> Tensor:
        """Return a maximiser of <g, v> over norm(v) <= 1, of g's shape and dtype; 0 for g = 0."""

    def kappa(self, shape: Sequence[int]) -> float:
        """Return sup dual(v) / norm(v) over the blocks of this 2-D shape, as `core.peak` has it."""
        return kappa(self.name, [shape])

    def lmo_many(self, blocks: Sequence[Tensor]) -> list[Tensor]:
        """Return the lmo of each block; norms that can do many at once override this."""
        return [self.lmo(block) for block in blocks]

    def norm_many(self, blocks: Sequence[Tensor]) -> Tensor:
        """Return the norm of each block, shape (len(blocks),); some norms do many at once."""
        return stack_scalars([self.norm(block) for block in blocks])

    def dual_many(self, blocks: Sequence[Tensor]) -> Tensor:
        """Return the dual norm of each block, shape (len(blocks),)."""
        return stack_scalars([self.dual(block) for block in blocks])


# torch adds a float32 tensor up in 16 to 64 running sums, which stop taking in small terms where
# they have grown large: measured for a Gaussian 50304 x 768, -10 % (1-norm) and -0.3 % (2-norm).
# In pieces of this many entries it is 3e-7 and 1e-7, for 1.4 times the time of the 2-norm.
_PIECE = 65536


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
    pieces = [x.reshape(-1).split(_PIECE) for x in blocks]
    dtype = reduce(torch.promote_types, (x.dtype for x in blocks), torch.float32)
    norms = torch.stack(torch._foreach_norm([p for part in pieces for p in part], order, dtype))
    if len(norms) == len(blocks):
        return norms
    parts = norms.split([len(part) for part in pieces])
    return torch.stack([torch.linalg.vector_norm(part, order) for part in parts])


class MaxOverBlocks:
    """The product of one norm per block: the maximum of the norms, the sum of the duals.

    Args:
        norms: the norm of each block, in the order in which the blocks are passed.

    Example:
        >>> from autowarmup.norms import Frobenius, LInf
        >>> model = MaxOverBlocks([LInf(), Frobenius()])
        >>> blocks = [torch.tensor([1.0, -2.0]), torch.tensor([3.0, 4.0])]
        >>> model.norm(blocks).item(), model.dual(blocks).item()
        (5.0, 8.0)
        >>> model.kappa([(3, 4), (3, 4)])
        13.0
    """

    def __init__(self, norms: Sequence[Norm]) -> None:
        self.norms = tuple(norms)
        if not self.norms:
            raise ValueError("expected at least one block, got none")

    def norm(self, blocks: Sequence[Tensor]) -> Tensor:
        """Return the largest norm among the blocks as a scalar tensor."""
        return torch.cat([n.norm_many(part) for n, part in self._parts(blocks)]).amax()

    def dual(self, blocks: Sequence[Tensor]) -> Tensor:
        """Return the sum of the blocks' dual norms as a scalar tensor."""
        return torch.cat([n.dual_many(part) for n, part in self._parts(blocks)]).sum()

    def lmo(self, blocks: Sequence[Tensor]) -> list[Tensor]:
        """Return the lmo of every block."""
        self._check(blocks)
        return [n.lmo(x) for n, x in zip(self.norms, blocks, strict=True)]

    def kappa(self, shapes: Sequence[Sequence[int]]) -> float:
        """Return the sum of the blocks' kappas: each block may reach its own at norm 1."""
        self._check(shapes)
        return math.fsum(n.kappa(s) for n, s in zip(self.norms, shapes, strict=True))

    def _parts(self, blocks: Sequence[Tensor]) -> list[tuple[Norm, list[Tensor]]]:
        """Return each norm with all its blocks: what belongs to equal norms is done together."""
        self._check(blocks)
        parts: dict[Norm, list[Tensor]] = {}
        for norm, block in zip(self.norms, blocks, strict=True):
            parts.setdefault(norm, []).append(block)
        return list(parts.items())

    def _check(self, blocks: Sequence[object]) -> None:
        if len(blocks) != len(self.norms):
            raise ValueError(f"expected {len(self.norms)} blocks, got {len(blocks)}")


class EuclideanOverBlocks:
    """The Euclidean norm of all blocks as one long vector, its own dual: the norm of SGD.

    Unlike `MaxOverBlocks` of `Frobenius` it weighs the blocks against each other, as the step
    -lr * gradient does (arXiv 2510.03164 measures smoothness in it).

    Example:
        >>> blocks = [torch.tensor([1.0, 2.0]), torch.tensor([[2.0, 4.0]])]
        >>> euclidean = EuclideanOverBlocks()
        >>> euclidean.norm(blocks).item(), euclidean.dual(blocks).item()
        (5.0, 5.0)
        >>> [x.tolist() for x in euclidean.lmo(blocks)]
        [[0.20000000298023224, 0.4000000059604645], [[0.4000000059604645, 0.800000011920929]]]
        >>> euclidean.kappa([(3, 4), (3, 4)])
        1.0
    """

    def norm(self, blocks: Sequence[Tensor]) -> Tensor:
        """Return the square root of the sum of squares of all blocks as a scalar tensor."""
        if not blocks:
            raise ValueError("expected at least one block, got none")
        return torch.linalg.vector_norm(vector_norms(blocks))

    def dual(self, blocks: Sequence[Tensor]) -> Tensor:
        """Return the same as `norm`."""
        return self.norm(blocks)

    def lmo(self, blocks: Sequence[Tensor]) -> list[Tensor]:
        """Return all blocks divided by their common norm, and zeros where that is 0."""
        norm = self.norm(blocks)
        return [x / norm.clamp(min=torch.finfo(norm.dtype).tiny) for x in blocks]

    def kappa(self, shapes: Sequence[Sequence[int]]) -> float:
        """Return sup dual(v) / norm(v), which is 1 for any blocks."""
        if not shapes:
            raise ValueError("expected at least one block, got none")
        return 1.0
