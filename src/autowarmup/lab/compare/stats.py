"""Records -> summary: the regret of every warm-up rule against the best hand-tuned one.

A set-up is everything that is not warm-up: recipe, optimizer, peak rate, steps, batch size. Within
a set-up, val(rule) is the mean final validation loss (nats per token) over the compared seeds, best
is the lowest val of a hand-tuned rule, and regret = (val - best) / best. A rule with a diverged or
failed run among the compared seeds has no val, and is counted as such wherever it appears.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from autowarmup.lab.compare.grid import warmup_steps
from autowarmup.lab.compare.verdict import verdict
from autowarmup.lab.report.words import optimizer_name, rule_of
from autowarmup.rules.registry import DEFAULT_RULE, rule_by_name

SUMMARY_FORMAT = "autowarmup-summary-1"
MAIN_RULES = (f"adaptive {DEFAULT_RULE}", "adaptive flat, measured start")
"""Rules that a grid was made for, the first one that it holds."""

Record = Mapping[str, Any]
Json = dict[str, Any]

_SETUP = ("recipe", "optimizer", "lr", "steps", "batch_size")


def summarise(
    records: Iterable[Record], *, planned: Sequence[Mapping[str, Any]] | None = None
) -> Json:
    """Return the summary of a grid's records in plain JSON values.

    Args:
        records: run records of any status; at least one.
        planned: the configurations of the whole grid, where known, so that what is not stored yet
            is said and not mistaken for a verdict.

    Raises:
        ValueError: there is no record, or two records are of the same run.
    """
    records = list(records)
    if not records:
        raise ValueError("summarise: expected at least one run record, got none")
    statuses = Counter(record["status"] for record in records)
    setups = [_setup(key, group) for key, group in by_setup(records).items()]
    for setup in setups:
        setup["not_yet_run"] = _not_yet_run(setup, planned or [])
    _label(setups)
    rules = _across(setups)
    adaptive = [rule["rule"] for rule in rules if rule["kind"] == "adaptive"]
    main = next((rule for rule in (*MAIN_RULES, *adaptive) if rule in adaptive), None)
    summary = {
        "format": SUMMARY_FORMAT,
        "runs": {
            "expected": max(len(planned or []), len(records)),
            "stored": len(records),
            **{status: statuses[status] for status in ("finished", "diverged", "failed")},
        },
        "seeds": sorted({record["config"]["seed"] for record in records}),
        "seed_spread": _seed_spread(setups),
        "main_rule": main,
        "setups": setups,
        "rules": rules,
        "trouble": [
            {"id": record["id"], "status": record["status"], "message": record.get("message", "")}
            for record in records
            if record["status"] != "finished"
        ],
    }
    return summary | {"verdict": verdict(summary)}


def _seed_spread(setups: Sequence[Json]) -> Json | None:
    """Return how far the seeds of one rule in one set-up lie apart, as shares of the lowest."""
    apart = [
        rule["max"] / rule["min"] - 1
        for setup in setups
        for rule in setup["rules"]
        if rule["std"] is not None
    ]
    return {"median": statistics.median(apart), "most": max(apart)} if apart else None


def by_setup(records: Iterable[Record]) -> dict[tuple[Any, ...], list[Record]]:
    """Return the records of each set-up, keyed by (recipe, optimizer, lr, steps, batch size)."""
    records = list(records)
    keys = [tuple(record["config"].get(name) for name in _SETUP) for record in records]
    # A run that failed before it began knows only what it was asked for: its batch size is then
    # the recipe's, as in the other runs of its set-up.
    batch_sizes = {key[:-1]: key[-1] for key in keys if key[-1] is not None}
    groups: dict[tuple[Any, ...], list[Record]] = {}
    for key, record in zip(keys, records, strict=True):
        full = key if key[-1] is not None else (*key[:-1], batch_sizes.get(key[:-1]))
        groups.setdefault(full, []).append(record)
    return groups


def _setup(key: tuple[Any, ...], records: Sequence[Record]) -> Json:
    by_rule: dict[str, dict[int, Record]] = {}
    for record in records:
        runs = by_rule.setdefault(rule_of(record["config"]), {})
        seed = record["config"]["seed"]
        if seed in runs:
            raise ValueError(
                f"expected one record per set-up, warm-up and seed, got {runs[seed]['id']} "
                f"and {record['id']}"
            )
        runs[seed] = record
    seeds = _common_seeds(by_rule)
    rules = [_rule(name, runs, seeds) for name, runs in by_rule.items()]
    hand_tuned = [r for r in rules if r["kind"] == "linear" and r["val_loss"] is not None]
    best = min(hand_tuned, key=lambda rule: rule["val_loss"], default=None)
    for rule in rules:
        value = rule["val_loss"]
        if best is not None and value is not None:
            rule["regret"] = (value - best["val_loss"]) / best["val_loss"]
        if value is not None:
            values = [r["val_loss"] for r in rules if r["val_loss"] is not None]
            rule["rank"] = 1 + sum(other < value for other in values)
    rules.sort(key=lambda rule: (rule["kind"], rule["warmup_steps"] or 0))
    return {
        **dict(zip(_SETUP, key, strict=True)),
        "parameters": next((r["parameters"] for r in records if r.get("parameters")), None),
        "compared_seeds": seeds,
        "best_hand_tuned": best["rule"] if best else None,
        "rules": rules,
    }


def _not_yet_run(setup: Json, planned: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the planned rules of a set-up that have no record at all."""
    stored = {rule["rule"] for rule in setup["rules"]}
    # A plan may leave the batch size to the recipe; within one grid it is the same everywhere.
    names = [name for name in _SETUP if name != "batch_size"]
    rules = [
        rule_of(config)
        for config in planned
        if all(config.get(name) == setup[name] for name in names)
    ]
    return [rule for rule in dict.fromkeys(rules) if rule not in stored]


def _common_seeds(by_rule: Mapping[str, Mapping[int, Record]]) -> list[int]:
    """Return the seeds on which rules are compared, so that an unfinished grid compares like with
    like: those which every rule has, else the one that most rules have."""
    counts = Counter(seed for runs in by_rule.values() for seed in runs)
    common = sorted(seed for seed, count in counts.items() if count == len(by_rule))
    return common or [min(counts, key=lambda seed: (-counts[seed], seed))]


def _rule(name: str, runs: Mapping[int, Record], seeds: Sequence[int]) -> Json:
    compared = [runs[seed] for seed in seeds if seed in runs]
    statuses = Counter(record["status"] for record in compared)
    config = next(iter(runs.values()))["config"]
    linear = config["warmup"] != "adaptive"
    losses = [_loss(record) for record in compared]
    values = [loss for loss in losses if loss is not None]
    complete = len(values) == len(seeds)
    return {
        "rule": name,
        "kind": "linear" if linear else "adaptive",
        "warmup": config["warmup"],
        "peak": None if linear else config.get("peak", "flat"),
        "calibrate": None if linear else bool(config.get("calibrate")),
        "warmup_steps": warmup_steps(config["warmup"], config["steps"]) if linear else None,
        "runs": len(runs),
        **{status: statuses[status] for status in ("finished", "diverged", "failed")},
        "missing": len(seeds) - len(compared),
        "val_losses": losses,
        "val_loss": statistics.fmean(values) if complete else None,
        "std": statistics.stdev(values) if complete and len(values) > 1 else None,
        "min": min(values, default=None),
        "max": max(values, default=None),
        "regret": None,
        "rank": None,
        "warmup_end_steps": [record.get("warmup_end_step") for record in compared],
        "ended_by": [record.get("warmup_ended_by", "") for record in compared],
        "div": [record.get("div") if _starts_at_div(record) else None for record in compared],
    }


def _starts_at_div(record: Record) -> bool:
    """Whether the rule has a first rate, the peak rate over `div`; a watched ramp has none."""
    return rule_by_name(record["config"].get("peak", "flat")).c is not None


def _loss(record: Record) -> float | None:
    return record.get("val_loss") if record["status"] == "finished" else None


def _label(setups: Sequence[Json]) -> None:
    """Name the set-ups by optimizer and rate, and by what else differs between them."""
    for setup in setups:
        extra = ""
        for name, text in (("recipe", "{}"), ("steps", "{} steps"), ("batch_size", "batch {}")):
            if len({other[name] for other in setups}) > 1:
                extra += ", " + text.format(setup[name])
        setup["label"] = f"{optimizer_name(setup['optimizer'])}, lr {setup['lr']:g}{extra}"


def _across(setups: Sequence[Json]) -> list[Json]:
    """Return one line per rule over all set-ups, the lowest mean regret first."""
    by_rule: dict[str, list[Json]] = {}
    for setup in setups:
        for rule in setup["rules"]:
            by_rule.setdefault(rule["rule"], []).append(rule)
    lines = []
    for name, rules in by_rule.items():
        regrets = [rule["regret"] for rule in rules if rule["regret"] is not None]
        lines.append(
            {
                "rule": name,
                "kind": rules[0]["kind"],
                "warmup": rules[0]["warmup"],
                "setups": len(rules),
                "with_number": len(regrets),
                "mean_regret": statistics.fmean(regrets) if regrets else None,
                "worst_regret": max(regrets, default=None),
                "best_or_better": sum(regret <= 0 for regret in regrets),
                "diverged": sum(rule["diverged"] for rule in rules),
                "failed": sum(rule["failed"] for rule in rules),
            }
        )
    # A rule that could not be measured everywhere has an incomparable mean and goes below.
    return sorted(
        lines,
        key=lambda line: (
            line["setups"] - line["with_number"],
            float("inf") if line["mean_regret"] is None else line["mean_regret"],
        ),
    )
