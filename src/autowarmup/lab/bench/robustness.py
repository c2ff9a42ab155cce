"""How the default rule does where something is different: tables of its regret."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from autowarmup.lab.bench.setups import Setup, key
from autowarmup.rules.registry import HAND_TUNED

Record = Mapping[str, Any]
Row = dict[str, Any]

_FIXED = {rule.name for rule in HAND_TUNED}
_DATA = "What is trained"
_RULE = "What the rule is told"


def variation_of(record: Record) -> tuple[str, str]:
    """Return the table that a record belongs to and what is different in it.

    Example:
        >>> setup = Setup("lion", 1e-3, noise=0.2).to_dict()
        >>> variation_of({"setup": setup, "options": {}})
        ('What is trained', '20 % random tokens')
    """
    setup, options = Setup(**record["setup"]), record["options"]
    if "lower_bound" in options:
        return _RULE, f"lower bound wrong by {options['lower_bound']:+g}"
    if "watch" in options:
        changed = ", ".join(f"{name} {value:g}" for name, value in options["watch"].items())
        return _RULE, f"constants: {changed}"
    if setup.scale != 1.0:
        return _RULE, f"loss times {setup.scale:g}"
    if setup.trained:
        return _DATA, "fine-tuning on English prose at the best rate"
    noisy = f"{100 * setup.noise:g} % random " if setup.noise else ""
    if setup.model == "digits":
        return _DATA, "handwritten digits" + (f", {noisy}labels" if noisy else "")
    if noisy:
        return _DATA, f"{noisy}tokens"
    if setup.data != "stdlib":
        return _DATA, "English prose (git's documentation)"
    if setup.steps != Setup.steps:
        return _DATA, f"{setup.steps:,} updates at the best rate"
    return _DATA, f"batch {setup.batch}"


def tables(records: Iterable[Record], core: Iterable[Record]) -> list[dict[str, Any]]:
    """Return one table per kind of variation: mean and worst regret of each rule.

    The regret is against the best hand-tuned length under the same variation, or, where only the
    rule is told something else, against that of the core set.

    Args:
        records: of the robustness set.
        core: of the core set, which holds the hand-tuned runs that the second kind refers to.
    """
    records = list(records)
    hand_tuned = _by_setup(r for r in [*core, *records] if r["rule"] in _FIXED and not r["options"])
    regrets: dict[tuple[str, str, str], list[float]] = {}
    for (place, rule), values in _by_rule(records).items():
        table, variation, reference = place
        regret = _regret(values, hand_tuned.get(reference, {}))
        if regret is not None:
            regrets.setdefault((table, variation, rule), []).append(regret)
    result: dict[str, list[Row]] = {}
    for (table, variation, rule), each in sorted(regrets.items()):
        row = {
            "variation": variation,
            "rule": rule,
            "mean_regret": statistics.fmean(each),
            "worst_regret": max(each),
            "n_setups": len(each),
        }
        result.setdefault(table, []).append(row)
    return [{"title": title, "rows": rows} for title, rows in result.items()]


def _by_setup(records: Iterable[Record]) -> dict[str, dict[str, dict[int, float | None]]]:
    """Return set-up -> rule -> seed -> final loss."""
    found: dict[str, dict[str, dict[int, float | None]]] = {}
    for record in records:
        rules = found.setdefault(key(record["setup"]), {})
        rules.setdefault(record["rule"], {})[record["seed"]] = record["val_loss"]
    return found


def _by_rule(
    records: Sequence[Record],
) -> dict[tuple[tuple[str, str, str], str], dict[int, float | None]]:
    """Return (table, variation, set-up of the reference), rule -> seed -> final loss."""
    found: dict[tuple[tuple[str, str, str], str], dict[int, float | None]] = {}
    for record in records:
        table, variation = variation_of(record)
        told = table == _RULE  # then the hand-tuned runs are those of the plain set-up
        reference = key({**record["setup"], "scale": 1.0} if told else record["setup"])
        found.setdefault(((table, variation, reference), record["rule"]), {})[record["seed"]] = (
            record["val_loss"]
        )
    return found


def _regret(
    values: Mapping[int, float | None], hand_tuned: Mapping[str, Mapping[int, float | None]]
) -> float | None:
    """Return the regret over the seeds that all have, `None` where there is no number."""
    seeds = [seed for seed in values if all(seed in fixed for fixed in hand_tuned.values())]

    def mean(losses: Mapping[int, float | None]) -> float | None:
        chosen = [losses[seed] for seed in seeds]
        known = [loss for loss in chosen if loss is not None]
        return statistics.fmean(known) if known and len(known) == len(chosen) else None

    value = mean(values)
    known = [loss for loss in map(mean, hand_tuned.values()) if loss is not None]
    return None if value is None or not known else value / min(known) - 1.0
