"""Warm-ups whose length does not depend on the loss."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from autowarmup.rules.base import Move, Rule, Run, Update
from autowarmup.rules.settings import expect, finite, store_finite, whole
from autowarmup.rules.status import Status


class Ramp(NamedTuple):
    """A straight way from a first share to 1.

    Attributes:
        first: share of the peak rate of the first update.
        length: index of the first update at the peak rate.
    """

    first: float
    length: int

    def share(self, step: int) -> float:
        """Return the share of an update before `length`."""
        return self.first + (1.0 - self.first) * (step / self.length)


@dataclass(frozen=True)
class Timed(Rule[Ramp]):
    """What the rules of this file share: a ramp that is known before the first update."""

    reads_loss: ClassVar[bool] = False

    def ramp(self, run: Run) -> Ramp:
        """Return the ramp of this rule in a run."""
        raise NotImplementedError

    def start(self, run: Run) -> Move[Ramp]:
        """Return the share of the first update."""
        ramp = self.ramp(run)
        if ramp.length < 1:
            return Move(ramp, 1.0, "not needed", Status.NOT_NEEDED)
        return Move(ramp, ramp.first)

    def advance(self, memory: Ramp, update: Update) -> Move[Ramp]:
        """Return the share of the next update."""
        after = update.step + 1
        if after >= memory.length:
            return Move(memory, 1.0, "length")
        return Move(memory, memory.share(after))

    def restore(self, values: Any) -> Ramp:
        """Return the ramp from its JSON values."""
        return Ramp(**values)


@dataclass(frozen=True)
class Linear(Timed):
    """Linear warm-up over a share of the run, or over a number of updates.

    Update k (from 0) of a warm-up over W updates runs at (k + 1) / W of the peak rate, so that
    update W - 1 is the first at the peak; 0 and 1 updates both mean no warm-up.

    Args:
        share: of the run, in [0, 1].
        steps: number of updates, at most those of the run; instead of a share.

    Raises:
        ValueError: neither or both, or out of range.

    Example:
        >>> Linear(0.05).name, Linear(steps=500).name, Linear(0.0).name
        ('linear 5%', 'linear 500 steps', 'none')
    """

    word: ClassVar[str] = "linear"
    kind: ClassVar[str] = "fixed"

    share: float | None = None
    steps: int | None = None

    def __post_init__(self) -> None:
        if (self.share is None) == (self.steps is None):
            both = f"share={self.share!r} and steps={self.steps!r}"
            raise ValueError(f"Linear: expected a share of the run or steps=..., got {both}")
        if self.share is not None:
            share = finite("share", self.share)
            hint = "a share of the run in [0, 1] (Linear(steps=500) counts updates)"
            expect(0 <= share <= 1, hint, self.share)
            object.__setattr__(self, "share", share)
        else:
            object.__setattr__(self, "steps", whole("steps", self.steps))
            expect(self.steps is not None and self.steps >= 0, "steps >= 0", self.steps)

    @property
    def needs_total_steps(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Whether it is a share of the run."""
        return bool(self.share)

    @property
    def name(self) -> str:
        """The usual spelling."""
        if self.steps is not None:
            return f"linear {self.steps} steps"
        assert self.share is not None, "one of the two is given"
        if not self.share:
            return "none"
        percent = _percent(self.share)
        return f"linear {percent}%" if percent else f"linear(share={self.share!r})"

    @property
    def about(self) -> str:
        """One line for tables."""
        if self.steps is not None:
            return f"linear over {self.steps} updates"
        assert self.share is not None, "one of the two is given"
        if not self.share:
            return "the peak rate at once"
        return f"linear over {100 * self.share:g} % of the run"

    def length(self, run: Run) -> int:
        """Return W, the number of updates of the warm-up.

        Raises:
            ValueError: more than the run has.
        """
        if self.steps is None:
            assert self.share is not None, "one of the two is given"
            return max(1, round(self.share * run.length)) if self.share else 1
        if run.total_steps is not None:
            most = f"a warm-up of at most the {run.total_steps} updates of the run"
            expect(self.steps <= run.total_steps, most, self.name)
        return max(1, self.steps)

    def ramp(self, run: Run) -> Ramp:
        """Return the ramp: update W - 1 is the first at the peak rate."""
        length = self.length(run)
        return Ramp(1.0 / length, length - 1)

    def advance(self, memory: Ramp, update: Update) -> Move[Ramp]:
        """Return (k + 1) / W, without the rounding of a first share and a slope."""
        after = update.step + 1
        if after >= memory.length:
            return Move(memory, 1.0, "length")
        return Move(memory, (after + 1) / (memory.length + 1))


def _percent(share: float) -> str | None:
    """Return a share in per cent if reading it gives the very same number.

    Example:
        >>> _percent(0.05), _percent(0.6458253151913765)
        ('5', None)
    """
    texts = (f"{100 * share:.{digits}g}" for digits in range(1, 18))
    return next((text for text in texts if "e" not in text and float(text) / 100 == share), None)


@dataclass(frozen=True)
class Untuned(Timed):
    """Linear over 2 / (1 - b2) updates.

    The rule of arXiv 1910.04209, section 4.3. It is for Adam; with an optimizer that has no b2 its
    momentum takes the place of it.
    """

    word: ClassVar[str] = "untuned"
    needs_total_steps: ClassVar[bool] = False
    kind: ClassVar[str] = "literature"

    def ramp(self, run: Run) -> Ramp:
        """Return the ramp, within the run."""
        length = max(1.0, 2.0 / (1.0 - run.beta))
        return _within(run, 1.0 / length, length - 1)


@dataclass(frozen=True)
class Doubling(Timed):
    """First rate by search on the loss of the first batch, then linear.

    The initial rate by search of arXiv 2406.09405: the largest that does not raise the loss of the
    first batch (a trust ratio of 0). The ramp has the slope of a warm-up over `share` of the run,
    so that what lies below the first rate is saved.

    Args:
        share: of the run that the whole ramp from 0 would take, in [0, 1].
        div: peak rate over first rate where it is not measured, >= 1.

    Raises:
        ValueError: an argument out of its range.
    """

    word: ClassVar[str] = "doubling"
    kind: ClassVar[str] = "literature"
    measured_start: ClassVar[float | None] = 0.0

    share: float = 0.1
    div: float = 100.0

    def __post_init__(self) -> None:
        store_finite(self, "share", "div")
        expect(0 <= self.share <= 1, "0 <= share <= 1", self.share)
        expect(self.div >= 1, "div >= 1", self.div)

    def ramp(self, run: Run) -> Ramp:
        """Return the ramp, within the run."""
        first = 1.0 / (run.div or self.div)
        return _within(run, first, self.share * (1.0 - first) * run.length)


def _within(run: Run, first: float, length: float) -> Ramp:
    """Return a ramp that reaches the peak at the update `length`, or at the last of the run."""
    most = sys.maxsize if run.total_steps is None else run.total_steps - 1
    return Ramp(first, max(0, min(round(length), most)))
