"""Norms by name, and the norm that constrains an optimizer."""

from __future__ import annotations

from typing import Any

from torch.optim import Optimizer

from autowarmup.norms.elementwise import Frobenius, LInf
from autowarmup.norms.norm import Norm
from autowarmup.norms.spectral import Spectral
from autowarmup.optimizer_class import constraint_of

NORMS: dict[str, type[Norm]] = {norm.name: norm for norm in (Spectral, LInf, Frobenius)}
"""The norms that parameter groups know by name."""


def norm_of(optimizer: Optimizer, group: dict[str, Any]) -> Norm | None:
    """Return the norm that constrains a parameter group; `None` for AdamW and its like.

    Example:
        >>> import torch
        >>> optimizer = torch.optim.Muon([torch.nn.Parameter(torch.zeros(3, 5))])
        >>> norm_of(optimizer, optimizer.param_groups[0]).name
        'spectral'
    """
    ask = getattr(optimizer, "norm_of", None)
    if ask is not None:
        return ask(group)
    known = constraint_of(optimizer, group)
    return None if known is None else NORMS[known[0]]()
