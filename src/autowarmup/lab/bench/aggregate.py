"""What every rule did over a part of the set-ups, and what it has above the default."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

Json = dict[str, Any]


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
