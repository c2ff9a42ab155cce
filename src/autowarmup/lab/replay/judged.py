"""A log and rules -> what each would have done, as plain JSON values and as curves."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from autowarmup.history import Trace, strict_json
from autowarmup.lab.replay.log import Log
from autowarmup.recorded import Walked, points, run_of, walk
from autowarmup.rules import Paced, Run, WarmupState, Watched, rule_of

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
    run, rows, traces = run_of(covered, total_steps, optimizer, **told), [], {}
    for name in rules:
        row, traces[name] = _replayed(name, run, log, 1.0 if peak is None else peak)
        rows.append(row)
    record = {
        "sources": [
            {"name": name, "format": kind, "columns": list(columns)}
            for name, kind, columns in log.sources
        ],
        "losses": len(log.losses),
        "finite_losses": int(np.isfinite(log.losses).sum()),
        "updates": covered,
        "total_steps": run.total_steps,
        "first_loss": _level(log, 0, min(covered, 10)),
        "last_loss": _level(log, round(0.9 * covered), covered),
        "peak_rate": peak,
        "peak_reached_at": _own_peak(log),
        "optimizer": optimizer or None,
        "told": told,
        "notes": list(log.notes),
        "rules": rows,
    }
    return strict_json(record), traces


def _replayed(name: str, run: Run, log: Log, lr: float) -> tuple[Json, Trace]:
    """Return what one rule did, and its trace."""
    rule, seen = rule_of(name), _Seen()
    walked = seen.through(walk(rule, run, log.losses.tolist(), log.steps.tolist()))
    trace = Trace(points(walked, len(log.losses), int(log.steps[-1]), lr=lr))
    last = seen.last
    assert last is not None, "a log has a loss"
    return {
        "rule": name,
        "about": rule.about,
        "reads_loss": rule.reads_loss,
        "lowers": isinstance(rule, Paced | Watched),
        "first_share": trace[0].factor,
        "warmup_end_step": last.end,
        "warmup_ended_by": last.ended_by,
        "highest_share": seen.highest,
        "last_share": trace[-1].factor,
        "lowered": [{**each, **(why(log, each["step"]) or {})} for each in seen.lowered],
        "lowest_share": last.lowest if last.lowered else None,
    }, trace


@dataclass
class _Seen:
    """What is noted while a replay passes by.

    Attributes:
        lowered: where the share of the peak rate, before the decay, was lowered.
        highest: share that an update had.
        last: state, at the end of the log.
    """

    lowered: list[Json] = field(default_factory=list)
    highest: float = 0.0
    last: WarmupState | None = None

    def through(self, walked: Iterable[Walked]) -> Iterator[Walked]:
        """Let a replay through and note it."""
        for each in walked:
            before, _, self.last = each
            self.highest = max(self.highest, before.factor)
            if self.last.lowered > before.lowered:
                change = {"step": before.step, "from": before.share, "to": self.last.share}
                self.lowered.append(change)
            yield each


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
