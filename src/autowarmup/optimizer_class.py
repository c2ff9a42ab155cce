"""What a scheduler has to know of an optimizer: the norm that constrains it, its slowest average.

Rules with `needs_kappa` weigh by kappa, the sum over 2-D parameters of sup dual(v) / norm(v)
(arXiv 2602.05813, practical scheduler). An optimizer that is constrained by a norm answers
`norm_of(group)`; those of torch and of other libraries are known by their class.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.optim import Optimizer

Kappa = Callable[[Sequence[int]], float]
_SIGN_NAMES = ("lion", "signum", "signsgd")


def constraint_of(optimizer: Any, group: dict[str, Any]) -> tuple[str, Kappa] | None:
    """Return the norm that constrains a parameter group: its name, and its kappa of a shape (m, n).

    `None` for AdamW and its like; sign optimizers of other libraries are known by their class name.
    """
    if hasattr(optimizer, "norm_of"):
        norm = optimizer.norm_of(group)
        return None if norm is None else (norm.name, norm.kappa)
    if isinstance(optimizer, torch.optim.Muon):
        return "spectral", min
    name = type(optimizer).__name__.lower()
    return ("linf", math.prod) if any(sign in name for sign in _SIGN_NAMES) else None


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
    value = betas[-1] if isinstance(betas, tuple | list) else group.get("momentum", 0.0)
    return float(value or 0.0)
