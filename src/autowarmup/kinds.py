"""Which norm an optimizer is constrained by, read from the optimizer itself.

Only the rules "accurate" and "published" need this: they weigh the objective by kappa, the sum over
all 2-D parameters of sup ||v||_* / ||v|| (arXiv 2602.05813, practical scheduler).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch.optim import Optimizer

from autowarmup.core.peak import kappa

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
    kinds = {kind for optimizer in optimizers for kind in _kinds(optimizer)}
    if len(kinds) != 1:
        got = " and ".join(sorted(kinds)) or ", ".join(type(o).__name__ for o in optimizers)
        raise ValueError(
            "peak='accurate' and peak='published' derive kappa from one norm: expected "
            f"torch.optim.Muon, a Lion or sign optimizer, or autowarmup's own, got {got}; "
            "pass kappa=..., or peak='flat', which needs none"
        )
    shapes = [tuple(p.shape) for p in _parameters(optimizers) if p.ndim == 2]
    if not shapes:
        raise ValueError("kappa counts 2-D parameters: expected at least one, got none")
    return kappa(kinds.pop(), shapes)


def sign_based(optimizer: Optimizer) -> bool:
    """Whether an optimizer of another library moves by signs, judged by the name of its class."""
    return any(sign in type(optimizer).__name__.lower() for sign in _SIGN_NAMES)


def _kinds(optimizer: Optimizer) -> set[str]:
    named = {group["norm"] for group in optimizer.param_groups if "norm" in group}
    if named:
        return {str(name) for name in named if name in _LMO_KINDS}
    if isinstance(optimizer, torch.optim.Muon):
        return {"spectral"}
    return {"linf"} if sign_based(optimizer) else set()


def _parameters(optimizers: Iterable[Optimizer]) -> Iterable[torch.Tensor]:
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            yield from group["params"]
