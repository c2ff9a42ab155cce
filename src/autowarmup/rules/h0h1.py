"""The one-parameter warm-up of the (H0, H1) law."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from autowarmup.rules.base import Move, Rule, Run, Update
from autowarmup.rules.settings import expect, store_finite


class FirstGap(NamedTuple):
    """What the law remembers: the first gap, `None` before it."""

    gap0: float | None = None


@dataclass(frozen=True)
class H0H1(Rule[FirstGap]):
    """rate = lr / (1 + (div - 1) gap / gap0), times the decay.

    The one-parameter warm-up of arXiv 2510.03164, rate = lr / (1 + (H1 / H0) gap); its parameter is
    set by the first rate, (H1 / H0) gap0 = div - 1. The decay multiplies it from the first update.

    Args:
        div: peak rate over first rate where `calibrate` does not measure it, >= 1.
        smoothing: factor of the exponential average of the gap, in [0, 1).

    Raises:
        ValueError: an argument out of its range.
    """

    word: ClassVar[str] = "h0h1"
    kind: ClassVar[str] = "literature"
    measured_start: ClassVar[float | None] = 0.7
    decays_throughout: ClassVar[bool] = True

    div: float = 100.0
    smoothing: float = 0.9

    def __post_init__(self) -> None:
        store_finite(self, "div", "smoothing")
        expect(self.div >= 1, "div >= 1", self.div)
        expect(0 <= self.smoothing < 1, "0 <= smoothing < 1", self.smoothing)

    @property
    def gap_smoothing(self) -> float:
        """The setting."""
        return self.smoothing

    def start(self, run: Run) -> Move[FirstGap]:
        """Return 1 / div."""
        return Move(FirstGap(), 1.0 / (1.0 + ((run.div or self.div) - 1.0)))

    def advance(self, memory: FirstGap, update: Update) -> Move[FirstGap]:
        """Return the law's share."""
        gap, gap0 = update.smoothed, memory.gap0
        if gap is None:
            return Move(memory, update.share)
        if gap0 is None:
            gap0 = gap
            memory = FirstGap(gap0)
        over = (update.run.div or self.div) - 1.0
        return Move(memory, 1.0 / (1.0 + over * min(1.0, gap / gap0)))

    def restore(self, values: Any) -> FirstGap:
        """Return the memory from its JSON values."""
        return FirstGap(**values)
