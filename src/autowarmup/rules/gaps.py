"""Rules that follow the gap: the schedule of `core.schedule`, and the law of paper B."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from autowarmup.rules.base import Rule, RuleState, Seen
from autowarmup.rules.config import ScheduleConfig
from autowarmup.rules.decay import decay_factor
from autowarmup.rules.gap import GapState, observe
from autowarmup.rules.gap_law import schedule


def gap_rule(peak: str | float, *, kind: str = "candidate") -> Rule:
    """Return the law of arXiv 2602.05813 with a measured start and a rule for its peak."""

    def init(config: ScheduleConfig) -> schedule.ScheduleState:
        return schedule.init(replace(config, peak=peak))

    def step(state: schedule.ScheduleState, seen: Seen) -> schedule.ScheduleState:
        return schedule.step(state, seen.loss)[0]

    about = f"law of the gap, measured start, peak rule {peak}"
    load = schedule.ScheduleState.from_dict
    return Rule(str(peak), kind, about, init, step, load, c=0.7)


@dataclass(frozen=True)
class LawState(RuleState):
    """The (H0, H1) warm-up between two updates.

    Attributes:
        tracker: the smoothed gap.
        gap0: first gap.
    """

    tracker: GapState = field(default_factory=GapState)
    gap0: float | None = None

    @property
    def gap(self) -> float | None:
        """Smoothed gap in units of the loss, `None` before the first finite loss."""
        return self.tracker.gap

    @property
    def factor(self) -> float:
        """Share of the peak rate that the next update uses."""
        config, share = self.config, 1.0
        if self.gap0 is not None and self.gap is not None:
            share = min(1.0, self.gap / self.gap0)
        law = 1.0 / (1.0 + (config.div - 1.0) * share)
        progress = self.last_step / config.total_steps
        return law * decay_factor(config.decay, progress, config.final_fraction)

    @property
    def warmup_end_step(self) -> int | None:
        """It has no end: the law and the decay multiply."""
        return None

    def to_dict(self) -> dict[str, Any]:
        """Return the state as plain JSON values."""
        return {**super().to_dict(), "tracker": self.tracker._asdict()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> LawState:
        """Build the state that `to_dict` described."""
        return super().from_dict({**values, "tracker": GapState(**values["tracker"])})


def h0h1() -> Rule:
    """Return the one-parameter warm-up of arXiv 2510.03164: rate = lr / (1 + (H1 / H0) gap).

    Its parameter is set by the measured start, (H1 / H0) gap0 = div - 1; the decay multiplies it.
    """

    def step(state: LawState, seen: Seen) -> LawState:
        config, tracker, gap0 = state.config, state.tracker, state.gap0
        if seen.loss is not None:
            tracker, _ = observe(
                tracker, seen.loss, lower_bound=config.lower_bound, smoothing=config.smoothing
            )
        if gap0 is None and tracker.gap is not None and tracker.gap > 0:
            gap0 = tracker.gap
        return LawState(config, state.step + 1, tracker, gap0)

    about = "rate = lr / (1 + (div - 1) gap / gap0), times the decay; measured start"
    return Rule("h0h1", "published", about, LawState, step, LawState.from_dict, c=0.7)
