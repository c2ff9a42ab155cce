"""Measured points of a trace as arrays: which gap belongs to which curvature, and what is left out.

The curvature of a step belongs to the segment between the weights before and after it, so that it
has two gaps. On a descent it is bounded by the law at the larger one; taking the smaller one (the
loss after the step) makes the fitted law too large (theory of arXiv 2602.05813; the gaps differ
little where one step changes the loss little).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autowarmup.history import Point, Trace

Floats = NDArray[np.float64]

PAIRINGS = ("before", "after", "max")
QUANTITIES = ("K", "K_dir", "K_next", "K_noise", "H")
# H is measured at the weights before the update. K_next and K_noise belong to the update before the
# point's own, and the loss of the point is the loss after that one. Neither leaves a choice.
_FIXED = {"H": "before", "K_next": "after", "K_noise": "after"}

# Fewer points do not even fill three coefficients and one residual.
FEWEST_TO_FIT = 4


@dataclass(frozen=True)
class UsablePoints:
    """Usable points in time order; arrays of shape (n,)."""

    steps: NDArray[np.int64]
    gaps: Floats  # > 0, in units of the loss
    values: Floats  # finite; K_dir may be negative
    pairing: str  # the one that was really used
    dropped: dict[str, int]  # how many measured points were left out, by reason


def pairings_of(quantity: str) -> tuple[str, ...]:
    """Return the pairings among which a quantity leaves a choice."""
    return (_FIXED[quantity],) if quantity in _FIXED else PAIRINGS


def usable_points(trace: Trace, quantity: str, lower_bound: float, pairing: str) -> UsablePoints:
    """Return the points at which `quantity` was measured, without those that cannot be fitted.

    Left out and counted: a loss or a value that is not finite, and a gap <= 0 (a batch loss below
    the lower bound). Where the loss after a step was not recorded, the loss before it is taken.

    Raises:
        ValueError: an unknown name, or a lower bound that is not finite.

    Example:
        >>> trace = Trace([Point(0, 5.0, K=8.0, loss_after=5.5), Point(1, 4.0), Point(2, 1.0, K=7)])
        >>> usable = usable_points(trace, "K", lower_bound=2.0, pairing="max")
        >>> usable.gaps, usable.dropped
        (array([3.5]), {'gap not positive': 1})
    """
    if quantity not in QUANTITIES:
        raise ValueError(f"expected a quantity out of {', '.join(QUANTITIES)}, got {quantity!r}")
    if pairing not in PAIRINGS:
        raise ValueError(f"expected a pairing out of {', '.join(PAIRINGS)}, got {pairing!r}")
    if not math.isfinite(lower_bound):
        raise ValueError(f"expected a finite lower_bound, got {lower_bound}")
    used = _FIXED.get(quantity, pairing)
    rows: list[tuple[int, float, float]] = []
    dropped: dict[str, int] = {}
    for point in sorted(trace, key=lambda point: point.step):
        value = getattr(point, quantity)
        if value is None:
            continue
        gap = paired_loss(point, quantity, used) - lower_bound
        if reason := _reason(gap, value):
            dropped[reason] = dropped.get(reason, 0) + 1
        else:
            rows.append((point.step, gap, float(value)))
    steps, gaps, values = zip(*rows, strict=True) if rows else ((), (), ())
    return UsablePoints(
        np.array(steps, dtype=np.int64),
        np.array(gaps, dtype=np.float64),
        np.array(values, dtype=np.float64),
        used,
        dropped,
    )


def paired_loss(point: Point, quantity: str, pairing: str) -> float:
    """Return the loss that a value is paired with; subtract the lower bound for the gap.

    H, K_next and K_noise take the loss at their own point, whatever the pairing.
    """
    after = point.loss if point.loss_after is None else point.loss_after
    if pairing == "before" or quantity in _FIXED:
        return point.loss
    if pairing == "after":
        return after
    # Not max(): nan must not lose against a number.
    return math.nan if math.isnan(point.loss + after) else max(point.loss, after)


def dropped_words(dropped: dict[str, int]) -> str:
    """Return the reasons with their counts: "2 with gap not positive, 1 with loss not finite"."""
    return ", ".join(f"{count} with {reason}" for reason, count in dropped.items())


def _reason(gap: float, value: float) -> str | None:
    """Return why a point cannot be fitted, `None` where it can."""
    if not math.isfinite(gap):
        return "loss not finite"
    if not math.isfinite(value):
        return "value not finite"
    return None if gap > 0 else "gap not positive"
