"""Records -> summary: the regret of every rule over set-ups, as plain JSON values.

Numbers of one set-up are defined in `bench.regret`; here they are put together over any part of the
set-ups, by one function.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from autowarmup.lab.bench.names import (
    COLUMNS,
    columns_of,
    multiple_name,
    multiple_of,
    optimizer_name,
    setup_name,
    shared_parts,
)
from autowarmup.lab.bench.records import Record
from autowarmup.lab.bench.regret import setup_summary
from autowarmup.lab.bench.rules import described
from autowarmup.lab.bench.sets import MULTIPLES
from autowarmup.lab.bench.setups import BEST, key
from autowarmup.rules.registry import DEFAULT_RULE

SUMMARY_FORMAT = "autowarmup-bench-1"

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
    records = [record for record in records if not record["options"]]
    if not records:
        raise ValueError("summarise: expected at least one record without options, got none")
    kinds = {rule: described(rule).kind for rule in {record["rule"] for record in records}}
    groups: dict[str, list[Record]] = {}
    for record in records:
        groups.setdefault(key(record["setup"]), []).append(record)
    # A set-up with one rule, as in the sweep of rates, compares nothing: the rule would be its own
    # best and its mean regret would look better than it is.
    several = {name: group for name, group in groups.items() if len({r["rule"] for r in group}) > 1}
    groups = several or groups
    records = [record for group in groups.values() for record in group]
    shared = shared_parts([group[0]["setup"] for group in groups.values()])
    setups = [
        {"label": setup_name(group[0]["setup"], shared), **setup_summary(group, kinds)}
        for group in groups.values()
    ]
    setups.sort(key=_place)
    _note_missing(setups, kinds)
    statuses = Counter(record["status"] for record in records)
    return {
        "format": SUMMARY_FORMAT,
        "default_rule": default_rule,
        "runs": {
            "stored": len(records),
            "finished": statuses["finished"],
            "diverged": statuses["diverged"],
        },
        **rule_table(setups, kinds),
        "setups": setups,
        "by_column": {
            name: {"n_setups": len(part), **rule_table(part, kinds)}
            for name, part in _columns(setups).items()
        },
    }


def rule_table(setups: Sequence[Json], kinds: Mapping[str, str]) -> Json:
    """Return the aggregates of every rule over a part of the set-ups.

    Returns:
        rules: rule -> `aggregate`, the lowest mean regret first;
        hand_tuned_cross_validated: the same for the length that is chosen on one seed.
    """
    names = dict.fromkeys(rule for setup in setups for rule in setup["regrets"])
    lines = {rule: {"kind": kinds[rule], **aggregate(setups, rule)} for rule in names}
    # Without a number last; among equals, the smaller worst case first.
    order = sorted(
        lines,
        key=lambda rule: (
            lines[rule]["mean_regret"] is None,
            lines[rule]["mean_regret"] or 0.0,
            lines[rule]["worst_regret"] or 0.0,
        ),
    )
    return {
        "rules": {rule: lines[rule] for rule in order},
        "hand_tuned_cross_validated": {"kind": "fixed", **aggregate(setups, None)},
    }


def aggregate(setups: Sequence[Json], rule: str | None) -> Json:
    """Return what one rule did over a part of the set-ups of a summary.

    A set-up is won where the regret is below minus the standard error of a difference, tied within
    it. A divergence where a hand-tuned length survives is lost, and a survival where none does is
    won, although neither has a regret.

    Args:
        setups: of a summary.
        rule: its name; `None` for the length that is chosen on one seed and judged on the others.
    """
    cells = [cell for setup in setups if (cell := _cell(setup, rule)) is not None]
    with_number = [cell for cell in cells if cell["regret"] is not None]
    regrets = [cell["regret"] for cell in with_number]
    worst = max(with_number, key=lambda cell: cell["regret"], default=None)
    outcomes = Counter(cell["outcome"] for cell in cells)
    judged = outcomes["won"] + outcomes["tied"] + outcomes["lost"]
    overheads = [share for cell in cells for share in cell["overheads"]]
    starts = [start for cell in cells for start in cell["starts"]]
    return {
        "mean_regret": statistics.fmean(regrets) if regrets else None,
        "worst_regret": worst["regret"] if worst else None,
        "worst_setup": worst["label"] if worst else None,
        "win_or_tie_share": (outcomes["won"] + outcomes["tied"]) / judged if judged else None,
        "wins": outcomes["won"],
        "ties": outcomes["tied"],
        "losses": outcomes["lost"],
        "diverged": sum(cell["diverged"] for cell in cells),
        "diverged_where_hand_tuned_survives": sum(
            bool(cell["diverged"]) and cell["survivable"] for cell in cells
        ),
        "overhead": statistics.fmean(overheads) if overheads else None,
        "n_setups": len(regrets),
        "tried_setups": len(cells),
        "mean_regret_by_seed": _mean_by_seed(cells),
        "median_start": statistics.median(starts) if starts else None,
    }


def _cell(setup: Json, rule: str | None) -> Json | None:
    """Return what one rule did in one set-up, `None` where it has no run."""
    common = {"label": setup["label"], "survivable": setup["best_hand_tuned"] is not None}
    if rule is None:
        if not setup["tuned_once"]["chosen"]:
            return None
        nothing = {"overheads": [], "starts": [], "by_seed": {}}
        return {**common, **setup["tuned_once"], **nothing}
    if rule not in setup["regrets"]:
        return None
    return {
        **common,
        "regret": setup["regrets"][rule],
        "outcome": setup["outcomes"][rule],
        "diverged": setup["diverged"][rule],
        "overheads": setup["overheads"].get(rule, []),
        "starts": setup["starts"].get(rule, []),
        "by_seed": setup["regrets_by_seed"][rule],
    }


def _mean_by_seed(cells: Sequence[Json]) -> dict[str, float]:
    known: dict[str, list[float]] = {}
    for cell in cells:
        for seed, value in cell["by_seed"].items():
            if value is not None:
                known.setdefault(seed, []).append(value)
    return {seed: statistics.fmean(known[seed]) for seed in sorted(known, key=int)}


def _note_missing(setups: Sequence[Json], kinds: Mapping[str, str]) -> None:
    """Say where a hand-tuned length that others have is not run yet: the best may be another."""
    lengths = [
        rule
        for rule in dict.fromkeys(rule for setup in setups for rule in setup["regrets"])
        if kinds[rule] == "fixed"
    ]
    for setup in setups:
        # A run that lacks some seed is not compared; a diverged one is.
        held = {rule for rule in lengths if rule in setup["starts"]}
        setup["missing_hand_tuned"] = [rule for rule in lengths if rule not in held]


def _place(summary: Json) -> tuple[Any, ...]:
    """Order set-ups by optimizer, then by what differs from the plain one, then by rate."""
    setup = summary["setup"]
    optimizers = list(BEST)
    name = setup["optimizer"]
    at = optimizers.index(name) if name in optimizers else len(optimizers)
    part = next((k for k, c in enumerate(COLUMNS) if c in columns_of(setup)), len(COLUMNS))
    rest = (setup["model"], setup["batch"], setup["steps"], setup["data"])
    return at, name, part, rest, setup["noise"], setup["scale"], setup["lr"]


def _columns(setups: Sequence[Json]) -> dict[str, list[Json]]:
    """Return the set-ups of every group that has some: parts, optimizers, multiples of the rate."""
    optimizers = dict.fromkeys(optimizer_name(setup["setup"]["optimizer"]) for setup in setups)
    held = {multiple_of(setup["setup"]) for setup in setups}
    multiples = [multiple_name(multiple) for multiple in MULTIPLES if multiple in held]
    groups = {
        name: [setup for setup in setups if name in columns_of(setup["setup"])]
        for name in (*COLUMNS, *optimizers, *multiples)
    }
    return {name: part for name, part in groups.items() if part}
