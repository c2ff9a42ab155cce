"""Optimizers by name: ours from `autowarmup.norms`, AdamW and SGD from torch."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from autowarmup import norms


def build_optimizer(
    name: str, model: nn.Module, *, lr: float, weight_decay: float
) -> torch.optim.Optimizer:
    """Return an optimizer over all parameters of a model.

    Matrices decay, vectors (the scales of the norm layers) do not; Muon applies a rule of its own
    (hidden matrices to the spectral norm, everything else to AdamW).

    Args:
        name: one of `autowarmup.lab.train.config.OPTIMIZERS`.
        model: the model whose parameters are trained.
        lr: peak learning rate.
        weight_decay: decoupled weight decay of the matrices.

    Raises:
        ValueError: the name is not known.
    """
    if name == "muon":
        return norms.Muon(model, lr=lr, weight_decay=weight_decay)
    builders: dict[str, Any] = {
        "lion": norms.Lion,
        "signum": norms.Signum,
        "signsgd": norms.SignSGD,
        "normsgd": norms.NormalizedSGD,
        "adamw": _adamw,
        "sgd": _sgd,
    }
    if name not in builders:
        raise ValueError(f"optimizer: expected one of muon, {', '.join(builders)}, got {name!r}")
    parameters = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    return builders[name]([group for group in groups if group["params"]], lr=lr)


def _adamw(groups: list[dict[str, Any]], lr: float) -> torch.optim.Optimizer:
    return torch.optim.AdamW(groups, lr=lr, betas=(0.9, 0.95))


def _sgd(groups: list[dict[str, Any]], lr: float) -> torch.optim.Optimizer:
    # torch's SGD adds the decay to the gradient; with lr of order 0.1 to 1 that is the usual form.
    return torch.optim.SGD(groups, lr=lr, momentum=0.9)
