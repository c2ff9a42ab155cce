"""What a scheduler has to know of an optimizer: the norm that constrains it, its slowest average.

Rules with `needs_kappa` weigh by kappa, the sum over 2-D parameters of sup dual(v) / norm(v)
(arXiv 2602.05813, practical scheduler). An optimizer that is constrained by a norm answers
`norm_of(group)`; those of torch and of other libraries are known by their class.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.optim import Optimizer

from autowarmup.rules.families import family_named

_OF_NORM = {"spectral": "spectral", "linf": "sign", "frobenius": "frobenius"}

Kappa = Callable[[Sequence[int]], float]


def constraint_of(optimizer: Any, group: dict[str, Any]) -> tuple[str, Kappa] | None:
    """Return the norm that constrains a parameter group: its name, and its kappa of a shape (m, n).

    `None` for AdamW and its like; sign optimizers of other libraries are known by their class name.
    """
    if hasattr(optimizer, "norm_of"):
        norm = optimizer.norm_of(group)
        return None if norm is None else (norm.name, norm.kappa)
    if isinstance(optimizer, torch.optim.Muon):
        return "spectral", min
    return ("linf", math.prod) if _by_name(optimizer) == "sign" else None


def _by_name(optimizer: Any) -> str:
    return family_named(type(optimizer).__name__)


def model_facts(
    optimizers: Sequence[Optimizer], groups: Sequence[dict[str, Any]] | None = None
) -> dict[str, Any]:
    """Return what rules with `reads_model` are told: fields of `autowarmup.rules.Run`.

    Args:
        optimizers: of the whole model.
        groups: those that follow the rule, whose class counts; all of them if not given.
    """
    return {
        "family": family_of(optimizers, groups),
        "parameters": parameters_of(optimizers),
        "trained": looks_trained(optimizers),
    }


def family_of_group(optimizer: Optimizer, group: dict[str, Any]) -> str:
    """Return the class of the optimizer of one parameter group."""
    known = constraint_of(optimizer, group)
    if known is not None:
        return _OF_NORM.get(known[0], "other")
    # One that answers `norm_of` says of itself that this group has none.
    return "other" if hasattr(optimizer, "norm_of") else _by_name(optimizer)


def family_of(
    optimizers: Sequence[Optimizer], groups: Sequence[dict[str, Any]] | None = None
) -> str:
    """Return the class of the optimizers, one of `autowarmup.rules.families.FAMILIES`.

    A hybrid is what its norm-constrained part is, whatever its embeddings are trained with; of
    several the one with most parameters counts.

    Example:
        >>> weight = torch.nn.Parameter(torch.zeros(3, 5))
        >>> family_of([torch.optim.Muon([weight]), torch.optim.AdamW([weight])])
        'spectral'
        >>> family_of([torch.optim.AdamW([weight])])
        'other'
    """
    sizes: dict[str, int] = {}
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            if groups is not None and not any(group is each for each in groups):
                continue
            family = family_of_group(optimizer, group)
            sizes[family] = sizes.get(family, 0) + sum(p.numel() for p in group["params"])
    constrained = {family: size for family, size in sizes.items() if family != "other"}
    return max(constrained, key=lambda family: constrained[family], default="other")


def parameters_of(optimizers: Sequence[Optimizer]) -> int | None:
    """Return the number of parameters that these optimizers train, `None` for none."""
    held = {id(p): p.numel() for o in optimizers for g in o.param_groups for p in g["params"]}
    return sum(held.values()) or None


def looks_trained(optimizers: Sequence[Optimizer]) -> bool:
    """Return whether the weights are those of a model that is trained already, or adapters of one.

    The scales of normalisation layers begin at 1 (or all at one value near it) and move apart in
    training. So a model is taken for trained if it has vectors whose values lie around 1, and most
    of these are not constant. Low-rank adapters (LoRA, arXiv 2106.09685, section 4.1) begin as
    pairs of matrices, r by n and m by r, of which the second is zero. Where there are neither
    nothing can be said, and the answer is no.

    Example:
        >>> norm = torch.nn.LayerNorm(8)
        >>> looks_trained([torch.optim.SGD(norm.parameters())])
        False
        >>> _ = torch.nn.init.normal_(norm.weight, 1.0, 0.05)
        >>> looks_trained([torch.optim.SGD(norm.parameters())])
        True
        >>> down, up = torch.nn.Linear(8, 2, bias=False), torch.nn.Linear(2, 6, bias=False)
        >>> _ = torch.nn.init.zeros_(up.weight)
        >>> looks_trained([torch.optim.SGD([down.weight, up.weight])])
        True
    """
    held = [
        p.detach()
        for optimizer in optimizers
        for group in optimizer.param_groups
        for p in group["params"]
        if p.is_floating_point() and not p.is_meta and not hasattr(p, "to_local")
    ]
    return _scales_moved(held) or _mostly_adapters([p for p in held if p.ndim == 2])


def _scales_moved(parameters: Sequence[torch.Tensor]) -> bool:
    scales = moved = 0
    for p in parameters:
        if p.ndim == 1 and p.numel() > 1:
            low, high = (float(x) for x in torch.aminmax(p))
            if high > 0.25 and low < 4.0 and 0.25 < float(p.float().mean()) < 4.0:
                scales, moved = scales + 1, moved + (high > low)
    return 2 * moved > scales


def _mostly_adapters(matrices: Sequence[torch.Tensor]) -> bool:
    """Return whether most of the matrices are pairs of low rank whose product is zero."""
    downs = Counter(m for m, n in (p.shape for p in matrices) if m < n)
    ups = [p for p in matrices if p.shape[1] < p.shape[0] and p.shape[1] in downs]
    # A row first: of a fresh model no more than that is read.
    zero = Counter(p.shape[1] for p in ups if not p[0].any() and not p.any())
    return 4 * sum((zero & downs).values()) > len(matrices)


def kappa_of(optimizers: Sequence[Optimizer]) -> float:
    """Return kappa of the parameters that these optimizers hold.

    As in the paper, every 2-D parameter counts with the norm of the optimizer, also those that a
    hybrid hands to AdamW (embedding and head beside Muon).

    Raises:
        ValueError: no norm-constrained optimizer among them, or several norms at once.

    Example:
        >>> weight = torch.nn.Parameter(torch.zeros(3, 5))
        >>> kappa_of([torch.optim.Muon([weight], lr=1e-3)])
        3.0
    """
    groups = [(optimizer, group) for optimizer in optimizers for group in optimizer.param_groups]
    found = dict(norm for pair in groups if (norm := constraint_of(*pair)) is not None)
    if len(found) != 1:
        got = " and ".join(sorted(found)) or ", ".join(type(o).__name__ for o in optimizers)
        raise ValueError(
            "the rules 'accurate' and 'published' derive kappa from one norm: expected "
            f"torch.optim.Muon, a Lion or sign optimizer, or autowarmup's own, got {got}; "
            "give rule=GapLaw(end=..., kappa=...), or rule='flat', which needs none"
        )
    matrices = [p for _, group in groups for p in group["params"] if p.ndim == 2]
    if not matrices:
        raise ValueError("kappa counts 2-D parameters: expected at least one, got none")
    (kappa,) = found.values()
    return math.fsum(kappa(tuple(p.shape)) for p in matrices)


def slowest_beta(optimizers: Sequence[Optimizer]) -> float:
    """Return the slowest average of any group: b2 of Adam and Lion, else the momentum, else 0.

    Example:
        >>> weight = torch.nn.Parameter(torch.zeros(3))
        >>> slowest_beta([torch.optim.AdamW([weight]), torch.optim.SGD([weight], momentum=0.9)])
        0.999
    """
    return max((_beta(group) for o in optimizers for group in o.param_groups), default=0.0)


def _beta(group: dict[str, Any]) -> float:
    # Our own groups hold betas also where neither AdamW nor Lion's momentum uses them.
    uses_betas = group.get("norm", "adamw") == "adamw" or group.get("momentum_style") == "lion"
    betas = group.get("betas") if uses_betas else None
    values = betas[::-1] if isinstance(betas, tuple | list) else [group.get("momentum")]
    numbers = [float(value or 0.0) for value in values]
    return next((beta for beta in numbers if 0.0 <= beta < 1.0), 0.0)  # PNM's last one is 1
