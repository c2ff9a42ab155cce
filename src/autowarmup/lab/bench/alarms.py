"""Recorded losses fed to a rule: does it lower the rate where it must, and only there?

The losses are those of another warm-up, so this is a check and not a forecast: it says when a rule
would have noticed, not what would have come of it.
"""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, NamedTuple

from autowarmup.lab.bench.plan import RunPlan
from autowarmup.lab.bench.records import Record
from autowarmup.lab.bench.rules import build, facts_of
from autowarmup.lab.bench.setups import Setup, key
from autowarmup.recorded import walk
from autowarmup.rules import Rule, Run, rule_of

Json = dict[str, Any]

HARMFUL = 0.05
"""Final loss above that of the best rate, relative, from which a rate does harm beyond noise."""
EARLY = 1 / 3
"""Share of the harm before which it is to be noticed."""
NOISES, LEVEL, SPREAD = 100, 1.5, 0.2
"""Runs of each kind whose loss is a level and noise, as in fine-tuning that gains nothing."""
LAST = 0.05
"""Share of a run whose mean loss is its end."""


class Curve(NamedTuple):
    """A loss that was seen in public: E + A (1 + t / a)^-p + B exp(-(t / b)^q), and its noise.

    Fitted to the training loss of every step of runs of KellerJordan/modded-nanogpt (logs of 2024,
    FineWeb); within 1 to 5 % of it (root mean square). The noise is the standard deviation of a
    step, from differences of neighbours.
    """

    name: str
    family: str
    steps: int
    constants: tuple[float, float, float, float, float, float, float]
    noise: float

    @property
    def run(self) -> Run:
        """Return what a rule is told."""
        return Run(self.steps, family=self.family, kappa=1.0)

    def losses(self, seed: int = 0) -> list[float]:
        """Return a loss for every step."""
        low, high, p, a, more, b, q = self.constants
        draw = random.Random(seed)
        return [
            low
            + high * (1 + t / a) ** -p
            + more * math.exp(-((t / b) ** q))
            + draw.gauss(0.0, self.noise)
            for t in range(self.steps)
        ]


CURVES = (
    Curve("AdamW 124M", "other", 9536, (3.172, 7.235, 0.5291, 14.48, 0.6438, 416.3, 3.0), 0.048),
    Curve("AdamW 1.5B", "other", 20344, (2.892, 4.816, 1.163, 291.2, 9.72, 1.0, 0.3), 0.239),
    Curve("Muon 1.5B", "spectral", 20344, (2.838, 3.313, 0.9439, 215.5, 11.7, 1.0, 0.3), 0.222),
    Curve("Muon 124M", "spectral", 6200, (3.355, 3.143, 1.174, 205.5, 4.405, 1.778, 0.5306), 0.123),
    Curve(
        "Shampoo 124M", "preconditioned", 5100, (3.355, 5.204, 1.002, 72.16, 6.554, 1.0, 0.3), 0.113
    ),
    Curve(
        "Muon 124M, newer", "spectral", 5100, (3.358, 2.693, 1.143, 171.3, 9.454, 1.0, 0.3), 0.114
    ),
    Curve(
        "SOAP 124M, newer",
        "preconditioned",
        5100,
        (1.516, 1.894, 0.06472, 162800.0, 12.37, 39.43, 0.4137),
        0.114,
    ),
)
"""Runs that went well at their own peak rate, 124M to 1.5B parameters."""


def walked(rule: Rule[Any], run: Run, losses: Iterable[float]) -> Json:
    """Return what a rule does over recorded losses: how far it rises, and where it goes back."""
    pairs = [(before, after) for before, _, after in walk(rule, run, losses)]
    states = [after for _, after in pairs]
    return {
        "lowered_at": [old.step for old, new in pairs if new.lowered > old.lowered],
        "highest_share": max(state.share for state in states),
        "share_at_the_end": states[-1].share,
        "warmup_end_step": states[-1].end,
    }


def alarms(rule: str, records: Sequence[Record]) -> Json:
    """Return the false alarms of a rule, and what it catches.

    Args:
        rule: name of it.
        records: runs whose every loss is kept (the set "logs"), at the best rate and above.
    """
    best = {
        _pair(record): record
        for record in records
        if record["val_loss"] is not None and _multiple(record) == 1.0
    }
    rows = [_row(rule, record, best.get(_pair(record))) for record in records]
    rows += [
        {
            "log": f"{curve.name}, fitted",
            "healthy": True,
            "harm": None,
            "done_when_caught": None,
            "steps": curve.steps,
            **walked(
                rule_of(rule), Run(curve.steps, family=curve.family, kappa=1.0), curve.losses()
            ),
        }
        for curve in CURVES
    ]
    healthy = [row for row in rows if row["healthy"]]
    harmful = [row for row in rows if is_harmful(row)]
    caught = [row for row in harmful if row["lowered_at"]]
    return {
        **noise_alarms(rule),
        "healthy": len(healthy),
        "false_alarms": sum(bool(row["lowered_at"]) for row in healthy),
        "harmful": len(harmful),
        "caught": len(caught),
        "caught_early": sum((row["done_when_caught"] or 0.0) < EARLY for row in caught),
        "median_share_of_the_run_when_caught": (
            statistics.median(row["lowered_at"][0] / row["steps"] for row in caught)
            if caught
            else None
        ),
        "rows": rows,
    }


@cache
def noise_alarms(rule: str, total: int = 1000) -> Json:
    """Return in how many runs of noise alone a rule lowers the rate.

    Normal and skewed noise, of a fresh model and of one that is trained.
    """
    lowered = 0
    for trained in (False, True):
        run = Run(total, kappa=1.0, trained=trained)
        for skewed in (False, True):
            for seed in range(NOISES):
                draw = random.Random(seed)
                jumps = (
                    draw.expovariate(1.0) - 1.0 if skewed else draw.gauss(0.0, 1.0)
                    for _ in range(total // 2)
                )
                losses = (LEVEL + SPREAD * jump for jump in jumps)
                states = [after for _, _, after in walk(rule_of(rule), run, losses)]
                lowered += states[-1].lowered > 0
    return {"noise": 4 * NOISES, "noise_lowered": lowered}


def is_harmful(row: Json) -> bool:
    """Return whether the rate of a log did harm beyond noise."""
    return not row["healthy"] and (row["harm"] or 0.0) >= HARMFUL


def _row(rule: str, record: Record, best: Record | None) -> Json:
    setup, losses = Setup(**record["setup"]), record["every_loss"]
    run = Run(setup.steps, beta=0.9, kappa=1.0, **facts_of(setup))
    multiple, val = _multiple(record), record["val_loss"]
    harm = math.inf if val is None else None if best is None else val / best["val_loss"] - 1.0
    name = setup.family.id.replace("-lr0-", "-")
    found = walked(build(RunPlan(setup, record["seed"], rule)), run, losses)
    at = found["lowered_at"]
    return {
        "log": f"{name}, {multiple:g} x best, seed {record['seed']}",
        "healthy": multiple == 1.0,
        "harm": harm if harm is None or math.isfinite(harm) else None,
        "done_when_caught": done(losses, best["every_loss"], at[0]) if at and best else None,
        "steps": setup.steps,
        **found,
    }


def done(losses: Sequence[float | None], best: Sequence[float | None], at: int) -> float:
    """Return the share of a rate's harm that is done at an update.

    Harm is the training loss above that of the best rate with the same seed and data: here over
    the last half octave, at the end over the last 5 %. 0 where the rate did better so far, or
    where the run diverges later.

    Example:
        >>> done([3.0] * 50 + [5.0] * 50, [3.0] * 100, 60), done([3.0] * 80, [3.0] * 100, 70)
        (0.5555555555555556, 0.0)
    """

    def above(first: int, last: int) -> float:
        pairs = zip(losses[first:last], best[first:last], strict=False)
        known = [a - b for a, b in pairs if a is not None and b is not None]
        return statistics.fmean(known) if known else math.inf

    total = len(best)
    final = above(total - max(1, round(LAST * total)), total)
    return max(0.0, above(round(at / math.sqrt(2)), at) / final) if final > 0 else 0.0


def _pair(record: Record) -> tuple[str, int]:
    return key({**record["setup"], "lr": 0.0}), record["seed"]


def _multiple(record: Record) -> float:
    return record["setup"]["lr"] / record["options"]["best"]
