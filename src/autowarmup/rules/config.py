"""The settings of a schedule, checked once so that every later step can trust them."""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass
from typing import Any

from autowarmup.rules.decay import DECAYS
from autowarmup.rules.gap_law.peak import parse, require_scipy


@dataclass(frozen=True, slots=True)
class ScheduleConfig:
    """Settings of a schedule; every field is a plain JSON value after construction.

    Attributes:
        total_steps: number of updates of the whole run, >= 1.
        div: peak rate over first rate, >= 1; 1 means no warm-up.
        peak: rule for the end of warm-up, one of `rules.gap_law.peak.RULES` or the share of the
            first gap as a number in (0, 1).
        kappa: what the rules "accurate" and "published" weigh by, > 0; the others need none.
        decay: one of `autowarmup.rules.decay.DECAYS`.
        final_fraction: share of the peak rate at the end, in [0, 1].
        lower_bound: a number below every expected loss; 0 suits non-negative losses.
        max_fraction: share of the run after which warm-up is cut short, in (0, 1].
        smoothing: factor of the exponential average of the gap, in [0, 1).
        beta: slowest memory of the optimizer (b2 of Adam and Lion, else the momentum), in [0, 1);
            only the rule "untuned" looks at it.

    Raises:
        ValueError: an argument out of its range; the message names it.
        ModuleNotFoundError: peak="published" without scipy.
    """

    total_steps: int
    div: float = 100.0
    peak: str | float = "flat"
    kappa: float | None = None
    decay: str = "cosine"
    final_fraction: float = 0.0
    lower_bound: float = 0.0
    max_fraction: float = 0.25
    smoothing: float = 0.9
    beta: float = 0.9

    def __post_init__(self) -> None:
        set_field = object.__setattr__  # the dataclass is frozen; values become plain JSON here
        set_field(self, "total_steps", _whole("total_steps", self.total_steps))
        for name in ("div", "final_fraction", "lower_bound", "max_fraction", "smoothing", "beta"):
            set_field(self, name, _finite(name, getattr(self, name)))
        set_field(self, "peak", parse(self.peak))
        if self.peak == "published":
            require_scipy()
        if self.kappa is not None:
            set_field(self, "kappa", _finite("kappa", self.kappa))
        _expect(self.total_steps >= 1, "total_steps >= 1", self.total_steps)
        _expect(self.div >= 1, "div >= 1 (the peak rate over the first rate)", self.div)
        _expect(self.decay in DECAYS, f"decay to be one of {', '.join(DECAYS)}", self.decay)
        _expect(0 <= self.final_fraction <= 1, "0 <= final_fraction <= 1", self.final_fraction)
        _expect(0 < self.max_fraction <= 1, "0 < max_fraction <= 1", self.max_fraction)
        _expect(0 <= self.smoothing < 1, "0 <= smoothing < 1", self.smoothing)
        _expect(0 <= self.beta < 1, "0 <= beta < 1", self.beta)
        if self.kappa is not None or self.peak in ("accurate", "published"):
            reason = f"kappa > 0 for peak={self.peak!r}" if self.kappa is None else "kappa > 0"
            _expect(self.kappa is not None and self.kappa > 0, reason, self.kappa)

    @property
    def cap(self) -> int:
        """Number of updates after which warm-up is cut short, at least 1."""
        return max(1, math.floor(self.max_fraction * self.total_steps))

    @property
    def ramp(self) -> int:
        """Number of updates over which a warm-up that was cut short is completed, at least 1."""
        return max(1, min(round(0.03 * self.total_steps), self.total_steps - self.cap))


def _expect(condition: bool, expected: str, got: object) -> None:
    if not condition:
        raise ValueError(f"expected {expected}, got {got!r}")


def _whole(name: str, value: Any) -> int:
    try:
        return operator.index(value)
    except TypeError:
        raise ValueError(f"expected {name} to be a whole number, got {value!r}") from None


def _finite(name: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    _expect(math.isfinite(number), f"{name} to be a finite number", value)
    return number
