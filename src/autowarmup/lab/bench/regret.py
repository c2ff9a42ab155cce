"""One set-up: the regret of every rule against the best hand-tuned length, and its accuracy.

val(rule) is the mean final validation loss over the compared seeds, best is the lowest val of a
hand-tuned length, and regret = (val - best) / best. A rule with a diverged or missing run among the
compared seeds has no val.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from autowarmup.lab.bench.names import setup_name
from autowarmup.lab.bench.records import Record

Json = dict[str, Any]
Vals = Mapping[str, Sequence[float | None]]

ONE_SEED = 0.02
"""Regret within which a rule is tied where there is no seed noise to compare with: over two seeds
the standard error of a difference is 1.4 % in the median of the core set."""


def setup_summary(records: Sequence[Record], kinds: Mapping[str, str]) -> Json:
    """Return what the records of one set-up say, as plain JSON values keyed by rule.

    Raises:
        ValueError: two records are of the same run.
    """
    runs = by_rule(records)
    seeds = common_seeds(runs)
    whole = {rule: [held[s] for s in seeds] for rule, held in runs.items() if set(seeds) <= {*held}}
    vals = {rule: [_val(held.get(seed)) for seed in seeds] for rule, held in runs.items()}
    fixed = {rule: vals[rule] for rule in whole if kinds[rule] == "fixed"}
    means = {rule: mean(values) for rule, values in vals.items()}
    best = _lowest({rule: means[rule] for rule in fixed})
    best_val = None if best is None else means[best]
    error = seed_noise(fixed)
    noise = None if error is None or best_val is None else error / best_val
    regrets = {rule: regret(val, best_val) for rule, val in means.items()}
    diverged = {
        rule: sum(s in held and held[s]["status"] != "finished" for s in seeds)
        for rule, held in runs.items()
    }
    tuned = cross_validation(fixed, seeds)
    tuned["regret"] = regret(tuned["val"], best_val)
    tuned["outcome"] = _outcome(tuned["val"], best_val, tuned["diverged"], noise)
    return {
        "setup": dict(records[0]["setup"]),
        "seeds": seeds,
        "best_hand_tuned": best,
        "best_val": best_val,
        "seed_noise": noise,
        "regrets": regrets,
        "outcomes": {
            # Where no length was run at all there is nothing to win against.
            rule: _outcome(means[rule], best_val, diverged[rule], noise) if fixed else None
            for rule in runs
        },
        "vals": vals,
        "regrets_by_seed": _by_seed(vals, fixed, seeds),
        "diverged": diverged,
        "starts": {rule: [r["start"] for r in held] for rule, held in whole.items()},
        "ends": {rule: [r["warmup_end_step"] for r in held] for rule, held in whole.items()},
        "overheads": {
            rule: [r["overhead"] for r in held if r.get("overhead") is not None]
            for rule, held in whole.items()
        },
        "tuned_once": tuned,
    }


def by_rule(records: Iterable[Record]) -> dict[str, dict[int, Record]]:
    """Return rule -> seed -> record.

    Raises:
        ValueError: two records are of the same run.
    """
    runs: dict[str, dict[int, Record]] = {}
    for record in records:
        held = runs.setdefault(record["rule"], {})
        if record["seed"] in held:
            raise ValueError(
                "expected one record per set-up, rule and seed, got two of "
                f"{setup_name(record['setup'])}, {record['rule']}, seed {record['seed']}"
            )
        held[record["seed"]] = record
    return runs


def regret(val: float | None, best: float | None) -> float | None:
    """Return (val - best) / best, `None` without either.

    Example:
        >>> regret(2.2, 2.0)
        0.10000000000000009
    """
    return None if val is None or best is None else (val - best) / best


def mean(values: Sequence[float | None]) -> float | None:
    """Return the mean, `None` where a value is missing."""
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known and len(known) == len(values) else None


def common_seeds(runs: Mapping[str, Mapping[int, Record]]) -> list[int]:
    """Return the seeds on which rules are compared, so that an unfinished benchmark compares like
    with like: those which every rule has, else the one that most rules have."""
    counts = Counter(seed for held in runs.values() for seed in held)
    common = sorted(seed for seed, count in counts.items() if count == len(runs))
    return common or [min(counts, key=lambda seed: (-counts[seed], seed))]


def seed_noise(fixed: Vals) -> float | None:
    """Return the standard error of the difference of two rules' means over the seeds.

    Runs of one seed share weights and data, so what a seed does to all rules alike is no noise of a
    comparison: sigma is estimated from what is left of val after the means of rules and of seeds
    are taken out, and the error is sigma sqrt(2 / seeds). Needs two rules and two seeds.

    Example:
        >>> seed_noise({"none": [1.0, 2.0], "linear 5%": [1.0, 4.0]})
        1.0
        >>> seed_noise({"none": [1.0], "linear 5%": [2.0]}) is None
        True
    """
    table = np.array([values for values in fixed.values() if None not in values], dtype=float)
    if table.ndim != 2 or min(table.shape) < 2:  # (rules, seeds)
        return None
    rules, seeds = table.shape
    left = table - table.mean(1, keepdims=True) - table.mean(0, keepdims=True) + table.mean()
    sigma = math.sqrt(float((left**2).sum()) / ((rules - 1) * (seeds - 1)))
    return sigma * math.sqrt(2 / seeds)


def cross_validation(fixed: Vals, seeds: Sequence[int]) -> Json:
    """Return the loss of the length that is best on one seed, on the other seeds: mean over folds.

    It is what tuning by hand on one seed really brings: the best over all seeds is chosen by the
    very runs on which it is judged.

    Example:
        >>> fixed = {"none": [1.0, 4.0], "linear 5%": [2.0, 2.0]}
        >>> cross_validation(fixed, [0, 1])
        {'val': 3.0, 'chosen': {'0': 'none', '1': 'linear 5%'}, 'diverged': 0}
    """
    chosen: dict[str, str] = {}
    folds: list[float | None] = []
    diverged = 0
    for at, seed in enumerate(seeds if len(seeds) > 1 else ()):
        choice = _lowest({rule: values[at] for rule, values in fixed.items()})
        if choice is None:
            return {"val": None, "chosen": {}, "diverged": 0}
        chosen[str(seed)] = choice
        others = [value for k, value in enumerate(fixed[choice]) if k != at]
        diverged += others.count(None)
        folds.append(mean(others))
    return {"val": mean(folds), "chosen": chosen, "diverged": diverged}


def _val(record: Record | None) -> float | None:
    return record["val_loss"] if record is not None and record["status"] == "finished" else None


def _lowest(vals: Mapping[str, float | None]) -> str | None:
    known = {rule: val for rule, val in vals.items() if val is not None}
    return min(known, key=lambda rule: known[rule], default=None)


def _outcome(
    val: float | None, best: float | None, diverged: int, noise: float | None
) -> str | None:
    """Return won, tied or lost; `None` where a run is missing or no rule got through."""
    if diverged:
        return None if best is None else "lost"
    if val is None or best is None:
        return None if val is None else "won"
    difference = (val - best) / best
    if abs(difference) <= (ONE_SEED if noise is None else noise):
        return "tied"
    return "won" if difference < 0 else "lost"


def _by_seed(vals: Vals, fixed: Vals, seeds: Sequence[int]) -> dict[str, dict[str, float | None]]:
    """Return the regrets that each seed alone would give, its own best length included."""
    alone: dict[str, dict[str, float | None]] = {rule: {} for rule in vals}
    for at, seed in enumerate(seeds):
        best = min((x for v in fixed.values() if (x := v[at]) is not None), default=None)
        for rule, values in vals.items():
            alone[rule][str(seed)] = regret(values[at], best)
    return alone
