"""What things are called on the page and on the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autowarmup.rules.registry import RULES, rule_by_name

_OPTIMIZERS = {
    "muon": "Muon",
    "lion": "Lion",
    "signum": "Signum",
    "signsgd": "SignSGD",
    "normsgd": "Normalized SGD",
    "adamw": "AdamW",
    "sgd": "SGD",
}


def optimizer_name(optimizer: str) -> str:
    """Return the optimizer's name in text.

    Example:
        >>> optimizer_name("normsgd")
        'Normalized SGD'
    """
    return _OPTIMIZERS.get(optimizer, optimizer)


def warmup_name(warmup: str) -> str:
    """Return the name of a hand-tuned warm-up length.

    Example:
        >>> [warmup_name(text) for text in ("1", "50", "5%")]
        ['no warm-up', '50 steps', '5 %']
    """
    if warmup == "1":
        return "no warm-up"
    return warmup.replace("%", " %") if warmup.endswith("%") else f"{warmup} steps"


def rule_of(config: Mapping[str, Any]) -> str:
    """Return the key of the rule that shaped a run's warm-up, the same in every set-up.

    Example:
        >>> rule_of({"warmup": "5%"})
        'linear 5%'
        >>> rule_of({"warmup": "adaptive", "peak": "flat", "calibrate": False, "div": 5.0})
        'adaptive flat, fixed start'
        >>> rule_of({"warmup": "adaptive", "peak": "watched"})
        'adaptive watched'
    """
    if config["warmup"] != "adaptive":
        return f"linear {config['warmup']}"
    peak = config.get("peak", "flat")
    if str(peak) in RULES and rule_by_name(str(peak)).c is None:  # it has no start to measure
        return f"adaptive {peak}"
    start = "measured start" if config.get("calibrate") else "fixed start"
    return f"adaptive {peak}, {start}"


def run_warmup_name(config: Mapping[str, Any]) -> str:
    """Return the warm-up of one run in words."""
    if config["warmup"] == "adaptive":
        return rule_of(config)
    name = warmup_name(config["warmup"])
    return name if config["warmup"] == "1" else f"warm-up {name}"


def mean_end(rule: Mapping[str, Any]) -> float | None:
    """Return the step at which a rule ended warm-up: the mean over the runs that did.

    Example:
        >>> mean_end({"warmup_end_steps": [20, None, 40]})
        30.0
    """
    ends = [end for end in rule["warmup_end_steps"] if end is not None]
    return sum(ends) / len(ends) if ends else None


def no_number(rule: Mapping[str, Any]) -> str:
    """Say why a rule has no validation loss."""
    return next((word for word in ("diverged", "failed") if rule[word]), "not yet run")
