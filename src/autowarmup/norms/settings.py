"""Checks of the settings of a parameter group, each failure one sentence."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from autowarmup.norms.spectral import METHODS

NORMS = ("spectral", "linf", "frobenius", "adamw")
MOMENTUM_STYLES = ("none", "heavy_ball", "ema", "nesterov", "lion")
SCALES = ("none", "match_rms_adamw", "original")


def check_settings(group: Mapping[str, Any]) -> None:
    """Check every setting of a parameter group.

    Raises:
        ValueError: a setting out of range; the message says what was expected and what came.

    Example:
        >>> check_settings({"lr": -1.0})
        Traceback (most recent call last):
        ValueError: lr: expected a finite number >= 0, got -1.0
    """
    lr = group["lr"]
    if isinstance(lr, Tensor) and lr.numel() != 1:
        raise ValueError(f"lr: expected a 1-element tensor, got shape {tuple(lr.shape)}")
    _check_number("lr", lr)
    _check_number("weight_decay", group["weight_decay"])
    _check_number("eps", group["eps"])
    _check_number("momentum", group["momentum"], below=1.0)
    betas = group["betas"]
    if not (isinstance(betas, tuple | list) and len(betas) == 2):
        raise ValueError(f"betas: expected two numbers, got {betas!r}")
    for beta in betas:
        _check_number("betas", beta, below=1.0)
    for key, allowed in (
        ("norm", NORMS),
        ("momentum_style", MOMENTUM_STYLES),
        ("scale", SCALES),
        ("method", METHODS),
    ):
        if group[key] not in allowed:
            raise ValueError(f"{key}: expected one of {', '.join(allowed)}, got {group[key]!r}")
    steps = group["ns_steps"]
    if isinstance(steps, bool) or not isinstance(steps, int) or not 1 <= steps < 100:
        raise ValueError(f"ns_steps: expected a whole number from 1 to 99, got {steps!r}")
    if group["scale"] != "none" and group["norm"] not in ("spectral", "adamw"):
        raise ValueError(
            f"scale: expected 'none' with norm {group['norm']!r}, got {group['scale']!r}"
        )


def check_parameters(group: Mapping[str, Any]) -> None:
    """Check that the group's norm can be applied to each of its parameters.

    Raises:
        ValueError: a complex parameter, or one in a spectral group that is not 2-D.
    """
    names = group.get("param_names") or [f"number {k}" for k in range(len(group["params"]))]
    for name, p in zip(names, group["params"], strict=True):
        if p.is_complex():
            raise ValueError(f"expected real parameters, got {name} of dtype {p.dtype}")
        if group["norm"] == "spectral" and p.ndim != 2:
            raise ValueError(
                f"a spectral group holds matrices: expected 2-D, got {name} of shape "
                f"{tuple(p.shape)}"
            )


def _check_number(name: str, value: Any, below: float = math.inf) -> None:
    limit = "a finite number >= 0" if below == math.inf else f"a number in [0, {below:g})"
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if isinstance(value, str) or not 0.0 <= number < below:
        raise ValueError(f"{name}: expected {limit}, got {value!r}")
