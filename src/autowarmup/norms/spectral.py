"""The spectral norm: largest singular value, nuclear norm, polar factor."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass

import torch
from torch import Tensor

from autowarmup.norms.largest import largest_spectral_norm
from autowarmup.norms.norm import Norm, stack_scalars
from autowarmup.norms.polar import newton_schulz, polar_exact
from autowarmup.norms.polar_express import polar_express
from autowarmup.norms.singular import nuclear_norm, spectral_norm
from autowarmup.norms.three_steps import three_steps

METHODS = ("newton_schulz", "polar_express", "three_steps", "exact")

# On a CPU a matrix from this many entries on is iterated alone (it fills the cache, and stacking
# would only copy it); smaller ones are stacked, which saves most of the cost of a call. Measured
# on a 2-core Zen 5: 8 matrices of 128 x 128 take 16 us each stacked and 46 us alone; from 384 x 384
# there is no difference.
_ALONE = 384 * 384
# Entries that may always be stacked: 4 MiB in float32.
_STACK = 2**20


@dataclass(frozen=True)
class Spectral(Norm):
    """The largest singular value; its dual is the nuclear norm, its lmo the polar factor.

    The norm of Muon (arXiv 2602.05813).

    Args:
        method: "newton_schulz" computes the lmo by that iteration, and the norm and the dual by the
            fast default methods of `spectral_norm` and `nuclear_norm`, which are within 1e-3;
            "polar_express" does so with coefficients that halve the distance to the polar factor,
            "three_steps" as near as the first in less time, see `three_steps`;
            "exact" computes all three by an SVD in float64, which is slow.
        steps: iterations of "newton_schulz" and "polar_express"; the other methods take none.
        eps: as in `newton_schulz`.
        dtype: precision of Newton-Schulz.
        flatten: take a kernel of shape (n, ...) as the matrix (n, -1), as practice with
            convolutions does; without, a block has to be 2-D.
        orthogonalize: what computes the lmo instead of `method`, for a matrix or a stack of
            matrices of one shape (..., m, n), in any floating type: its polar factor of that shape.

    Raises:
        ValueError: an unknown method, or a number of steps that it does not take; in the methods
            below, a block that is not 2-D.

    Example:
        >>> g = torch.tensor([[0.0, -2.0, 0.0], [5.0, 0.0, 0.0]])
        >>> spectral = Spectral("exact")
        >>> round(spectral.norm(g).item(), 6), round(spectral.dual(g).item(), 6)
        (5.0, 7.0)
        >>> spectral.kappa((2, 3))
        2.0
    """

    name = "spectral"
    matrices_only = True

    method: str = "newton_schulz"
    _: KW_ONLY
    steps: int = 5
    eps: float = 1e-7
    dtype: torch.dtype = torch.bfloat16
    flatten: bool = False
    orthogonalize: Callable[[Tensor], Tensor] | None = None

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ValueError(f"expected a method among {', '.join(METHODS)}, got {self.method!r}")
        if self.method in ("three_steps", "exact") and self.steps != Spectral.steps:
            raise ValueError(
                f"the method {self.method!r} takes no number of steps: expected the usual "
                f"{Spectral.steps}, got {self.steps}"
            )

    def accepts(self, shape: Sequence[int]) -> bool:
        """Whether a block is a matrix, or a kernel that is taken as one."""
        return len(shape) == 2 or (self.flatten and len(shape) > 2)

    def norm(self, x: Tensor) -> Tensor:
        """Return the largest singular value of the matrix."""
        return self._largest(self._matrix(x)).to(x.dtype)

    def dual(self, x: Tensor) -> Tensor:
        """Return the sum of the singular values of the matrix."""
        return self._sum(self._matrix(x)).to(x.dtype)

    def lmo(self, g: Tensor) -> Tensor:
        """Return the polar factor of the matrix, exact or approximate as `method` says."""
        return self._polar(self._matrix(g)).view_as(g).to(g.dtype)

    def kappa(self, shape: Sequence[int]) -> float:
        """Return min(m, n): all singular values of one size."""
        if not self.accepts(shape):
            raise ValueError(f"the spectral norm needs a matrix: expected (m, n), got {shape}")
        return float(min(shape[0], math.prod(shape[1:])))

    def norm_many(self, blocks: Sequence[Tensor]) -> Tensor:
        """Return the largest singular values; small matrices of one shape share a stacked call."""
        return stack_scalars(self._stacked(self._largest, [_wide(self._matrix(x)) for x in blocks]))

    def largest(self, blocks: Sequence[Tensor], known: float | Tensor = 0.0) -> Tensor:
        """Return the largest singular value of all; bounds rule most of the matrices out."""
        if self.method == "exact" or not blocks:
            return super().largest(blocks, known)
        wide = [_wide(self._matrix(x)) for x in blocks]
        value = largest_spectral_norm(wide, float(known))
        dtype = torch.promote_types(wide[0].dtype, torch.float32)
        return torch.tensor(value, dtype=dtype, device=wide[0].device)

    def dual_many(self, blocks: Sequence[Tensor]) -> Tensor:
        """Return the nuclear norms; small matrices of one shape share a stacked call."""
        return stack_scalars(self._stacked(self._sum, [_wide(self._matrix(x)) for x in blocks]))

    def lmo_many(self, blocks: Sequence[Tensor]) -> list[Tensor]:
        """Return the polar factors; small matrices of one shape share a stacked call.

        With Newton-Schulz the results have its dtype.
        """
        results = self._stacked(self._polar, [self._matrix(x) for x in blocks])
        return [u.view_as(x) for u, x in zip(results, blocks, strict=True)]

    def batches(self, blocks: Sequence[Tensor]) -> list[list[int]]:
        """Return the indices of the matrices that are worth stacking, group by group.

        A stack passes through about four times its size (the direction, its copy in half precision,
        the iteration), so it holds a tenth of all: less than half a size on top. Measured on the
        shapes of llama-124m: 0.42 of the size, and 1.97 with all of a shape in one stack.
        """
        most = max(sum(block.numel() for block in blocks) // 10, _STACK)
        groups: defaultdict[object, list[list[int]]] = defaultdict(list)
        for index, block in enumerate(blocks):
            alone = block.device.type == "cpu" and block.numel() >= _ALONE
            stacks = groups[index if alone else (block.shape, block.dtype, block.device)]
            if not stacks or (len(stacks[-1]) + 1) * block.numel() > most:
                stacks.append([])
            stacks[-1].append(index)
        return [stack for stacks in groups.values() for stack in stacks]

    def _stacked(
        self, function: Callable[[Tensor], Tensor], matrices: Sequence[Tensor]
    ) -> list[Tensor]:
        results = list(matrices)
        for indices in self.batches(matrices):
            if len(indices) == 1:  # large ones are faster as one matrix than as a stack of one
                results[indices[0]] = function(matrices[indices[0]].contiguous())
                continue
            stack = function(torch.stack([matrices[index] for index in indices]))
            for index, result in zip(indices, stack.unbind(), strict=True):
                results[index] = result
        return results

    def _largest(self, x: Tensor) -> Tensor:
        return spectral_norm(x, "svd" if self.method == "exact" else "lanczos")

    def _sum(self, x: Tensor) -> Tensor:
        return nuclear_norm(x, "svd" if self.method == "exact" else "gram")

    def _polar(self, x: Tensor) -> Tensor:
        if self.orthogonalize is not None:
            return self.orthogonalize(x)
        if self.method == "exact":
            return polar_exact(x)
        if self.method == "three_steps":
            return three_steps(x, eps=self.eps, dtype=self.dtype)
        settings = {"steps": self.steps, "eps": self.eps, "dtype": self.dtype}
        if self.method == "polar_express":
            settings |= {"coefficients": polar_express(self.steps), "tight": True}
        return newton_schulz(x, **settings)

    def _matrix(self, x: Tensor) -> Tensor:
        if not self.accepts(x.shape):
            got = f"shape {tuple(x.shape)}"
            raise ValueError(f"the spectral norm needs a matrix: expected 2-D, got {got}")
        return x if x.ndim == 2 else x.flatten(1)


def _wide(x: Tensor) -> Tensor:
    """Return the matrix or its transpose, which has the same singular values."""
    return x.mT if x.shape[0] > x.shape[1] else x
