"""Published sweeps of the length of warm-up: what a rule that knows its length would have cost.

A sweep holds final losses of one optimizer at several lengths. Between two of them the loss is read
off linearly in the logarithm of the length; beyond the ends the nearest one counts; beside a length
that diverged a run counts as diverged, too. This judges the length of a linear ramp, nothing else:
no brake, no shape, and no length that was never published.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from autowarmup.rules import Paced, Run
from autowarmup.rules.families import family_named

Json = dict[str, Any]
Sweep = Mapping[str, Any]
Length = Callable[[Sweep], float]


def loss_at(sweep: Sweep, length: float) -> float | None:
    """Return the final loss at a length in updates, `None` where the run diverged.

    Example:
        >>> sweep = {"losses": {"100": 3.0, "400": 2.0, "800": None}}
        >>> loss_at(sweep, 200), loss_at(sweep, 10), loss_at(sweep, 500)
        (2.5, 3.0, None)
    """
    known = sorted((max(1.0, float(at)), loss) for at, loss in sweep["losses"].items())
    below = [point for point in known if point[0] <= length] or known[:1]
    above = [point for point in known if point[0] >= length] or known[-1:]
    (low, left), (high, right) = below[-1], above[0]
    if left is None or right is None:
        return None
    if low == high:
        return left
    share = min(1.0, max(0.0, math.log(length / low) / math.log(high / low)))
    return left + share * (right - left)


def paced_length(sweep: Sweep, *, tokens: bool) -> float:
    """Return the length of the default's ramp, told the tokens of an update or not."""
    rule = Paced(tokens_per_update=sweep["tokens_per_step"] if tokens else None)
    family = family_named(sweep["optimizer"])
    return rule.length_in(Run(sweep["total_steps"], family=family, parameters=sweep["params"]))


POLICIES: dict[str, Length] = {
    "paced, tokens known": lambda sweep: paced_length(sweep, tokens=True),
    "paced, tokens not known": lambda sweep: paced_length(sweep, tokens=False),
    **{
        f"linear {100 * share:g} %": lambda sweep, share=share: share * sweep["total_steps"]
        for share in (0.02, 0.05, 0.1, 0.2, 0.45)
    },
    **{
        f"linear {updates:,} updates": lambda sweep, updates=updates: min(
            updates, sweep["total_steps"]
        )
        for updates in (500, 1000, 2000)
    },
}
"""Name -> length in updates."""


def replayed(sweeps: Iterable[Sweep], length: Length) -> Json:
    """Return the regret of a policy against the best published length, and where it diverges."""
    regrets: dict[str, list[float]] = {}
    diverged: list[str] = []
    for sweep in sweeps:
        loss = loss_at(sweep, length(sweep))
        best = min(value for value in sweep["losses"].values() if value is not None)
        if loss is None:
            diverged.append(f"{sweep['optimizer']}, {sweep['total_steps']} updates")
        else:
            regrets.setdefault(sweep["optimizer"], []).append(loss / best - 1.0)
    every = [regret for each in regrets.values() for regret in each]
    return {
        "sweeps": len(every) + len(diverged),
        "mean_regret": statistics.fmean(every) if every else None,
        "worst_regret": max(every, default=None),
        "diverged": diverged,
        "by_optimizer": {name: statistics.fmean(regrets[name]) for name in sorted(regrets)},
    }
