"""What set-ups and rules are called on the page, in figures and on the terminal."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from autowarmup.lab.bench.sets import HORIZONS, MULTIPLES
from autowarmup.lab.bench.setups import BEST, LARGE_BATCH, OWN, SIZES, Setup, best_rate
from autowarmup.lab.report.words import optimizer_name

COLUMNS = (
    "600 updates",
    "2,500 updates",
    "10,000 updates",
    "40,000 updates",
    "batch of 4,096 tokens",
    "batch of 1,024 tokens",
    "larger model",
    "fine-tuning",
    "LSTM",
    "ResNet on pictures",
    "vision transformer",
)
"""The parts of the benchmark that differ in more than the optimizer and its rate."""

TUNED_ONCE = "hand-tuned on one seed"
"""Name of the length that hand tuning chooses on one seed, judged on the others."""

KINDS = {"fixed": "hand-tuned", "literature": "from papers", "own": "ours"}
"""Kinds of rules in words."""


def multiple_of(setup: Mapping[str, Any]) -> float | None:
    """Return the peak rate as a multiple of the best for it, if it is one of the plan's.

    Example:
        >>> multiple_of(Setup("lion", 4e-3).to_dict())
        4.0
        >>> multiple_of(Setup("lion", 7e-3).to_dict()) is None
        True
    """
    held = Setup(**setup)
    if not held.stacked or held.optimizer not in BEST or held.init != 1.0:
        return None
    ratio = held.lr / best_rate(held)
    return next((m for m in MULTIPLES if math.isclose(ratio, m, rel_tol=1e-6)), None)


def multiple_name(multiple: float) -> str:
    """Return how a multiple of the best rate is called."""
    return f"{multiple:g} x best rate"


def columns_of(setup: Mapping[str, Any]) -> list[str]:
    """Return every group that a set-up belongs to: part of the core set, optimizer, multiple.

    Example:
        >>> columns_of(Setup("muon", 4.8e-2, steps=600).to_dict())
        ['600 updates', 'Muon', '4 x best rate']
    """
    held, plain = Setup(**setup), Setup(setup["optimizer"], setup["lr"])
    # Harder data is no part of the core set: it is told apart as a robustness test.
    core = replace(plain, model=held.model, batch=held.batch, steps=held.steps) == held
    core = core and held.model in SIZES
    small = core and held.batch == plain.batch and held.model == plain.model
    belongs = {f"{steps:,} updates": small and held.steps == steps for steps in HORIZONS}
    belongs |= {
        "batch of 4,096 tokens": core and held.batch == LARGE_BATCH,
        "batch of 1,024 tokens": core and held.batch == LARGE_BATCH // 4,
        "larger model": core and held.model == "mini",
        "fine-tuning": bool(held.trained),
        "LSTM": held.model == "lstm" and held.init == 1.0,
        "ResNet on pictures": held.model == "glyph-resnet",
        "vision transformer": held.model == "glyph-vit",
    }
    groups = [name for name in COLUMNS if belongs[name]]
    groups.append(optimizer_name(setup["optimizer"]))
    multiple = multiple_of(setup)
    return groups if multiple is None else [*groups, multiple_name(multiple)]


_PLAIN = {
    "mini": "larger model",
    "lstm": "LSTM",
    "glyph-resnet": "ResNet",
    "glyph-vit": "vision transformer",
    "RelNotes": "English prose",
}
"""Networks and data whose names in a record nobody else would know."""


def variant_parts(setup: Mapping[str, Any]) -> list[str]:
    """Return what differs from the plain set-up of 2,500 updates."""
    plain = Setup(setup["optimizer"], setup["lr"])
    parts = []
    if setup["model"] != plain.model:
        parts.append(_PLAIN.get(setup["model"], setup["model"]))
    if setup["batch"] != plain.batch:
        parts.append(f"batch {setup['batch']}")
    if setup["steps"] != plain.steps:
        parts.append(f"{setup['steps']:,} updates")
    if setup["data"] != plain.data:
        data = setup["data"].strip("/").split("/")[-1]
        parts.append(_PLAIN.get(data, data))
    if setup.get("trained"):
        parts.append("fine-tuning")
    if setup["noise"]:
        parts.append(f"{100 * setup['noise']:g} % wrong targets")
    if setup["scale"] != 1.0:
        parts.append(f"loss x {setup['scale']:g}")
    return parts


def rate_name(setup: Mapping[str, Any]) -> str:
    """Return the peak rate, as a multiple of the best where it is one."""
    multiple = multiple_of(setup)
    return f"lr {setup['lr']:g}" if multiple is None else multiple_name(multiple)


def setup_name(setup: Mapping[str, Any], shared: Sequence[str] = ()) -> str:
    """Return the name of a set-up, without what it shares with all others.

    Example:
        >>> setup_name(Setup("lion", 4e-3, steps=600).to_dict())
        'Lion, 4 x best rate, 600 updates'
    """
    if setup["model"] == OWN:
        return setup["optimizer"]
    parts = [part for part in variant_parts(setup) if part not in shared]
    return ", ".join([optimizer_name(setup["optimizer"]), rate_name(setup), *parts])


def shared_parts(setups: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return what all set-ups have in common, if there are several."""
    first, *others = map(variant_parts, setups)
    return [part for part in first if others and all(part in other for other in others)]
