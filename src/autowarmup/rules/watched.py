"""The watched ramp: long, steep at first, and never on while the loss does not fall.

Two observations stand behind it (docs/bench.md). First, a ramp over almost half of the run is at or
near the best for sign updates and Adam at every rate tried, and costs the others little if it is
steep at first: a power of the time below 1. Second, a peak rate that is too high shows while the
rate still rises: the loss stalls, far above where a lower rate would take it. So the gap is looked
at ten times on the way. While it falls, the rate rises; where it has fallen by less than 3 % over
two looks, which are 9 % of the run, the rate goes back in proportion to what is missing, but not
below a fifth of the peak: a loss may also fall slowly because there is little left to learn, as in
fine-tuning. The decay then starts from wherever the rate is.

It needs the loss alone: no pass, no memory, nothing about the optimizer, no unit of the loss.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from autowarmup.rules.base import Rule, RuleState, Seen
from autowarmup.rules.config import ScheduleConfig
from autowarmup.rules.decay import decay_factor


@dataclass(frozen=True, slots=True)
class Watch:
    """The constants.

    Attributes:
        share: of the run in which the loss is looked at, and of a full ramp.
        power: a full ramp rises as this power of the time; below 1 it is steep at first.
        looks: how often.
        apart: looks between the two that are compared.
        least: relative fall of the gap between them that lets the rate rise.
        gain: how much of what is missing of it goes off the log rate at a look.
        most: largest factor by which one look lowers the rate.
        floor: share of the peak rate below which looks do not lower it.
    """

    share: float = 0.45
    power: float = 0.7
    looks: int = 10
    apart: int = 2
    least: float = 0.03
    gain: float = 10.0
    most: float = 1.5
    floor: float = 0.2


@dataclass(frozen=True)
class WatchedState(RuleState):
    """Between two updates.

    Attributes:
        watch: the constants.
        level: share of the peak rate, before the decay.
        total: sum of the gaps since the last look.
        count: number of them.
        means: mean gap before each look so far.
        holding: whether the last look found too small a fall.
    """

    watch: Watch = Watch()
    level: float = 1.0
    total: float = 0.0
    count: int = 0
    means: tuple[float, ...] = ()
    holding: bool = False

    @property
    def window(self) -> int:
        """Number of updates in which the loss is looked at."""
        return max(1, math.floor(self.watch.share * self.config.total_steps))

    @property
    def factor(self) -> float:
        """Share of the peak rate that the next update uses."""
        config, step = self.config, self.last_step
        if step < self.window:
            return self.level
        progress = (step - self.window) / (config.total_steps - self.window)
        return self.level * decay_factor(config.decay, progress, config.final_fraction)

    @property
    def warmup_end_step(self) -> int | None:
        """Index of the first update after the last look, once it is over."""
        return self.window if self.step >= self.window else None

    def to_dict(self) -> dict[str, Any]:
        """Return the state as plain JSON values."""
        return {**super().to_dict(), "means": list(self.means)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> WatchedState:
        """Build the state that `to_dict` described."""
        watch, means = Watch(**values["watch"]), tuple(values["means"])
        return super().from_dict({**values, "watch": watch, "means": means})


def watched(watch: Watch | None = None, name: str = "watched") -> Rule:
    """Return the rule with these constants."""
    constants = watch or Watch()

    def init(config: ScheduleConfig) -> WatchedState:
        state = WatchedState(config, 0, constants)
        return replace(state, level=(1.0 / state.window) ** constants.power)

    about = f"concave ramp over {100 * constants.share:g} %, lowered where the loss stalls"
    return Rule(name, "candidate", about, init, advance, WatchedState.from_dict)


def advance(state: WatchedState, seen: Seen) -> WatchedState:
    """Count one update, and look at the loss when it is time."""
    after, window, looks = state.step + 1, state.window, state.watch.looks
    if after > window:
        return replace(state, step=after)
    total, count, level, holding = state.total, state.count, state.level, state.holding
    means = state.means
    if seen.loss is not None and math.isfinite(seen.loss):
        gap = seen.loss - state.config.lower_bound
        if gap <= 0.0 and not means and not count:
            raise ValueError(
                "the lower bound must lie below the first loss: "
                f"expected lower_bound < {seen.loss}, got {state.config.lower_bound}"
            )
        total, count = total + max(gap, 0.0), count + 1
    if count and after * looks // window > state.step * looks // window:
        means, total, count = (*means, total / count), 0.0, 0
        missing = state.watch.least - fall(means, state.watch.apart)
        holding = missing > 0.0
        if holding:
            lower = level * max(1.0 / state.watch.most, math.exp(-state.watch.gain * missing))
            level = max(lower, min(level, state.watch.floor))
    if not holding:
        power = state.watch.power
        level = min(1.0, (level ** (1.0 / power) + 1.0 / window) ** power)
    return WatchedState(state.config, after, state.watch, level, total, count, means, holding)


def fall(means: tuple[float, ...], apart: int) -> float:
    """Return the relative fall of the mean gap since `apart` looks ago, or since the first.

    Example:
        >>> fall((4.0, 3.0, 2.0), 1), fall((4.0,), 3)
        (0.33333333333333337, inf)
    """
    if len(means) < 2:
        return math.inf
    before = means[max(0, len(means) - 1 - apart)]
    return 1.0 - means[-1] / before if before > 0.0 else 0.0
