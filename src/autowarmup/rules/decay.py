"""What the rate does after the peak: the share of the peak rate as a function of progress.

Progress runs from 0 at the first update at full rate to 1 at the (never taken) update after the
last. Every shape starts at 1; all but `constant` end at the final fraction.
"""

from __future__ import annotations

import math
from collections.abc import Callable

WSD_STABLE = 0.8
"""Share of the remaining updates that `wsd` (warm-up, stable, decay) keeps at the peak rate."""


def _cosine(progress: float) -> float:
    # (1 + cos(pi p)) / 2, written so that it does not round to 0 just before the end
    return math.sin(0.5 * math.pi * (1.0 - progress)) ** 2


def _linear(progress: float) -> float:
    return 1.0 - progress


def _wsd(progress: float) -> float:
    return min(1.0, (1.0 - progress) / (1.0 - WSD_STABLE))


def _sqrt(progress: float) -> float:
    return 1.0 - math.sqrt(progress)


def _constant(progress: float) -> float:
    return 1.0


_SHAPES: dict[str, Callable[[float], float]] = {
    "cosine": _cosine,
    "linear": _linear,
    "wsd": _wsd,
    "sqrt": _sqrt,
    "constant": _constant,
}
DECAYS = tuple(_SHAPES)
"""The kinds that `decay_factor` knows."""


def decay_factor(kind: str, progress: float, final_fraction: float = 0.0) -> float:
    """Return the share of the peak rate after `progress` of the decay.

    shape(p) + final_fraction (1 - shape(p)), where shape(p) is
    cosine: (1 + cos(pi p)) / 2; linear: 1 - p; wsd: 1 up to p = 0.8, then straight to 0;
    sqrt: 1 - sqrt(p); constant: 1 (the final fraction is then without effect).

    Args:
        kind: one of `DECAYS`.
        progress: p in [0, 1]; below 1 the result is positive.
        final_fraction: share of the peak rate at p = 1, in [0, 1].

    Raises:
        ValueError: unknown kind, or progress outside [0, 1].

    Example:
        >>> [decay_factor("linear", p, 0.5) for p in (0.0, 0.5, 1.0)]
        [1.0, 0.75, 0.5]
        >>> decay_factor("wsd", 0.75), decay_factor("sqrt", 0.25)
        (1.0, 0.5)
    """
    shape = _SHAPES.get(kind)
    if shape is None:
        raise ValueError(f"expected a decay out of {', '.join(DECAYS)}, got {kind!r}")
    if not 0.0 <= progress <= 1.0:
        raise ValueError(f"expected progress in [0, 1], got {progress}")
    value = shape(progress)
    return value + final_fraction * (1.0 - value)
