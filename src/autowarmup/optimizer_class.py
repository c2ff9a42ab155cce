"""Which norm an optimizer is constrained by, read from the optimizer itself.

Only the rules "accurate" and "published" need this: they weigh the objective by kappa, the sum over
all 2-D parameters of sup ||v||_* / ||v|| (arXiv 2602.05813, practical scheduler).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch.optim import Optimizer

from autowarmup.rules.gap_law.peak import kappa

_SIGN_NAMES = ("lion", "signum", "signsgd")
_LMO_KINDS = ("spectral", "linf", "frobenius")


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
    kinds = {kind_of(*pair) for pair in groups} - {""}
    if len(kinds) != 1:
        got = " and ".join(sorted(kinds)) or ", ".join(type(o).__name__ for o in optimizers)
        raise ValueError(
            "the rules 'accurate' and 'published' derive kappa from one norm: expected "
            f"torch.optim.Muon, a Lion or sign optimizer, or autowarmup's own, got {got}; "
            "give rule=GapLaw(end=..., kappa=...), or rule='flat', which needs none"
        )
    shapes = [tuple(p.shape) for p in _parameters(optimizers) if p.ndim == 2]
    if not shapes:
        raise ValueError("kappa counts 2-D parameters: expected at least one, got none")
    return kappa(kinds.pop(), shapes)


def kind_of(optimizer: Optimizer, group: dict[str, Any]) -> str:
    """Return the norm that constrains a parameter group, or nothing (AdamW and its like).

    Optimizers of other libraries that move by signs are known by the name of their class.
    """
    if "norm" in group:
        return str(group["norm"]) if group["norm"] in _LMO_KINDS else ""
    if isinstance(optimizer, torch.optim.Muon):
        return "spectral"
    name = type(optimizer).__name__.lower()
    return "linf" if any(sign in name for sign in _SIGN_NAMES) else ""


def beta_of(optimizers: Sequence[Optimizer]) -> float:
    """Return the slowest memory among the groups: b2 of Adam and Lion, else the momentum, else 0.

    Example:
        >>> weight = torch.nn.Parameter(torch.zeros(3))
        >>> beta_of([torch.optim.AdamW([weight]), torch.optim.SGD([weight], momentum=0.9)])
        0.999
    """
    slowest = 0.0
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            uses_betas = group.get("norm", "adamw") == "adamw" or (
                group.get("momentum_style") == "lion"
            )
            betas = group.get("betas") if uses_betas else None
            value = betas[-1] if isinstance(betas, tuple | list) else group.get("momentum", 0.0)
            slowest = max(slowest, float(value or 0.0))
    return slowest


def _parameters(optimizers: Iterable[Optimizer]) -> Iterable[torch.Tensor]:
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            yield from group["params"]
