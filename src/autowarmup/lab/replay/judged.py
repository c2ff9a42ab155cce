"""A log and rules -> what each would have done, as plain JSON values and as curves."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from autowarmup.history import Trace, strict_json
from autowarmup.lab.replay.log import Log
from autowarmup.recorded import replay, run_of
from autowarmup.rules import Paced, Watched, rule_of
from autowarmup.rules.state import told as told_of

Json = dict[str, Any]

AT_THE_PEAK = 0.98
"""Share of the largest rate from which a log's own rate is at its peak."""
LOOKS = 8
"""How often the lowest earlier loss is looked for while the time doubles."""


def judged(
    log: Log,
    rules: Sequence[str],
    *,
    total_steps: float | None = None,
    lr: float | None = None,
    optimizer: str = "",
    **told: Any,
) -> tuple[Json, dict[str, Trace]]:
    """Return what rules would have done over a log, and the trace of each.

    Args:
        log: the run.
        rules: names of rules; the first is the one that sentences are about.
        total_steps: of the run; by default what the log says, or what it covers.
        lr: peak rate; by default the largest of the log, or none: shares alone.
        optimizer: by name, empty where it is not known.
        **told: what else the rules are to know, as `autowarmup.replay`.

    Raises:
        ValueError: one of them is out of its range, or a rule cannot follow such a run.
    """
    covered = int(log.steps[-1]) + 1
    if total_steps is None:
        total_steps = max(covered, log.total or 0)
    peak = lr if lr is not None else _peak(log)
    traces = {
        name: replay(
            log.losses, name, total_steps, steps=log.steps, lr=peak or 1.0, optimizer=optimizer,
            **told,
        )
        for name in rules
    }  # fmt: skip
    known = math.isfinite(total_steps)
    run = run_of(total_steps, optimizer, **told)
    record = {
        "sources": [
            {"name": name, "format": kind, "columns": list(columns)}
            for name, kind, columns in log.sources
        ],
        "losses": len(log.losses),
        "updates": covered,
        "total_steps": int(total_steps) if known else None,
        "first_loss": _level(log, 0, min(covered, 10)),
        "last_loss": _level(log, round(0.9 * covered), covered),
        "peak_rate": peak,
        "peak_reached_at": _own_peak(log),
        "optimizer": optimizer or None,
        "told": told,
        "notes": list(log.notes),
        "rules": [_row(name, trace, log) for name, trace in traces.items()],
    }
    for row, name in zip(record["rules"], rules, strict=True):
        row["first_share"] = rule_of(name).start(told_of(rule_of(name), run)).share
    return strict_json(record), traces


def _row(name: str, trace: Trace, log: Log) -> Json:
    """Return what one rule did."""
    rule, points = rule_of(name), trace.points
    end = next((point.step for point in points if point.phase != "warmup"), None)
    lowered = [
        {
            "step": point.step,
            "from": point.factor,
            "to": after.factor,
            **(why(log, point.step) or {}),
        }
        for point, after in itertools.pairwise(points)
        if point.status == "LOWERED"
    ]
    shares = [point.factor or 0.0 for point in points]
    return {
        "rule": name,
        "about": rule.about,
        "reads_loss": rule.reads_loss,
        "lowers": isinstance(rule, Paced | Watched),
        "warmup_end_step": end,
        "highest_share": max(shares),
        "last_share": shares[-1],
        "lowered": lowered,
        "lowest_share": min((each["to"] for each in lowered), default=None),
    }


def why(log: Log, step: int) -> Json | None:
    """Return the level of the loss when the rate was lowered, and the lowest before it.

    Levels are medians over half an octave of time, (t / sqrt(2), t].

    Example:
        >>> losses = np.array([4.0] * 50 + [3.0] * 50 + [5.0] * 100)
        >>> found = why(Log(np.arange(200), losses, None, None, (), ()), 199)
        >>> found["lowest"], found["level"]
        (3.0, 5.0)
    """
    level = _level(log, round((step + 1) / math.sqrt(2)), step + 1)
    before = []
    last = (step + 1) / math.sqrt(2)
    while last > 8:
        first = last / math.sqrt(2)
        found = _level(log, round(first), round(last))
        if found is not None:
            before.append((found, round(first), round(last) - 1))
        last *= 2 ** (-1 / LOOKS)
    if level is None or not before:
        return None
    lowest, first, end = min(before)
    return {"level": level, "lowest": lowest, "lowest_from": first, "lowest_to": end}


def _level(log: Log, first: int, end: int) -> float | None:
    """Return the median loss of the updates from `first` on and before `end`."""
    inside = log.losses[np.searchsorted(log.steps, first) : np.searchsorted(log.steps, end)]
    inside = inside[np.isfinite(inside)]
    return float(np.median(inside)) if len(inside) else None


def _peak(log: Log) -> float | None:
    """Return the largest rate of the log, `None` where it has none above 0."""
    known = [] if log.rates is None else log.rates[np.isfinite(log.rates)]
    return float(np.max(known)) if len(known) and np.max(known) > 0 else None


def _own_peak(log: Log) -> int | None:
    """Return the update at which the log's own rate is first at its peak."""
    peak = _peak(log)
    if peak is None or log.rates is None:
        return None
    return int(log.steps[np.flatnonzero(log.rates >= AT_THE_PEAK * peak)[0]])
