"""Norms of a whole model from those of its blocks.

Over the blocks of a model the norm of a norm-constrained optimizer is the maximum over blocks, so
that its dual is the sum over blocks and the lmo acts block by block (arXiv 2602.05813). Plain SGD
moves along the gradient itself; its norm is the Euclidean one over all blocks together.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from autowarmup.norms.norm import Norm, vector_norms


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

    def norm(self, blocks: Sequence[Tensor], known: float | Tensor = 0.0) -> Tensor:
        """Return the largest norm among the blocks and `known` as a scalar tensor."""
        for norm, part in self._by_norm(blocks):
            known = norm.largest(part, known)
        return torch.as_tensor(known)

    def dual(self, blocks: Sequence[Tensor]) -> Tensor:
        """Return the sum of the blocks' dual norms as a scalar tensor."""
        return torch.cat([n.dual_many(part) for n, part in self._by_norm(blocks)]).sum()

    def kappa(self, shapes: Sequence[Sequence[int]]) -> float:
        """Return the sum of the blocks' kappas: each block may reach its own at norm 1."""
        self._check(shapes)
        return math.fsum(n.kappa(s) for n, s in zip(self.norms, shapes, strict=True))

    def _by_norm(self, blocks: Sequence[Tensor]) -> list[tuple[Norm, list[Tensor]]]:
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
    """

    def norm(self, blocks: Sequence[Tensor]) -> Tensor:
        """Return the square root of the sum of squares of all blocks as a scalar tensor."""
        if not blocks:
            raise ValueError("expected at least one block, got none")
        return torch.linalg.vector_norm(vector_norms(blocks))

    def dual(self, blocks: Sequence[Tensor]) -> Tensor:
        """Return the same as `norm`."""
        return self.norm(blocks)
