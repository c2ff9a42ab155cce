"""Records of one training -> what each rule brings against the first, seed by seed.

Runs of one seed share weights and data, so rules are compared within a seed: d = loss of the rule
minus loss of the reference. The mean of d over n seeds has the standard error s / sqrt(n), where s
is the standard deviation of d, and the 95 % interval mean +- t s / sqrt(n) with Student's t.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from autowarmup.lab.bench.records import Record
from autowarmup.lab.bench.regret import by_rule
from autowarmup.lab.report.numbers import short
from autowarmup.measure.bootstrap import t_quantile

Json = dict[str, Any]

LEAST_SEEDS = 3
"""Seeds below which no verdict is drawn: two differences agree by chance too often."""
SHORTEST = 200
"""Updates below which no verdict is drawn: 5 % of them are not ten updates."""
FELL = 0.9
"""The largest share of the first loss that the last may be in a run that has learned something."""


def compared(records: Sequence[Record], rules: Sequence[str], updates: int | None) -> Json:
    """Return the comparison as plain JSON values; the first rule is the reference.

    Args:
        records: of one set-up.
        rules: in the order in which they are shown.
        updates: of each run, `None` if nobody says.

    Raises:
        ValueError: two records are of the same rule and seed.
    """
    runs = by_rule([record for record in records if record["rule"] in rules])
    reference = runs.get(rules[0], {})
    rows = [_row(rule, runs.get(rule, {}), reference) for rule in rules]
    seeds = sorted({seed for held in runs.values() for seed in held})
    doubts = doubts_of(records, rows, updates)
    for row in rows:
        row["verdict"] = None if doubts or row["rule"] == rules[0] else _verdict(row["difference"])
    return {
        "reference": rules[0],
        "seeds": seeds,
        "updates": updates,
        "no_verdict_because": doubts,
        "rules": rows,
    }


def _row(rule: str, held: Mapping[int, Record], reference: Mapping[int, Record]) -> Json:
    losses = {seed: record["val_loss"] for seed, record in sorted(held.items())}
    known = [loss for loss in losses.values() if loss is not None]
    base = {seed: record["val_loss"] for seed, record in reference.items()}
    pairs = [
        loss - base[seed]
        for seed, loss in losses.items()
        if loss is not None and base.get(seed) is not None
    ]
    return {
        "rule": rule,
        "losses": {str(seed): loss for seed, loss in losses.items()},
        "runs": len(losses),
        "diverged": len(losses) - len(known),
        "mean": statistics.fmean(known) if known else None,
        "error": standard_error(known),
        "difference": paired(pairs),
    }


def paired(differences: Sequence[float]) -> Json | None:
    """Return mean, standard error and 95 % interval of differences, `None` without any.

    Example:
        >>> paired([0.1, 0.2, 0.3])["error"]
        0.057735026918962574
        >>> [round(x, 3) for x in paired([0.1, 0.2, 0.3])["interval"]]
        [-0.048, 0.448]
        >>> paired([0.1])["interval"] is None
        True
    """
    if not differences:
        return None
    mean, error = statistics.fmean(differences), standard_error(differences)
    interval = None
    if error is not None:
        reach = t_quantile(len(differences) - 1) * error
        interval = [mean - reach, mean + reach]
    return {
        "mean": mean,
        "error": error,
        "interval": interval,
        "seeds": len(differences),
        "by_seed": list(differences),
    }


def standard_error(values: Sequence[float]) -> float | None:
    """Return that of the mean, `None` for fewer than two values."""
    return statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else None


def _verdict(difference: Json | None) -> str | None:
    """Return "lower", "higher" or "open" (the interval holds 0), `None` for too few seeds."""
    if difference is None or difference["seeds"] < LEAST_SEEDS:
        return None
    low, high = difference["interval"]
    return "lower" if high < 0 else "higher" if low > 0 else "open"


def doubts_of(records: Sequence[Record], rows: Sequence[Json], updates: int | None) -> list[str]:
    """Return why no verdict can be drawn, a sentence each; none if one can."""
    doubts, most = [], max((row["runs"] for row in rows), default=0)
    pairs = [row["difference"]["seeds"] for row in rows[1:] if row["difference"]]
    if most < 2:
        doubts.append("One seed says nothing: what a rule brings cannot be told from chance.")
    elif most < LEAST_SEEDS or (pairs and max(pairs) < LEAST_SEEDS):
        doubts.append(
            f"{max(pairs, default=most)} seeds with a loss are too few, for two differences may "
            f"agree by chance: give at least {LEAST_SEEDS}."
        )
    if updates is not None and updates < SHORTEST:
        doubts.append(
            f"Runs of {updates:,} updates are too short to say anything of a warm-up: give at "
            f"least {SHORTEST}."
        )
    falls = [
        (record["trace"]["loss"][0], record["val_loss"])
        for record in records
        if record["val_loss"] is not None and record["trace"]["loss"]
    ]
    if falls and all(first > 0 and last > FELL * first for first, last in falls):
        first, last = (statistics.fmean(side) for side in zip(*falls, strict=True))
        doubts.append(
            f"The loss has hardly fallen, from {short(first, 4)} to {short(last, 4)}: these runs "
            "end before a warm-up could matter."
        )
    return doubts
