"""In which order the rows of a log count."""

from __future__ import annotations

import numpy as np

FEW = 8
"""Rows below which steps that go back are those of a run that was resumed."""


def latest(steps: np.ndarray) -> np.ndarray:
    """Return the indices of the rows that count: those after which all steps are larger.

    A run that goes back to a step, as after a crash, replaces everything from there on.

    Example:
        >>> latest(np.array([0, 1, 2, 3, 2, 3, 4, 4])).tolist()
        [0, 1, 4, 5, 7]
    """
    if not len(steps):
        return np.arange(0)
    later = np.append(np.minimum.accumulate(steps[::-1])[::-1][1:], np.iinfo(np.int64).max)
    return np.flatnonzero(steps < later)


def in_order(steps: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray, bool]:
    """Return the rows of a table in the order of their steps, and whether they had another one.

    No run goes back at every third row to a step that it has not logged before: such rows were
    sorted by something else, the newest first or by name.

    Example:
        >>> newest_first = np.arange(9)[::-1]
        >>> in_order(newest_first, newest_first / 2)[0].tolist()
        [0, 1, 2, 3, 4, 5, 6, 7, 8]
        >>> in_order(np.array([0, 1, 2, 1, 2, 3]), np.zeros(6))[2]
        False
    """
    apart = np.diff(steps)
    back = int((apart < 0).sum())
    if back and not (apart > 0).any():
        return steps[::-1], values[::-1], True
    if len(steps) < FEW or 3 * back <= len(steps) or len(np.unique(steps)) < len(steps):
        return steps, values, False
    order = np.argsort(steps)
    return steps[order], values[order], True
