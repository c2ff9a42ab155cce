"""AutoWU: the rate grows exponentially until the smoothed loss stops falling, then decays.

Written from the description in arXiv 2107.05855: no peak rate is given; the rate starts far too
small, and the place where the loss turns is taken as the end of warm-up. Their Gaussian-process
smoothing is replaced by an exponential average, their test of the minimum at 95 % by the standard
errors of that average here and at its minimum, after a patience.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from autowarmup.rules.base import Rule, RuleState, Seen
from autowarmup.rules.decay import decay_factor

FIRST, LAST, GROWTH = 1e-3, 10.0, 0.5
"""From lr / 1000 to 10 lr over half the run, if nothing stops it."""
SMOOTHING, PATIENCE = 0.95, 0.02
"""Of the loss; and the least share of the run without a new minimum that ends the growth."""
CONFIDENCE = 4.0
"""Standard errors of the smoothed loss by which it must lie above its minimum.

More than the 1.6 of a single test at 95 %: the minimum is the lowest of many noisy values.
"""


@dataclass(frozen=True)
class AutoWUState(RuleState):
    """Between two updates.

    Attributes:
        average: smoothed loss, not corrected for its start.
        weight: what corrects it.
        square: smoothed square of the distance of a loss from its average, corrected alike.
        spread: sum of the squared weights of the losses in `average`.
        lowest: least smoothed loss so far, `None` before the first.
        lowest_spread: variance of `lowest`, as a share of that of one loss.
        lowest_step: the update that it was seen at.
        end: index of the first update of the decay.
        peak: share of the user's rate from which the decay starts.
    """

    average: float = 0.0
    weight: float = 0.0
    square: float = 0.0
    spread: float = 0.0
    lowest: float | None = None
    lowest_spread: float = 0.0
    lowest_step: int = 0
    end: int | None = None
    peak: float = LAST

    @property
    def factor(self) -> float:
        """Share of the user's rate; it may be above 1, since the rule finds its own peak."""
        config = self.config
        if self.end is None:
            return grown(self.last_step, config.total_steps)
        progress = (self.last_step - self.end) / (config.total_steps - self.end)
        return self.peak * decay_factor(config.decay, progress, config.final_fraction)

    @property
    def warmup_end_step(self) -> int | None:
        """Index of the first update of the decay."""
        return self.end

    @property
    def ended_by(self) -> str:
        """What ended the growth."""
        return "" if self.end is None else "loss"


def grown(step: int, total_steps: int) -> float:
    """Return the share of the user's rate at an update of the growing phase."""
    return FIRST * (LAST / FIRST) ** min(1.0, step / (GROWTH * total_steps))


def autowu() -> Rule:
    """Return AutoWU (arXiv 2107.05855)."""

    def step(state: AutoWUState, seen: Seen) -> AutoWUState:
        total = state.config.total_steps
        here, after = state.step, state.step + 1
        loss = seen.loss
        if state.end is not None or loss is None or not math.isfinite(loss):
            return replace(state, step=after)
        average = SMOOTHING * state.average + (1 - SMOOTHING) * loss
        weight = SMOOTHING * state.weight + (1 - SMOOTHING)
        square = SMOOTHING * state.square + (1 - SMOOTHING) * (loss - average / weight) ** 2
        spread = SMOOTHING**2 * state.spread + (1 - SMOOTHING) ** 2
        share = spread / weight**2
        lowest, lowest_step, its = state.lowest, state.lowest_step, state.lowest_spread
        if lowest is None or average / weight < lowest:
            lowest, lowest_step, its = average / weight, here, share
        end, peak = None, state.peak
        error = math.sqrt(square / weight * (share + its))
        risen = average / weight > lowest + CONFIDENCE * error
        turned = risen and here - lowest_step >= max(5, PATIENCE * total)
        if (turned or after >= GROWTH * total) and after < total:  # a decay needs an update
            end, peak = after, grown(lowest_step, total)
        found = lowest, its, lowest_step, end, peak
        return AutoWUState(state.config, after, average, weight, square, spread, *found)

    about = "the rate grows exponentially until the smoothed loss stops falling"
    return Rule("autowu", "published", about, AutoWUState, step, AutoWUState.from_dict)
