"""Checks of the settings of a parameter group, each failure one sentence."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any

from torch import Tensor

from autowarmup.norms.norm import Norm
from autowarmup.norms.rows import is_expanded
from autowarmup.norms.spectral import METHODS

MOMENTUM_STYLES = ("none", "heavy_ball", "ema", "nesterov", "lion")
SCALES = ("none", "match_rms_adamw", "original")


def check_settings(group: Mapping[str, Any], norms: Collection[str]) -> None:
    """Check every setting of a parameter group.

    Args:
        group: the settings, defaults included.
        norms: what `norm` may be called.

    Raises:
        ValueError: a setting out of range; the message says what was expected and what came.

    Example:
        >>> check_settings({"lr": -1.0}, [])
        Traceback (most recent call last):
        ValueError: lr: expected a finite number >= 0, got -1.0
    """
    lr, betas, steps = group["lr"], group.get("betas"), group.get("ns_steps")
    if isinstance(lr, Tensor) and lr.numel() != 1:
        raise ValueError(f"lr: expected a 1-element tensor, got shape {tuple(lr.shape)}")
    for name in ("lr", "weight_decay", "eps", "momentum"):
        _check_number(name, group[name], below=1.0 if name == "momentum" else math.inf)
    if not (isinstance(betas, tuple | list) and len(betas) == 2):
        raise ValueError(f"betas: expected two numbers, got {betas!r}")
    for beta in betas:
        _check_number("betas", beta, below=1.0)
    choices = {"norm": norms, "momentum_style": MOMENTUM_STYLES, "scale": SCALES, "method": METHODS}
    for key, allowed in choices.items():
        if group[key] not in allowed:
            raise ValueError(f"{key}: expected one of {', '.join(allowed)}, got {group[key]!r}")
    if isinstance(steps, bool) or not isinstance(steps, int) or not 1 <= steps < 100:
        raise ValueError(f"ns_steps: expected a whole number from 1 to 99, got {steps!r}")
    for name in ("masters", "flatten"):
        if not isinstance(group[name], bool):
            raise ValueError(f"{name}: expected True or False, got {group[name]!r}")
    if group["scale"] != "none" and group["norm"] not in ("spectral", "adamw"):
        got = f"norm {group['norm']!r}, got {group['scale']!r}"
        raise ValueError(f"scale: expected 'none' with {got}")


def check_parameters(group: Mapping[str, Any], norm: Norm | None) -> None:
    """Check that a norm can be applied to each parameter of a group.

    Raises:
        ValueError: a complex parameter, one whose entries share memory, or one that is not 2-D
            where the norm is one of matrices.
    """
    names = group.get("param_names") or [f"number {k}" for k in range(len(group["params"]))]
    for name, p in zip(names, group["params"], strict=True):
        if p.is_complex():
            raise ValueError(f"expected real parameters, got {name} of dtype {p.dtype}")
        if is_expanded(p):
            raise ValueError(f"expected entries with memory of their own, got {name} expanded")
        if norm is not None and not norm.accepts(p.shape):
            got = f"{name} of shape {tuple(p.shape)}"
            raise ValueError(f"the {norm.name} norm is one of matrices: expected 2-D, got {got}")


def _check_number(name: str, value: Any, below: float) -> None:
    limit = "a finite number >= 0" if below == math.inf else f"a number in [0, {below:g})"
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if isinstance(value, str) or not 0.0 <= number < below:
        raise ValueError(f"{name}: expected {limit}, got {value!r}")
