"""What "always so many updates" would have cost, and the best length in updates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from autowarmup.lab.bench.aggregate import above_default, aggregate
from autowarmup.lab.bench.parts import horizons
from autowarmup.lab.bench.rules import length_of
from autowarmup.lab.bench.sets import HAND_TUNED_NAMES

UPDATES = (60, 120, 250, 500, 1000)
"""Lengths in updates that are the same in every set-up."""
NEAR = 1.25
"""Factor within which a length in shares stands for one in updates."""

Json = dict[str, Any]


def in_updates(setups: Sequence[Json], default: str) -> Json:
    """Return what "always so many updates" would have cost, as a table of rules.

    The run is that of the share whose length is nearest, within a fourth, and never above 40 % of
    the run: where 500 updates are more, 40 % take their place.
    """
    wider = [_with_lengths(setup) for setup in setups]
    names = [f"linear {updates} steps" for updates in UPDATES]
    held = [name for name in names if any(name in setup["regrets"] for setup in wider)]
    return {
        name: {
            "kind": "fixed",
            **aggregate(wider, name),
            **above_default(wider, name, default),
        }
        for name in held
    }


def _with_lengths(setup: Json) -> Json:
    """Return a set-up with the lengths in updates as rules of their own."""
    setup = {field: dict(x) if isinstance(x, dict) else x for field, x in setup.items()}
    steps = setup["setup"]["steps"]
    lengths = {
        rule: length_of(rule, steps) or 1
        for rule in setup["regrets"]
        if rule in HAND_TUNED_NAMES and rule != "none"
    }
    for updates in UPDATES if len(lengths) == len(HAND_TUNED_NAMES) - 1 else ():
        wanted = min(updates, max(lengths.values()))
        nearest = min(lengths, key=lambda rule: abs(math.log(lengths[rule] / wanted)))
        if max(lengths[nearest] / wanted, wanted / lengths[nearest]) > NEAR:
            continue
        name = f"linear {updates} steps"
        for field in ("regrets", "outcomes", "vals", "regrets_by_seed", "diverged", "starts",
                      "ends", "overheads"):  # fmt: skip
            if nearest in setup[field]:
                setup[field][name] = setup[field][nearest]
    return setup


def best_lengths(setups: Sequence[Json]) -> Json:
    """Return the best length in updates by optimizer and horizon, at the best rate."""
    found: Json = {}
    for name, part in horizons(setups).items():
        for setup in part:
            best, steps = setup["best_hand_tuned"], setup["setup"]["steps"]
            length = None if best is None else 0 if best == "none" else length_of(best, steps)
            found.setdefault(setup["setup"]["optimizer"], {})[name] = length
    return found
