"""From the losses of single batches to one smoothed gap.

Three guards in a row, so that no single batch can end warm-up or collapse the rate:

1. a loss that is not finite is dropped;
2. the median of the last three gaps removes any single lucky or bad batch altogether;
3. a bias-corrected exponential average with factor `smoothing` calms the rest.

The gap of one loss is max(loss - lower_bound, 0). Before there are three, the first gap fills the
empty places, so that of two losses the first one counts.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from autowarmup.rules.base import record
from autowarmup.rules.status import Status


class GapState(NamedTuple):
    """Everything that smoothing remembers, as plain numbers.

    Attributes:
        gap: smoothed gap in units of the loss, `None` before the first finite loss.
        weight: sum of the weights in the average, 1 + smoothing + smoothing^2 + ...
        before: the gap before the last one.
        last: the gap of the last finite loss.
    """

    gap: float | None = None
    weight: float = 0.0
    before: float = 0.0
    last: float = 0.0


def observe(
    state: GapState, loss: float, *, lower_bound: float = 0.0, smoothing: float = 0.9
) -> tuple[GapState, Status | None]:
    """Take one loss in and return the new state, with an event if there was one.

    Events: `NON_FINITE` (the state is unchanged; also for a loss so far above the lower bound that
    the gap overflows), `BELOW_BOUND`, and `SPIKE` for a gap above twice or under half of the
    smoothed one, which informs only: the median already bounds its influence.

    Args:
        state: `GapState()` at the beginning.
        loss: mean loss over the batch; any float.
        lower_bound: f_star or anything known to lie below it, in units of the loss.
        smoothing: factor of the exponential average in [0, 1); 0 leaves the median alone.

    Example:
        The second loss waits for the third; the bad batch of 90 leaves no trace:

        >>> state = GapState()
        >>> for loss in (4.0, 3.0, 3.0, 90.0, 2.0):
        ...     state, event = observe(state, loss, smoothing=0.0)
        ...     print(state.gap, event.name if event else "-")
        4.0 -
        4.0 -
        3.0 -
        3.0 SPIKE
        3.0 -
    """
    gap = loss - lower_bound
    if not math.isfinite(gap):
        return state, Status.NON_FINITE
    event = None
    if gap < 0.0:
        gap, event = 0.0, Status.BELOW_BOUND
    smoothed, weight, before, last = state
    if smoothed is None:
        return GapState(gap, 1.0, gap, gap), event
    if event is None and (gap > 2.0 * smoothed or gap < 0.5 * smoothed):
        event = Status.SPIKE
    low, high = (before, last) if before < last else (last, before)
    median = low if gap < low else high if gap > high else gap
    # The average with weights smoothing^age, as a convex combination: it cannot overflow and is
    # exactly the median for smoothing = 0.
    weight = smoothing * weight + 1.0
    share = 1.0 / weight
    return record(GapState, ((1.0 - share) * smoothed + share * median, weight, last, gap)), event
