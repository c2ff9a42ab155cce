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
import sys
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from autowarmup.rules.base import Move, Rule, Run, Update, record
from autowarmup.rules.settings import expect, store_finite, whole
from autowarmup.rules.status import Status

LARGEST = sys.float_info.max
"""At which the sum of the gaps stays where it would overflow."""


class Watch(NamedTuple):
    """What the rule remembers.

    Attributes:
        window: number of updates in which the loss is looked at.
        total: sum of the gaps since the last look.
        seen: number of them.
        means: mean gap before each look so far.
        holding: whether the last look found too small a fall.
    """

    window: int
    total: float = 0.0
    seen: int = 0
    means: tuple[float, ...] = ()
    holding: bool = False


_MOVE: type[Move[Watch]] = Move


@dataclass(frozen=True)
class Watched(Rule[Watch]):
    """Long ramp, steep at first, lowered where the loss stalls.

    Args:
        share: of the run in which the loss is looked at, and of a full ramp, in (0, 1].
        power: a full ramp rises as this power of the time, > 0; below 1 it is steep at first.
        looks: how often, >= 1.
        apart: looks between the two that are compared, >= 1.
        least: relative fall of the gap between them that lets the rate rise.
        gain: how much of what is missing of it goes off the log rate at a look, >= 0.
        most: largest factor by which one look lowers the rate, >= 1.
        floor: share of the peak rate below which looks do not lower it, in [0, 1].

    Raises:
        ValueError: an argument out of its range.

    Example:
        >>> Watched().name, Watched(share=0.3).name
        ('watched', 'watched(share=0.3)')
    """

    word: ClassVar[str] = "watched"

    share: float = 0.45
    power: float = 0.7
    looks: int = 10
    apart: int = 2
    least: float = 0.03
    gain: float = 10.0
    most: float = 1.5
    floor: float = 0.2

    def __post_init__(self) -> None:
        set_field = object.__setattr__  # values become plain JSON here
        store_finite(self, "share", "power", "least", "gain", "most", "floor")
        for name in ("looks", "apart"):
            set_field(self, name, whole(name, getattr(self, name)))
            expect(getattr(self, name) >= 1, f"{name} >= 1", getattr(self, name))
        expect(0 < self.share <= 1, "0 < share <= 1 (of the run)", self.share)
        expect(self.power > 0, "power > 0", self.power)
        expect(self.gain >= 0, "gain >= 0", self.gain)
        expect(self.most >= 1, "most >= 1", self.most)
        expect(0 <= self.floor <= 1, "0 <= floor <= 1", self.floor)

    @property
    def about(self) -> str:
        """One line for tables."""
        return f"concave ramp over {100 * self.share:g} %, lowered where the loss stalls"

    def window(self, run: Run) -> int:
        """Return the number of updates in which the loss is looked at."""
        return max(1, math.floor(self.share * run.length))

    def start(self, run: Run) -> Move[Watch]:
        """Return the first step of a full ramp."""
        window = self.window(run)
        return Move(Watch(window), (1.0 / window) ** self.power)

    def advance(self, memory: Watch, update: Update) -> Move[Watch]:
        """Rise, hold or go back; look at the loss when it is time."""
        window, total, seen, means, holding = memory
        _, step, level, _, gap, _, event = update
        after, status = step + 1, None
        if gap is not None:
            total, seen = total + gap, seen + 1
            if total > LARGEST:
                total = LARGEST
        if seen and after * self.looks % window < self.looks:  # one more of the looks is over
            means, total, seen = (*means, total / seen), 0.0, 0
            missing = self.least - fall(means, self.apart)
            holding = missing > 0.0
            if holding:
                lower = level * max(1.0 / self.most, math.exp(-self.gain * missing))
                lowered = max(lower, min(level, self.floor))
                status = Status.LOWERED if lowered < level else Status.HELD
                level = lowered
        if not holding:
            level = min(1.0, (level ** (1.0 / self.power) + 1.0 / window) ** self.power)
        elif status is None:
            status = event or Status.HELD
        memory = record(Watch, (window, total, seen, means, holding))
        if after >= window:
            return Move(memory, level, "length")
        return record(_MOVE, (memory, level, "", status))

    def restore(self, values: Any) -> Watch:
        """Return the memory from its JSON values."""
        window, total, seen, means, holding = (values[name] for name in Watch._fields)
        return Watch(window, total, seen, tuple(means), holding)


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
