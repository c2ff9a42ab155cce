"""Which stretch of a run the fit looks at, by a rule that is stated and never tuned by eye.

Early in training the gap falls fast and the law is seen over a wide range of gaps; later the gap
hardly moves and the curvature drifts for other reasons (the rate decays, the batch noise takes
over). The default window is therefore the descent. The smoothing is by running medians, which leave
a monotone series alone and which a spike, a single absurd value or a divergence late in the run
cannot move.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

WINDOWS = ("descent", "all")
# The share of the whole fall of the smoothed gap that ends the descent.
SHARE_OF_FALL = 0.9
# A descent of a few points says nothing about three coefficients: it is never cut below this.
FEWEST = 8


@dataclass(frozen=True)
class Window:
    """A stretch of measured points, always the first `points` of the usable ones."""

    name: str  # "descent" or "all"
    first_step: int
    last_step: int
    points: int
    rule: str  # one sentence for people: where it ends and why


def smooth_width(points: int) -> int:
    """Return the width of the second running median: about a tenth of the points, odd, >= 3."""
    return 2 * max(1, points // 20) + 1


def smooth(gaps: Floats) -> Floats:
    """Return the gaps after a running median of 3 and one of `smooth_width`, shape as given.

    The first median takes at each end the median of the point, its neighbour and the line through
    its two neighbours (two steps along it, Tukey's rule); the second is narrower towards both ends.

    Example:
        >>> smooth(np.array([9.0, 8.0, 70.0, 6.0, 5.0, 4.0]))
        array([9., 9., 8., 6., 5., 4.])
    """
    n = len(gaps)
    if n < 3:
        return gaps.copy()
    once = gaps.copy()
    once[1:-1] = np.median(np.stack([gaps[:-2], gaps[1:-1], gaps[2:]]), axis=0)
    once[0] = np.median([gaps[0], once[1], 3 * once[1] - 2 * once[2]])
    once[-1] = np.median([gaps[-1], once[-2], 3 * once[-2] - 2 * once[-3]])
    widest = smooth_width(n) // 2
    halves = [min(widest, i, n - 1 - i) for i in range(n)]
    return np.array([np.median(once[i - h : i + h + 1]) for i, h in enumerate(halves)])


def choose_window(steps: NDArray[np.int64], gaps: Floats, name: str) -> Window:
    """Return the window of usable points in time order.

    "descent": from the first point to the first one at which the smoothed gap has made 90 % of its
    whole fall, from its first to its lowest value (8 points at least, where there are so many).
    Where the smoothed gap never falls below its first value there is no descent, and all points
    are taken. "all": all points.

    Example:
        >>> gaps = 1.0 + 4.0 * np.exp(-np.arange(40) / 5)
        >>> choose_window(np.arange(40), gaps, "descent").points
        13
    """
    if name not in WINDOWS:
        raise ValueError(f"expected a window out of {', '.join(WINDOWS)}, got {name!r}")
    points, rule = (len(steps), "All usable points.") if name == "all" else _descent(steps, gaps)
    return Window(name, int(steps[0]), int(steps[points - 1]), points, rule)


def _descent(steps: NDArray[np.int64], gaps: Floats) -> tuple[int, str]:
    """Return how many points the descent holds, and its rule in words."""
    n, smoothed = len(steps), smooth(gaps)
    start, lowest = float(smoothed[0]), float(smoothed.min())
    gap = f"the gap (smoothed by running medians of 3 and {smooth_width(n)} points)"
    if lowest >= start:
        return n, (
            f"All usable points: {gap} never falls below its first value {start:.4g}, so that "
            "there is no descent to cut out."
        )
    arrived = int(np.argmax(smoothed <= start - SHARE_OF_FALL * (start - lowest))) + 1
    points = min(n, max(arrived, FEWEST))
    share = f"has made {100 * SHARE_OF_FALL:.0f} % of its whole fall"
    fall = f"{gap} {share}, from {start:.4g} to {lowest:.4g}"
    if points == arrived:
        return points, f"From the first usable point to step {steps[points - 1]}, where {fall}."
    return points, (
        f"The first {points} usable points: {fall}, already at step {steps[arrived - 1]}, and "
        "fewer points would not do."
    )
