"""The parts of the benchmark that are judged by themselves, and the order of its set-ups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from autowarmup.lab.bench.names import COLUMNS, columns_of, multiple_name, multiple_of
from autowarmup.lab.bench.rules import tokens_of
from autowarmup.lab.bench.sets import FAR, HORIZONS, MULTIPLES, chosen_on
from autowarmup.lab.bench.setups import BEST, Setup
from autowarmup.lab.report.words import optimizer_name

Json = dict[str, Any]
Parts = dict[str, list[Json]]


def place(summary: Json) -> tuple[Any, ...]:
    """Order set-ups by optimizer, then by what differs from the plain one, then by rate."""
    setup, optimizers = summary["setup"], list(BEST)
    name = setup["optimizer"]
    at = optimizers.index(name) if name in optimizers else len(optimizers)
    part = next((k for k, c in enumerate(COLUMNS) if c in columns_of(setup)), len(COLUMNS))
    rest = (setup[field] for field in ("model", "batch", "steps", "data", "noise", "scale", "lr"))
    return at, name, part, *rest


def horizons(setups: Sequence[Json]) -> Parts:
    """Return the small set-ups at the best rate that differ in the number of updates alone."""
    plain = [s for s in setups if multiple_of(s["setup"]) == 1.0]
    names = [f"{steps:,} updates" for steps in HORIZONS]
    groups = {name: [s for s in plain if name in columns_of(s["setup"])] for name in names}
    return _kept(groups)


def batches(setups: Sequence[Json]) -> Parts:
    """Return the small models by the tokens of an update, at rates up to twice the best."""
    groups: Parts = {}
    for setup in setups:
        held = Setup(**setup["setup"])
        tokens = tokens_of(held)
        if tokens and held.model == Setup.model and multiple_of(setup["setup"]) != FAR:
            groups.setdefault(f"{tokens:,.0f} tokens", []).append(setup)
    return {name: groups[name] for name in sorted(groups, key=lambda name: (len(name), name))}


def rates(setups: Sequence[Json]) -> Parts:
    """Return the set-ups by their multiple of the best rate, the far too high one included."""
    groups = {
        multiple_name(m): [s for s in setups if multiple_of(s["setup"]) == m] for m in MULTIPLES
    }
    return _kept(groups)


def choices(setups: Sequence[Json]) -> Parts:
    """Return the set-ups on which constants of the default were chosen, and the others."""
    groups: Parts = {"chosen on": [], "looked at once": []}
    for setup in setups:
        seen = chosen_on(Setup(**setup["setup"]))
        groups["chosen on" if seen else "looked at once"].append(setup)
    return _kept(groups)


def columns(setups: Sequence[Json]) -> Parts:
    """Return the set-ups of every group that has some: parts, optimizers, multiples of the rate."""
    optimizers = dict.fromkeys(optimizer_name(setup["setup"]["optimizer"]) for setup in setups)
    names = (*COLUMNS, *optimizers, *map(multiple_name, MULTIPLES))
    groups = {name: [s for s in setups if name in columns_of(s["setup"])] for name in names}
    return _kept(groups)


def _kept(groups: Parts) -> Parts:
    """Leave out what has no set-up."""
    return {name: part for name, part in groups.items() if part}
