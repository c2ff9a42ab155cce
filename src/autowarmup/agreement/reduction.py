"""From the sums of every process to the one loss of an update.

Every process holds the same parts in the same order and does the same arithmetic with them, so
that the result is the same bit for bit everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple


class Part(NamedTuple):
    """What one process saw of an update.

    Attributes:
        total: sum over its micro-batches of weight times loss.
        weight: sum of the weights.
        batches: number of micro-batches; 0 where the process has no loss.
    """

    total: float = 0.0
    weight: float = 0.0
    batches: float = 0.0


Reduction = Callable[[Sequence[Part]], float]
"""Gets the parts of the processes that have a loss, in the order of their ranks."""


def mean(parts: Sequence[Part]) -> float:
    """Return the weighted mean over all micro-batches of all processes.

    Example:
        >>> mean([Part(total=6.0, weight=3.0, batches=2), Part(total=4.0, weight=1.0, batches=1)])
        2.5
    """
    return sum(part.total for part in parts) / sum(part.weight for part in parts)


def total(parts: Sequence[Part]) -> float:
    """Return the sum over everything: for losses that are shares of one."""
    return sum(part.total for part in parts)


def mean_of_sums(parts: Sequence[Part]) -> float:
    """Return the mean over processes of the sum over micro-batches.

    For hosts that divide the loss of a micro-batch by the number of them (Hugging Face's Trainer).
    """
    return total(parts) / len(parts)


REDUCTIONS: dict[str, Reduction] = {"mean": mean, "sum": total, "mean_of_sums": mean_of_sums}
"""What `reduce` may be called."""


def reduction(reduce: str | Reduction) -> Reduction:
    """Return a reduction by its name, or the callable itself.

    Raises:
        ValueError: neither.
    """
    if callable(reduce):
        return reduce
    if reduce not in REDUCTIONS:
        raise ValueError(
            f"reduce: expected one of {', '.join(REDUCTIONS)} or a callable that turns a list of "
            f"Part into a number, got {reduce!r}"
        )
    return REDUCTIONS[reduce]
