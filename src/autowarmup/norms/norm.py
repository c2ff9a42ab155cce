"""The contract of a norm: its value, its dual, the move it allows, and how far the two may differ.

A norm-constrained optimizer moves by `-lr * lmo(m)`, the steepest move inside the unit ball of the
norm (arXiv 2602.05813, section on norm-constrained optimizers). Over the blocks of a model (one
block per parameter) the norm is the maximum over blocks, so its dual is the sum over blocks and the
lmo acts block by block.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from autowarmup.core.peak import kappa


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
        self._check(blocks)
        return torch.stack([n.norm(x) for n, x in zip(self.norms, blocks, strict=True)]).max()

    def dual(self, blocks: Sequence[Tensor]) -> Tensor:
        """Return the sum of the blocks' dual norms as a scalar tensor."""
        self._check(blocks)
        return torch.stack([n.dual(x) for n, x in zip(self.norms, blocks, strict=True)]).sum()

    def lmo(self, blocks: Sequence[Tensor]) -> list[Tensor]:
        """Return the lmo of every block."""
        self._check(blocks)
        return [n.lmo(x) for n, x in zip(self.norms, blocks, strict=True)]

    def kappa(self, shapes: Sequence[Sequence[int]]) -> float:
        """Return the sum of the blocks' kappas: each block may reach its own at norm 1."""
        self._check(shapes)
        return math.fsum(n.kappa(s) for n, s in zip(self.norms, shapes, strict=True))

    def _check(self, blocks: Sequence[object]) -> None:
        if len(blocks) != len(self.norms):
            raise ValueError(f"expected {len(self.norms)} blocks, got {len(blocks)}")
