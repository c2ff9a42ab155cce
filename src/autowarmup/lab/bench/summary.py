"""Records -> summary: the regret of every rule over set-ups, as plain JSON values.

Numbers of one set-up are defined in `bench.regret`; here they are put together over any part of the
set-ups, by one function.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from autowarmup.lab.bench.names import (
    COLUMNS,
    columns_of,
    multiple_name,
    multiple_of,
    setup_name,
    shared_parts,
)
from autowarmup.lab.bench.records import Record
from autowarmup.lab.bench.regret import setup_summary
from autowarmup.lab.bench.rules import described, length_of, tokens_of
from autowarmup.lab.bench.sets import FAR, HAND_TUNED_NAMES, HORIZONS, MULTIPLES, chosen_on
from autowarmup.lab.bench.setups import BEST, Setup, key
from autowarmup.lab.report.words import optimizer_name
from autowarmup.rules.registry import DEFAULT_RULE

SUMMARY_FORMAT = "autowarmup-bench-2"
UPDATES = (60, 120, 250, 500, 1000)
"""Lengths in updates that are the same in every set-up."""
NEAR = 1.25
"""Factor within which a length in shares stands for one in updates."""

Json = dict[str, Any]


def summarise(records: Iterable[Record], *, default_rule: str = DEFAULT_RULE) -> Json:
    """Return the summary of a benchmark's records.

    Args:
        records: those with options of the rule are left out, because a rule is judged with nothing
            tuned, and so are set-ups in which only one rule was run, if there are others.
        default_rule: the rule that is judged.

    Raises:
        ValueError: there is no record, or two records are of the same run.
    """
    groups: dict[str, list[Record]] = {}
    for record in records:
        if not record["options"]:
            groups.setdefault(key(record["setup"]), []).append(record)
    if not groups:
        raise ValueError("summarise: expected at least one record without options, got none")
    # A set-up with one rule, as in the sweep of rates, compares nothing: the rule would be its own
    # best and its mean regret would look better than it is.
    several = [group for group in groups.values() if len({r["rule"] for r in group}) > 1]
    chosen = several or list(groups.values())
    kept = [record for group in chosen for record in group]
    kinds = {rule: described(rule).kind for rule in {record["rule"] for record in kept}}
    shared = shared_parts([group[0]["setup"] for group in chosen])
    setups = [
        {"label": setup_name(group[0]["setup"], shared), **setup_summary(group, kinds)}
        for group in chosen
    ]
    setups.sort(key=_place)
    _note_missing(setups, kinds)
    judged = [s for s in setups if multiple_of(s["setup"]) != FAR] or setups
    statuses = Counter(record["status"] for record in kept)
    return {
        "format": SUMMARY_FORMAT,
        "default_rule": default_rule,
        "runs": {
            "stored": len(kept),
            "finished": statuses["finished"],
            "diverged": statuses["diverged"],
        },
        "judged": len(judged),
        **rule_table(judged, kinds, default_rule),
        "setups": setups,
        **{
            title: {
                name: {
                    "n_setups": len(part),
                    **rule_table(part, kinds, default_rule),
                    "in_updates": in_updates(part, default_rule),
                }
                for name, part in parts.items()
            }
            for title, parts in (
                ("by_column", _columns(judged)),
                ("by_horizon", _horizons(setups)),
                ("by_batch", _batches(setups)),
                ("by_rate", _rates(setups)),
                ("by_choice", _choices(judged)),
            )
        },
        "in_updates": in_updates(judged, default_rule),
        "best_lengths": best_lengths(setups),
    }


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
    for name, part in _horizons(setups).items():
        for setup in part:
            best, steps = setup["best_hand_tuned"], setup["setup"]["steps"]
            length = None if best is None else 0 if best == "none" else length_of(best, steps)
            found.setdefault(setup["setup"]["optimizer"], {})[name] = length
    return found


def rule_table(setups: Sequence[Json], kinds: Mapping[str, str], default: str) -> Json:
    """Return `aggregate` of every rule over a part of the set-ups, the lowest mean regret first.

    Each with what it has above the default, paired by set-up. Beside "rules" stands the same for
    the length that is chosen on one seed.
    """
    names = dict.fromkeys(rule for setup in setups for rule in setup["regrets"])
    lines = {
        rule: {
            "kind": kinds[rule],
            **aggregate(setups, rule),
            **above_default(setups, rule, default),
        }
        for rule in names
    }

    def rank(rule: str) -> tuple[bool, float, float]:
        # Without a number last; among equals, the smaller worst case first.
        mean, worst = lines[rule]["mean_regret"], lines[rule]["worst_regret"]
        return mean is None, mean or 0.0, worst or 0.0

    return {
        "rules": {rule: lines[rule] for rule in sorted(lines, key=rank)},
        "hand_tuned_cross_validated": {
            "kind": "fixed",
            **aggregate(setups, None),
            **above_default(setups, None, default),
        },
    }


def above_default(setups: Sequence[Json], rule: str | None, default: str) -> Json:
    """Return the mean regret of a rule above that of the default, with its standard error.

    Paired: over the set-ups in which both have a number, which the error counts as independent.
    """
    pairs = [
        (cell["regret"], main["regret"])
        for setup in setups
        if (cell := _cell(setup, rule)) is not None
        and (main := _cell(setup, default)) is not None
        and cell["regret"] is not None
        and main["regret"] is not None
    ]
    gaps = [other - main for other, main in pairs]
    return {
        "above_default": _mean(gaps),
        "above_default_error": _error(gaps),
        "n_paired": len(gaps),
    }


def aggregate(setups: Sequence[Json], rule: str | None) -> Json:
    """Return what one rule did over a part of the set-ups of a summary.

    A set-up is won where the regret is below minus the standard error of a difference, tied within
    it. A divergence where a hand-tuned length survives is lost, and a survival where none does is
    won, although neither has a regret. Without a rule: the length that is chosen on one seed.

    "above_tuned" is what lies between the rule and that length, as a share of the best loss, which
    no luck of the best flatters; the worst set-up of it is told also beyond twice its standard
    error.
    """
    cells = [cell for setup in setups if (cell := _cell(setup, rule)) is not None]
    with_number = [cell for cell in cells if cell["regret"] is not None]
    worst = max(with_number, key=lambda cell: cell["regret"], default=None)
    outcomes = Counter(cell["outcome"] for cell in cells)
    above = [cell for cell in with_number if cell["above_tuned"] is not None]
    gaps = [cell["above_tuned"] for cell in above]
    furthest = max(above, key=_beyond_noise, default=None)
    judged = outcomes["won"] + outcomes["tied"] + outcomes["lost"]
    starts = [start for cell in cells for start in cell["starts"]]
    by_seed: dict[str, list[float]] = {}
    for cell in cells:
        for seed, value in cell["by_seed"].items():
            by_seed.setdefault(seed, []).extend([] if value is None else [value])
    return {
        "mean_regret": _mean([cell["regret"] for cell in with_number]),
        "worst_regret": worst["regret"] if worst else None,
        "worst_setup": worst["label"] if worst else None,
        "above_tuned": _mean(gaps),
        "above_tuned_error": _error(gaps),
        "worst_above_tuned": max(gaps, default=None),
        "worst_beyond_noise": _beyond_noise(furthest) if furthest else None,
        "worst_beyond_noise_setup": furthest["label"] if furthest else None,
        "n_above_tuned": len(gaps),
        "win_or_tie_share": (outcomes["won"] + outcomes["tied"]) / judged if judged else None,
        "wins": outcomes["won"],
        "ties": outcomes["tied"],
        "losses": outcomes["lost"],
        "diverged": sum(cell["diverged"] for cell in cells),
        "diverged_where_hand_tuned_survives": sum(
            bool(cell["diverged"]) and cell["survivable"] for cell in cells
        ),
        "overhead": _mean([share for cell in cells for share in cell["overheads"]]),
        "n_setups": len(with_number),
        "tried_setups": len(cells),
        "mean_regret_by_seed": {
            seed: _mean(by_seed[seed]) for seed in sorted(by_seed, key=int) if by_seed[seed]
        },
        "median_start": statistics.median(starts) if starts else None,
    }


def _mean(values: Sequence[float]) -> float | None:
    return statistics.fmean(values) if values else None


def _error(values: Sequence[float]) -> float | None:
    """Return the standard error of a mean over set-ups, which counts them as independent."""
    return statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else None


def _beyond_noise(cell: Json) -> float:
    """Return by how much more than two standard errors a rule lies above tuning on other seeds."""
    return cell["above_tuned"] - 2 * cell["noise"]


def _cell(setup: Json, rule: str | None) -> Json | None:
    """Return what one rule did in one set-up, `None` where it has no run."""
    tuned = setup["tuned_once"]
    cell = {
        "label": setup["label"],
        "survivable": setup["best_hand_tuned"] is not None,
        "noise": setup["seed_noise"],
        "above_tuned": None,
    }
    if rule is None:
        nothing = {"overheads": [], "starts": [], "by_seed": {}}
        return {**cell, **tuned, **nothing} if tuned["chosen"] else None
    if rule not in setup["regrets"]:
        return None
    regret = setup["regrets"][rule]
    if regret is not None and tuned["regret"] is not None and setup["seed_noise"] is not None:
        cell["above_tuned"] = regret - tuned["regret"]
    return {
        **cell,
        "regret": regret,
        "outcome": setup["outcomes"][rule],
        "diverged": setup["diverged"][rule],
        "overheads": setup["overheads"].get(rule, []),
        "starts": setup["starts"].get(rule, []),
        "by_seed": setup["regrets_by_seed"][rule],
    }


def _note_missing(setups: Sequence[Json], kinds: Mapping[str, str]) -> None:
    """Say where a hand-tuned length that others have is not run yet: the best may be another."""
    held = dict.fromkeys(rule for setup in setups for rule in setup["regrets"])
    for setup in setups:
        # A run that lacks some seed is not compared; a diverged one is.
        setup["missing_hand_tuned"] = [
            rule for rule in held if kinds[rule] == "fixed" and rule not in setup["starts"]
        ]


def _place(summary: Json) -> tuple[Any, ...]:
    """Order set-ups by optimizer, then by what differs from the plain one, then by rate."""
    setup, optimizers = summary["setup"], list(BEST)
    name = setup["optimizer"]
    at = optimizers.index(name) if name in optimizers else len(optimizers)
    part = next((k for k, c in enumerate(COLUMNS) if c in columns_of(setup)), len(COLUMNS))
    rest = (setup[field] for field in ("model", "batch", "steps", "data", "noise", "scale", "lr"))
    return at, name, part, *rest


def _horizons(setups: Sequence[Json]) -> dict[str, list[Json]]:
    """Return the small set-ups at the best rate that differ in the number of updates alone."""
    plain = [s for s in setups if multiple_of(s["setup"]) == 1.0]
    names = [f"{steps:,} updates" for steps in HORIZONS]
    groups = {name: [s for s in plain if name in columns_of(s["setup"])] for name in names}
    return {name: part for name, part in groups.items() if part}


def _batches(setups: Sequence[Json]) -> dict[str, list[Json]]:
    """Return the small models by the tokens of an update, at rates up to twice the best."""
    groups: dict[str, list[Json]] = {}
    for setup in setups:
        held = Setup(**setup["setup"])
        tokens = tokens_of(held)
        if tokens and held.model == Setup.model and multiple_of(setup["setup"]) != FAR:
            groups.setdefault(f"{tokens:,.0f} tokens", []).append(setup)
    return {name: groups[name] for name in sorted(groups, key=lambda name: (len(name), name))}


def _rates(setups: Sequence[Json]) -> dict[str, list[Json]]:
    """Return the set-ups by their multiple of the best rate, the far too high one included."""
    groups = {m: [s for s in setups if multiple_of(s["setup"]) == m] for m in MULTIPLES}
    return {multiple_name(m): part for m, part in groups.items() if part}


def _choices(setups: Sequence[Json]) -> dict[str, list[Json]]:
    """Return the set-ups on which constants of the default were chosen, and the others."""
    groups: dict[str, list[Json]] = {"chosen on": [], "looked at once": []}
    for setup in setups:
        seen = chosen_on(Setup(**setup["setup"]))
        groups["chosen on" if seen else "looked at once"].append(setup)
    return {name: part for name, part in groups.items() if part}


def _columns(setups: Sequence[Json]) -> dict[str, list[Json]]:
    """Return the set-ups of every group that has some: parts, optimizers, multiples of the rate."""
    optimizers = dict.fromkeys(optimizer_name(setup["setup"]["optimizer"]) for setup in setups)
    names = (*COLUMNS, *optimizers, *map(multiple_name, MULTIPLES))
    groups = {name: [s for s in setups if name in columns_of(s["setup"])] for name in names}
    return {name: part for name, part in groups.items() if part}
