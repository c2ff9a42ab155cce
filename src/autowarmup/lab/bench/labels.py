"""What set-ups and rules are called on the page, in figures and on the terminal."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from autowarmup.lab.bench.plan import MULTIPLES
from autowarmup.lab.bench.rates import BEST
from autowarmup.lab.bench.setups import Setup
from autowarmup.lab.report.words import optimizer_name

COLUMNS = ("core 2500", "600 steps", "larger model", "larger batch")
"""The parts of the core set that differ in more than the optimizer and its rate."""

TUNED_ONCE = "hand-tuned on one seed"
"""Name of the length that hand tuning chooses on one seed, judged on the others."""

KINDS = {"fixed": "hand-tuned", "published": "published", "candidate": "this project"}
"""Kinds of rules in words."""


def multiple_of(setup: Mapping[str, Any]) -> float | None:
    """Return the peak rate as a multiple of the optimizer's best, if it is one of the plan's.

    Example:
        >>> multiple_of({"optimizer": "lion", "lr": 4e-3})
        4.0
        >>> multiple_of({"optimizer": "lion", "lr": 7e-3}) is None
        True
    """
    ratio = setup["lr"] / BEST.get(setup["optimizer"], math.nan)
    return next((m for m in MULTIPLES if math.isclose(ratio, m, rel_tol=1e-6)), None)


def columns_of(setup: Mapping[str, Any]) -> list[str]:
    """Return every group that a set-up belongs to: part of the core set, optimizer, multiple.

    Example:
        >>> columns_of(Setup("muon", 4.8e-2, steps=600).to_dict())
        ['600 steps', 'Muon', '4 x best rate']
    """
    held, plain = Setup(**setup), Setup(setup["optimizer"], setup["lr"])
    # Harder data is no part of the core set: it is told apart as a robustness test.
    core = replace(plain, model=held.model, batch=held.batch, steps=held.steps) == held
    belongs = {
        "core 2500": held == plain,
        "600 steps": core and held.steps == 600,
        "larger model": core and held.model == "mini",
        "larger batch": core and held.batch > plain.batch,
    }
    groups = [name for name in COLUMNS if belongs[name]]
    groups.append(optimizer_name(setup["optimizer"]))
    multiple = multiple_of(setup)
    return groups if multiple is None else [*groups, multiple_name(multiple)]


def multiple_name(multiple: float) -> str:
    """Return how a multiple of the best rate is called.

    Example:
        >>> multiple_name(0.5)
        '0.5 x best rate'
    """
    return f"{multiple:g} x best rate"


def variant_name(setup: Mapping[str, Any]) -> str:
    """Return what differs from the plain set-up of 2,500 updates, empty if nothing does.

    Example:
        >>> variant_name(Setup("muon", 0.1, model="mini", steps=1500).to_dict())
        'larger model, 1500 steps'
    """
    plain = Setup(setup["optimizer"], setup["lr"])
    parts = []
    if setup["model"] != plain.model:
        parts.append("larger model" if setup["model"] == "mini" else setup["model"])
    if setup["batch"] != plain.batch:
        parts.append(f"batch {setup['batch']}")
    if setup["steps"] != plain.steps:
        parts.append(f"{setup['steps']} steps")
    if setup["data"] != plain.data:
        parts.append(setup["data"].strip("/").split("/")[-1])
    if setup.get("trained"):
        parts.append(f"trained for {setup['trained']} steps")
    if setup["noise"]:
        parts.append(f"{100 * setup['noise']:g} % wrong targets")
    if setup["scale"] != 1.0:
        parts.append(f"loss x {setup['scale']:g}")
    return ", ".join(parts)


def rate_name(setup: Mapping[str, Any]) -> str:
    """Return the peak rate, as a multiple of the best where it is one."""
    multiple = multiple_of(setup)
    return f"lr {setup['lr']:g}" if multiple is None else multiple_name(multiple)


def setup_name(setup: Mapping[str, Any]) -> str:
    """Return the name of a set-up, different for different ones.

    Example:
        >>> setup_name(Setup("lion", 4e-3, steps=600).to_dict())
        'Lion, 4 x best rate, 600 steps'
    """
    parts = [optimizer_name(setup["optimizer"]), rate_name(setup), variant_name(setup)]
    return ", ".join(part for part in parts if part)


def rule_name(rule: str) -> str:
    """Return the name of a rule in text.

    Example:
        >>> [rule_name(name) for name in ("none", "linear 5%", "flat")]
        ['no warm-up', 'linear 5 %', 'flat']
    """
    return "no warm-up" if rule == "none" else rule.replace("%", " %")
