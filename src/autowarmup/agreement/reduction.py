"""From the sums of every process to the one loss of an update.

Every process holds the same sums in the same order and does the same arithmetic with them, so that
the result is the same bit for bit everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple


class LossSum(NamedTuple):
    """The losses of one update in one process.

    Attributes:
        total: sum over its micro-batches of weight times loss.
        weight: sum of the weights.
        batches: number of micro-batches; 0 where the process has no loss.
    """

    total: float = 0.0
    weight: float = 0.0
    batches: float = 0.0


Reduction = Callable[[Sequence[LossSum]], float]
"""Gets the sums of the processes that have a loss, in the order of their ranks."""


def mean(sums: Sequence[LossSum]) -> float:
    """Return the weighted mean over all micro-batches of all processes.

    Example:
        >>> mean([LossSum(total=6.0, weight=3.0, batches=2), LossSum(4.0, 1.0, 1)])
        2.5
    """
    return total(sums) / sum(each.weight for each in sums)


def total(sums: Sequence[LossSum]) -> float:
    """Return the sum over everything: for losses that are shares of one."""
    return sum(each.total for each in sums)


def mean_of_sums(sums: Sequence[LossSum]) -> float:
    """Return the mean over processes of the sum over micro-batches.

    For hosts that divide the loss of a micro-batch by the number of them (Hugging Face's Trainer).
    """
    return total(sums) / len(sums)


REDUCTIONS: dict[str, Reduction] = {"mean": mean, "sum": total, "mean_of_sums": mean_of_sums}
"""What `reduce` may be called."""


def reduction_of(reduce: str | Reduction) -> Reduction:
    """Return a reduction by its name, or the callable itself.

    Raises:
        ValueError: neither.
    """
    if callable(reduce):
        return reduce
    if not isinstance(reduce, str) or reduce not in REDUCTIONS:
        raise ValueError(
            f"reduce: expected one of {', '.join(REDUCTIONS)} or a callable that turns a list of "
            f"LossSum into a number, got {reduce!r}"
        )
    return REDUCTIONS[reduce]


def reduced(sums: Sequence[LossSum], reduce: Reduction) -> float | None:
    """Return the loss of an update from the sums of all processes; `None` if all are empty."""
    present = [each for each in sums if each.batches and each.weight]
    return float(reduce(present)) if present else None
