"""Optimizers by name: ours from `autowarmup.norms`, AdamW and SGD from torch."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import nn

from autowarmup import norms

_BUILDERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "lion": norms.Lion,
    "signum": norms.Signum,
    "signsgd": norms.SignSGD,
    "normsgd": norms.NormalizedSGD,
    "adamw": partial(torch.optim.AdamW, betas=(0.9, 0.95)),
    # torch's SGD adds the decay to the gradient; with lr of order 0.1 to 1 that is the usual form.
    "sgd": partial(torch.optim.SGD, momentum=0.9),
}


def build_optimizer(
    name: str, model: nn.Module, *, lr: float, weight_decay: float
) -> torch.optim.Optimizer:
    """Return an optimizer over all parameters of a model, by a name of `config.OPTIMIZERS`.

    Matrices decay (`weight_decay`, decoupled), vectors (the scales of the norm layers) do not; Muon
    has groups of its own (hidden matrices in the spectral norm, everything else by AdamW).
    """
    if name == "muon":
        return norms.Muon(model, lr=lr, weight_decay=weight_decay)
    if name not in _BUILDERS:
        raise ValueError(f"optimizer: expected one of muon, {', '.join(_BUILDERS)}, got {name!r}")
    trained = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
    ]
    return _BUILDERS[name]([group for group in groups if group["params"]], lr=lr)
