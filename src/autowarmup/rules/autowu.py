"""AutoWU: the rate grows exponentially until the smoothed loss stops falling, then decays.

Written from the description in arXiv 2107.05855: the rate starts far too small, and the place where
the loss turns is taken as the end of warm-up. Their Gaussian-process smoothing is replaced by an
exponential average, their test of the minimum at 95 % by the standard errors of that average here
and at its minimum, after a patience. Theirs knows no peak rate; here the user's is the largest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from autowarmup.rules.base import Move, Rule, Run, Update

FIRST, GROWTH = 1e-3, 0.5
"""From lr / 1000 to lr over half the run, if nothing stops it."""
SMOOTHING, PATIENCE = 0.95, 0.02
"""Of the loss; and the least share of the run without a new minimum that ends the growth."""
CONFIDENCE = 4.0
"""Standard errors of the smoothed loss by which it must lie above its minimum.

More than the 1.6 of a single test at 95 %: the minimum is the lowest of many noisy values.
"""


class Smoothed(NamedTuple):
    """The loss so far.

    Attributes:
        average: smoothed loss, not corrected for its start.
        weight: what corrects it.
        square: smoothed square of the distance of a loss from its average, not corrected either.
        spread: sum of the squared weights of the losses in `average`.
        lowest: least smoothed loss so far, `None` before the first.
        lowest_spread: variance of `lowest`, as a share of that of one loss.
        lowest_step: the update that it was seen at.
    """

    average: float = 0.0
    weight: float = 0.0
    square: float = 0.0
    spread: float = 0.0
    lowest: float | None = None
    lowest_spread: float = 0.0
    lowest_step: int = 0


@dataclass(frozen=True)
class AutoWU(Rule[Smoothed]):
    """The rate grows exponentially until the smoothed loss stops falling (arXiv 2107.05855)."""

    word: ClassVar[str] = "autowu"
    kind: ClassVar[str] = "literature"

    def start(self, run: Run) -> Move[Smoothed]:
        """Return a thousandth."""
        return Move(Smoothed(), grown(0, run.length))

    def advance(self, memory: Smoothed, update: Update) -> Move[Smoothed]:
        """Grow, or end where the loss has turned."""
        total, after = update.run.length, update.step + 1
        if update.loss is None:
            if after >= GROWTH * total:
                return Move(memory, grown(memory.lowest_step, total), "loss")
            return Move(memory, grown(after, total))
        memory, turned = _seen(memory, update.loss, update.step, total)
        if turned or after >= GROWTH * total:
            return Move(memory, grown(memory.lowest_step, total), "loss")
        return Move(memory, grown(after, total))

    def restore(self, values: Any) -> Smoothed:
        """Return the memory from its JSON values."""
        return Smoothed(**values)


def grown(step: int, total_steps: int) -> float:
    """Return the share of the user's rate at an update of the growing phase."""
    return FIRST ** (1.0 - min(1.0, step / (GROWTH * total_steps)))


def _seen(memory: Smoothed, loss: float, step: int, total: int) -> tuple[Smoothed, bool]:
    """Take a loss in; return what is remembered, and whether the smoothed loss has turned."""
    average = SMOOTHING * memory.average + (1 - SMOOTHING) * loss
    weight = SMOOTHING * memory.weight + (1 - SMOOTHING)
    here = average / weight
    distance = min(abs(loss - here), 1e150)  # whose square is still a number
    square = SMOOTHING * memory.square + (1 - SMOOTHING) * distance * distance
    spread = SMOOTHING**2 * memory.spread + (1 - SMOOTHING) ** 2
    share = spread / weight**2
    lowest, lowest_spread, lowest_step = memory[4:]
    if lowest is None or here < lowest:
        lowest, lowest_spread, lowest_step = here, share, step
    error = math.sqrt(square / weight * (share + lowest_spread))
    turned = here > lowest + CONFIDENCE * error
    waited = step - lowest_step >= max(5, PATIENCE * total)
    found = lowest, lowest_spread, lowest_step
    return Smoothed(average, weight, square, spread, *found), turned and waited
