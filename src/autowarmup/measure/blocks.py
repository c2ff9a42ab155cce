"""Which parameters count, in which norm: read from the optimizer, or said by the caller.

Paper A (arXiv 2602.05813) measures 2-D parameters only, in the norm of the optimizer: the maximum
of the block norms for a step, the sum of their duals for a gradient. Gradient descent has one
Euclidean norm over everything. The Adam family is measured as sign optimizers are, in l_inf.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.optim import SGD, Optimizer

from autowarmup.norms import NORMS as BLOCK_NORMS
from autowarmup.norms import EuclideanOverBlocks, MaxOverBlocks, Norm, norm_of

NORMS = ("auto", *BLOCK_NORMS, "euclidean")
COUNTS = ("auto", "matrices", "constrained", "all")

_ADAPTIVE = re.compile(r"adam|adan|ada(grad|delta|belief|factor|max|bound)|rmsprop", re.IGNORECASE)

Side = Literal["norm", "dual"]

# Blocks of so many entries are held at a time while a norm is added up: enough to measure small
# matrices of one shape together (4 to 64 MiB in float32), and little beside the model itself.
_FEWEST, _MOST, _SHARE = 1 << 20, 1 << 24, 16


@dataclass(frozen=True)
class CountedParameters:
    """The parameters that count and the norm that measures them.

    Attributes:
        parameters: every trainable parameter that the optimizers hold; all of them move.
        indices: positions in `parameters` of those that count.
        norms: the norm of each that counts; `None` for one Euclidean norm over all of them.
        name: the norm in one word; several are joined by "+".
        count: which rule chose: matrices, constrained or all.
        about: why this norm, a sentence, where the optimizer has none of its own.
    """

    parameters: tuple[nn.Parameter, ...]
    indices: tuple[int, ...]
    norms: tuple[Norm, ...] | None
    name: str
    count: str
    about: str = ""

    def facts(self) -> dict[str, Any]:
        """Return what counts, as plain JSON values."""
        return {
            "count": self.count,
            "blocks": len(self.indices),
            "parameters": sum(self.parameters[index].numel() for index in self.indices),
            "moving_parameters": sum(p.numel() for p in self.parameters),
            **({"about": self.about} if self.about else {}),
        }

    def norm(self, blocks: Iterable[Tensor]) -> float:
        """Return the primal norm of the counted blocks, given in the order of `indices`."""
        return self._added_up("norm", blocks)

    def dual(self, blocks: Iterable[Tensor]) -> float:
        """Return the dual norm of the counted blocks, given in the order of `indices`."""
        return self._added_up("dual", blocks)

    def _added_up(self, side: Side, blocks: Iterable[Tensor]) -> float:
        total = NormSum(self, side)
        for index, block in zip(self.indices, blocks, strict=True):
            total.add(index, block)
        return total.total()


class NormSum:
    """Adds up a norm over blocks that come one at a time, in any order, holding few of them.

    Blocks of positions that do not count are ignored.
    """

    def __init__(self, counted: CountedParameters, side: Side) -> None:
        self.side: Side = side
        norms = counted.norms or (None,) * len(counted.indices)
        self.norms = dict(zip(counted.indices, norms, strict=True))
        self.euclidean = counted.norms is None
        entries = sum(p.numel() for p in counted.parameters)
        self.most = min(_MOST, max(_FEWEST, entries // _SHARE))
        self.waiting: list[tuple[int, Tensor]] = []
        self.held = 0
        self.parts: list[Tensor] = []

    def add(self, index: int, block: Tensor) -> None:
        """Take the block of one position."""
        if index not in self.norms:
            return
        if self.waiting and self.held + block.numel() > self.most:
            self._flush()
        self.waiting.append((index, block))
        self.held += block.numel()

    def _flush(self) -> None:
        blocks = [block for _, block in self.waiting]
        norms = [norm for index, _ in self.waiting if (norm := self.norms[index]) is not None]
        if self.euclidean:
            self.parts.append(EuclideanOverBlocks().norm(blocks))
        elif self.side == "dual":
            self.parts.append(MaxOverBlocks(norms).dual(blocks))
        else:  # what stays below those before need not be measured
            self.parts = [MaxOverBlocks(norms).norm(blocks, *self.parts)]
        self.waiting, self.held = [], 0

    def total(self) -> float:
        """Return the norm of everything that was added."""
        if self.waiting:
            self._flush()
        parts = torch.stack([part.double() for part in self.parts])
        if self.euclidean:
            return torch.linalg.vector_norm(parts).item()
        return (parts.amax() if self.side == "norm" else parts.sum()).item()


def choose_parameters(
    optimizers: Sequence[Optimizer], *, norm: str = "auto", count: str = "auto"
) -> CountedParameters:
    """Choose the parameters that count and their norms.

    Args:
        optimizers: hold the parameters; the norm is read from them where `norm` is "auto".
        norm: "spectral", "linf", "frobenius" (each per block), "euclidean" (one for all), "auto".
        count: "matrices" (2-D parameters, as in paper A), "constrained" (what the optimizers move
            by their norm, without the AdamW part of a hybrid), "all", or "auto": all for the
            Euclidean norm, else matrices.

    Raises:
        ValueError: an unknown word, an optimizer without a known norm, nothing that counts, or the
            spectral norm for a parameter that is no matrix.

    Example:
        >>> layer = torch.nn.Linear(3, 2)
        >>> counted = choose_parameters([SGD(layer.parameters(), lr=0.1)])
        >>> counted.name, counted.facts()["parameters"]
        ('euclidean', 8)
    """
    for name, value, known in (("norm", norm, NORMS), ("count", count, COUNTS)):
        if value not in known:
            raise ValueError(f"{name}: expected one of {', '.join(known)}, got {value!r}")
    groups = [(o, group) for o in optimizers for group in o.param_groups]
    moved_by, about = [_norm_of(o, group) for o, group in groups], ""
    if norm == "auto" and not any(moved_by):
        moved_by, about = _like_signs(groups)
    kinds = moved_by if norm == "auto" else [norm] * len(groups)
    own = sorted({kind for kind in kinds if kind})
    if not own or (norm == "auto" and "euclidean" in own and len(own) > 1):
        raise ValueError(
            "norm='auto' reads the norm from the optimizer: expected a Muon, Lion, Signum, "
            "signSGD, NormalizedSGD, SGD or one of the Adam family, "
            f"got {' and '.join(type(o).__name__ for o in optimizers)}; "
            "pass norm='linf', 'spectral', 'frobenius' or 'euclidean'"
        )
    if count == "auto":
        count = "all" if own == ["euclidean"] else "matrices"
    parameters: dict[int, nn.Parameter] = {}
    chosen: list[tuple[int, str]] = []
    for (_, group), kind, moves in zip(groups, kinds, moved_by, strict=True):
        for p in group["params"]:
            if not p.requires_grad or id(p) in parameters:
                continue
            parameters[id(p)] = p
            counts = {"matrices": p.ndim == 2, "constrained": bool(moves), "all": True}[count]
            if counts:
                chosen.append((len(parameters) - 1, kind or _shared(own)))
    ordered = tuple(parameters.values())
    _check_chosen(ordered, chosen, count)
    euclidean = own == ["euclidean"]
    # One object per kind, so that blocks of one kind are measured together; a norm that is not
    # known by its name is the optimizer's own.
    by_name: dict[str, Any] = {each.name: each for o, g in groups if (each := norm_of(o, g))}
    by_name |= {name: make() for name, make in BLOCK_NORMS.items()}
    norms = {} if euclidean else {kind: by_name[kind] for _, kind in chosen}
    return CountedParameters(
        parameters=ordered,
        indices=tuple(index for index, _ in chosen),
        norms=None if euclidean else tuple(norms[kind] for _, kind in chosen),
        name="+".join(sorted({kind for _, kind in chosen})),
        count=count,
        about=about,
    )


def same_parameters(optimizers: Sequence[Optimizer], parameters: Sequence[nn.Parameter]) -> bool:
    """Whether the optimizers still hold exactly these trainable parameters."""
    groups = [group for optimizer in optimizers for group in optimizer.param_groups]
    present = {id(p) for group in groups for p in group["params"] if p.requires_grad}
    return present == {id(p) for p in parameters}


def _norm_of(optimizer: Optimizer, group: dict[str, Any]) -> str:
    """Return the norm of a group; unlike kappa, curvature also has one for plain SGD."""
    plain = isinstance(optimizer, SGD) and "norm" not in group
    return "euclidean" if plain else getattr(norm_of(optimizer, group), "name", "")


def _like_signs(groups: Sequence[tuple[Optimizer, dict[str, Any]]]) -> tuple[list[str], str]:
    """Return l_inf for what divides every coordinate by its own size, as Adam does, and why.

    Where updates settle, an entry moves by about the rate whatever its gradient: a signed step.
    """
    kinds = ["linf" if _ADAPTIVE.search(type(o).__name__) else "" for o, _ in groups]
    if not all(kinds):
        return [""] * len(groups), ""
    names = sorted({type(o).__name__ for o, _ in groups})
    return kinds, (
        f"{' and '.join(names)} has no norm of its own: its steps move every entry by about the "
        "rate, so they are measured by their largest entry, as signed steps are."
    )


def _shared(own: Sequence[str]) -> str:
    """Return the norm for what has none of its own, e.g. the embedding beside Muon."""
    if len(own) > 1:
        raise ValueError(
            f"the optimizers use several norms ({', '.join(own)}) and leave some counted "
            "parameters without one: expected count='constrained' or one norm for all"
        )
    return own[0]


def _check_chosen(
    parameters: Sequence[Tensor], chosen: Sequence[tuple[int, str]], count: str
) -> None:
    if not chosen:
        raise ValueError(
            f"count={count!r}: expected at least one trainable parameter that counts, got none"
        )
    spectral = [tuple(parameters[i].shape) for i, kind in chosen if kind == "spectral"]
    odd = [shape for shape in spectral if len(shape) != 2]
    if odd:
        raise ValueError(
            f"the spectral norm needs matrices: expected count='matrices', got count={count!r} "
            f"with a parameter of shape {odd[0]}"
        )
