"""How the default rule does where something is different: tables of its regret."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from typing import Any

from autowarmup.lab.bench.records import Record
from autowarmup.lab.bench.regret import mean, regret
from autowarmup.lab.bench.sets import HAND_TUNED_NAMES
from autowarmup.lab.bench.setups import Setup, key

Row = dict[str, Any]
Losses = dict[int, float | None]

_FIXED = set(HAND_TUNED_NAMES)
_DATA = "What is trained"
_RULE = "What the rule is told"
_LAW = "The law of the gap with its own protocol, at the best rate"


def variation_of(record: Record) -> tuple[str, str]:
    """Return the table that a record belongs to and what is different in it.

    Example:
        >>> setup = Setup("lion", 1e-3, noise=0.2).to_dict()
        >>> variation_of({"setup": setup, "options": {}})
        ('What is trained', '20 % random tokens')
    """
    setup, options = Setup(**record["setup"]), record["options"]
    if "law" in options:
        return _LAW, f"{setup.steps:,} updates, f* from an oracle, div {options['law']['div']:g}"
    if "lower_bound" in options:
        return _RULE, f"lower bound wrong by {options['lower_bound']:+g}"
    if "pace" in options:
        pace = options["pace"]
        if "tokens_per_update" in pace:
            return _RULE, "updates counted, not tokens"
        return _RULE, "constants: " + ", ".join(f"{name} {x:g}" for name, x in pace.items())
    if setup.scale != 1.0:
        return _RULE, f"loss times {setup.scale:g}"
    noisy = f"{100 * setup.noise:g} % random " if setup.noise else ""
    if setup.model == "digits":
        return _DATA, "handwritten digits" + (f", {noisy}labels" if noisy else "")
    if setup.init != 1.0:
        what = "an LSTM" if setup.model == "lstm" else "the LLaMA"
        return _DATA, f"slow start: {what} with {setup.init:g} of the usual initial weights"
    if noisy:
        return _DATA, f"{noisy}tokens"
    if setup.data != "stdlib":
        return _DATA, "English prose (git's documentation)"
    return _DATA, f"batch {setup.batch}"


def tables(records: Iterable[Record], core: Iterable[Record]) -> list[dict[str, Any]]:
    """Return one table per kind of variation: mean and worst regret of each rule.

    The regret is against the best hand-tuned length under the same variation, or, where only the
    rule is told something else, against that of the core set.
    """
    records = list(records)
    hand_tuned: dict[str, dict[str, Losses]] = {}
    for record in [*core, *records]:
        if record["rule"] in _FIXED and not record["options"]:
            fixed = hand_tuned.setdefault(key(record["setup"]), {}).setdefault(record["rule"], {})
            fixed[record["seed"]] = record["val_loss"]
    varied: dict[tuple[str, str, str, str], Losses] = {}
    for record in records:
        table, variation = variation_of(record)
        # Where only the rule is told something else, the reference is the plain set-up.
        plain = {**record["setup"], "scale": 1.0} if table != _DATA else record["setup"]
        losses = varied.setdefault((table, variation, key(plain), record["rule"]), {})
        losses[record["seed"]] = record["val_loss"]
    regrets: dict[tuple[str, str, str], list[float]] = {}
    for (table, variation, reference, rule), losses in varied.items():
        found = _regret(losses, hand_tuned.get(reference, {}))
        if found is not None:
            regrets.setdefault((table, variation, rule), []).append(found)
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


def _regret(losses: Losses, hand_tuned: Mapping[str, Losses]) -> float | None:
    """Return the regret over the seeds that all have, `None` where there is no number."""
    seeds = [seed for seed in losses if all(seed in fixed for fixed in hand_tuned.values())]
    known = [mean([fixed[seed] for seed in seeds]) for fixed in hand_tuned.values()]
    best = min((loss for loss in known if loss is not None), default=None)
    return regret(mean([losses[seed] for seed in seeds]), best)
