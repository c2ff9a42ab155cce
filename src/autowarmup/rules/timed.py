"""Warm-ups whose length is known before the first update."""

from __future__ import annotations

from dataclasses import dataclass, replace

from autowarmup.rules.base import Rule, RuleState, Seen
from autowarmup.rules.config import ScheduleConfig
from autowarmup.rules.decay import decay_factor


@dataclass(frozen=True)
class TimedState(RuleState):
    """A ramp from a first share to 1, then the decay.

    Attributes:
        first: share of the peak rate of the first update.
        length: index of the first update at the peak rate.
        power: the ramp rises as the power of the time; 1 is linear, less is steep at first.
    """

    first: float = 1.0
    length: int = 0
    power: float = 1.0

    @property
    def factor(self) -> float:
        """Share of the peak rate that the next update uses."""
        config, step = self.config, self.last_step
        if step < self.length:
            share = (step / self.length) ** self.power
            return self.first + (1.0 - self.first) * share
        progress = (step - self.length) / (config.total_steps - self.length)
        return decay_factor(config.decay, progress, config.final_fraction)

    @property
    def warmup_end_step(self) -> int | None:
        """Index of the first update at the peak rate, once it is over."""
        return self.length if self.step >= self.length else None


def advance(state: TimedState, seen: Seen) -> TimedState:
    """Count one update."""
    return replace(state, step=state.step + 1)


def ramp(config: ScheduleConfig, first: float, length: float, power: float = 1.0) -> TimedState:
    """Return a ramp that reaches the peak at update `length`, within the run."""
    whole = max(0, min(round(length), config.total_steps - 1))
    return TimedState(config, 0, first if whole else 1.0, whole, power)


def linear(share: float) -> Rule:
    """Return linear warm-up over a share of the run; 0 is a single update, no warm-up.

    Update k runs at (k + 1) / W, as `autowarmup.rules.baseline.linear_warmup`.
    """

    def init(config: ScheduleConfig) -> TimedState:
        length = max(1, round(share * config.total_steps))
        return ramp(config, 1.0 / length, length - 1)

    name = f"linear {100 * share:g}%" if share else "none"
    about = f"linear over {100 * share:g} % of the run" if share else "the peak rate at once"
    return Rule(name, "fixed", about, init, advance, TimedState.from_dict, False)


def untuned() -> Rule:
    """Return linear warm-up over 2 / (1 - b2) updates (arXiv 1910.04209, section 4.3).

    The rule is for Adam; with an optimizer that has no b2 its momentum takes the place of it.
    """

    def init(config: ScheduleConfig) -> TimedState:
        length = max(1.0, 2.0 / (1.0 - config.beta))
        return ramp(config, 1.0 / length, length - 1)

    about = "linear over 2 / (1 - b2) updates"
    return Rule("untuned", "published", about, init, advance, TimedState.from_dict, False)


def doubling(share: float = 0.1) -> Rule:
    """Return a linear ramp from a searched first rate (arXiv 2406.09405, initial rate by search).

    The first rate is the largest that does not raise the loss of the first batch (a trust ratio
    of 0). The ramp has the slope of a warm-up over `share` of the run, so that what lies below the
    first rate is saved.
    """

    def init(config: ScheduleConfig) -> TimedState:
        start = 1.0 / config.div
        return ramp(config, start, share * (1.0 - start) * config.total_steps)

    about = "first rate by search on the loss of the first batch, then linear"
    load = TimedState.from_dict
    return Rule("doubling", "published", about, init, advance, load, reads_loss=False, c=0.0)
