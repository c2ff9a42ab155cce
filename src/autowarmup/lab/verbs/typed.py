"""What was typed after `autowarmup`, for records and for sentences about it."""

from __future__ import annotations

import math
import shlex

words: list[str] = []


def counted(number: float) -> float:
    """Return a number that was typed as 124e6 as a whole one, where it is whole.

    Example:
        >>> counted(124e6), counted(0.5)
        (124000000, 0.5)
    """
    return int(number) if math.isfinite(number) and number == int(number) else number


def verb() -> str:
    """Return the first word, empty where there is none."""
    return words[0] if words else ""


def command() -> str:
    """Return the command line that was typed."""
    return shlex.join(["autowarmup", *words])
