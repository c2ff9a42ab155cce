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
LOSS, VALUE, GAP = "loss not finite", "value not finite", "gap not positive"


@dataclass(frozen=True)
class Usable:
    """Usable points in time order.

    Attributes:
        steps: shape (n,), ascending.
        gaps: shape (n,), > 0, in units of the loss.
        values: shape (n,), finite (K_dir may be negative).
        pairing: the gap that was really used: "before", "after" or "max".
        dropped: how many measured points were left out for which reason (reasons that occur only).
    """

    steps: NDArray[np.int64]
    gaps: Floats
    values: Floats
    pairing: str
    dropped: dict[str, int]


def pairing_of(quantity: str, pairing: str) -> str:
    """Return the pairing that a quantity is given: its own where it leaves no choice.

    Raises:
        ValueError: an unknown quantity or pairing.

    Example:
        >>> pairing_of("K", "max"), pairing_of("H", "max")
        ('max', 'before')
    """
    if quantity not in QUANTITIES:
        raise ValueError(f"expected a quantity out of {', '.join(QUANTITIES)}, got {quantity!r}")
    if pairing not in PAIRINGS:
        raise ValueError(f"expected a pairing out of {', '.join(PAIRINGS)}, got {pairing!r}")
    return _FIXED.get(quantity, pairing)


def pairings_of(quantity: str) -> tuple[str, ...]:
    """Return the pairings among which a quantity leaves a choice.

    Example:
        >>> pairings_of("K"), pairings_of("H")
        (('before', 'after', 'max'), ('before',))
    """
    return (_FIXED[quantity],) if quantity in _FIXED else PAIRINGS


def usable_points(trace: Trace, quantity: str, f_star: float, pairing: str) -> Usable:
    """Return the points at which `quantity` was measured, without those that cannot be fitted.

    Left out and counted: a loss or a value that is not finite, and a gap <= 0 (a batch loss below
    f_star). Where the loss after a step was not recorded, the loss before it is taken.

    Args:
        trace: points in any order; a stable sort by step makes it time order.
        quantity: "K", "K_dir", "K_next", "K_noise" or "H".
        f_star: lower bound of the loss, finite.
        pairing: "before" (loss - f_star), "after" (loss_after - f_star) or "max" (the larger one);
            without effect for H (before), K_next and K_noise (the loss at their own point, which
            is the one after the update they belong to).

    Raises:
        ValueError: an unknown name, or an f_star that is not finite.

    Example:
        >>> trace = Trace([Point(0, 5.0, K=8.0, loss_after=5.5), Point(1, 4.0), Point(2, 1.0, K=7)])
        >>> usable = usable_points(trace, "K", f_star=2.0, pairing="max")
        >>> usable.gaps, usable.dropped
        (array([3.5]), {'gap not positive': 1})
    """
    used = pairing_of(quantity, pairing)
    if not math.isfinite(f_star):
        raise ValueError(f"expected a finite f_star, got {f_star}")
    rows: list[tuple[int, float, float]] = []
    dropped: dict[str, int] = {}
    for point in sorted(trace, key=lambda point: point.step):
        value = getattr(point, quantity)
        if value is None:
            continue
        gap = paired_loss(point, quantity, used) - f_star
        reason = _reason(gap, value)
        if reason is None:
            rows.append((point.step, gap, float(value)))
        else:
            dropped[reason] = dropped.get(reason, 0) + 1
    steps, gaps, values = zip(*rows, strict=True) if rows else ((), (), ())
    return Usable(
        np.array(steps, dtype=np.int64),
        np.array(gaps, dtype=np.float64),
        np.array(values, dtype=np.float64),
        used,
        dropped,
    )


def paired_loss(point: Point, quantity: str, pairing: str) -> float:
    """Return the loss that a value is paired with; subtract f_star for the gap.

    H, K_next and K_noise take the loss at their own point, whatever the pairing.

    Example:
        >>> point = Point(3, 5.0, loss_after=4.5, K=8.0)
        >>> [paired_loss(point, "K", pairing) for pairing in PAIRINGS]
        [5.0, 4.5, 5.0]
        >>> paired_loss(point, "H", "after")
        5.0
    """
    return _loss(point, "before" if quantity in _FIXED else pairing)


def dropped_words(dropped: dict[str, int]) -> str:
    """Return the reasons with their counts, for a sentence.

    Example:
        >>> dropped_words({"gap not positive": 2, "loss not finite": 1})
        '2 with gap not positive, 1 with loss not finite'
    """
    return ", ".join(f"{count} with {reason}" for reason, count in dropped.items())


def _loss(point: Point, pairing: str) -> float:
    after = point.loss if point.loss_after is None else point.loss_after
    if pairing == "before":
        return point.loss
    if pairing == "after":
        return after
    # Not max(): nan must not lose against a number.
    return math.nan if math.isnan(point.loss + after) else max(point.loss, after)


def _reason(gap: float, value: float) -> str | None:
    if not math.isfinite(gap):
        return LOSS
    if not math.isfinite(value):
        return VALUE
    return None if gap > 0 else GAP
