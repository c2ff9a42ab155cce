"""Numbers for people: on pages, in figures and on the terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any


def number(value: Any) -> float | None:
    """Return a finite number, or `None` for everything else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def short(value: Any, digits: int = 3) -> str:
    """Return a number for people.

    Example:
        >>> [short(x, 2) for x in (1498.2, 149.8, 0.0123, -1.5, 2e-7, 0, None)]
        ['1,500', '150', '0.012', '−1.5', '2e−07', '0', '–']
    """
    value = number(value)
    if value is None:
        return "–"
    rounded = float(f"{value:.{digits}g}")
    if 10 ** (digits - 1) <= abs(rounded) < 1e7:
        text = f"{rounded:,.0f}"
    else:
        text = f"{value:.{digits}g}"
    return text.replace("-", "−")


def share(value: Any, digits: int = 3) -> str:
    """Return a number near 1 with a fixed number of decimals; what rounds to zero has no sign.

    Example:
        >>> share(0.86319), share(-0.00001), share(-1.25, 2), share(None)
        ('0.863', '0.000', '−1.25', '–')
    """
    value = number(value)
    if value is None:
        return "–"
    return f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "−")


def interval_text(interval: Sequence[Any] | None, digits: int = 3) -> str:
    """Return an interval for people, nothing where there is none.

    Example:
        >>> interval_text([-1.5, 2])
        '−1.5 to 2'
    """
    if not interval or number(interval[0]) is None or number(interval[1]) is None:
        return ""
    return f"{short(interval[0], digits)} to {short(interval[1], digits)}"


def percent(share: Any, digits: int = 1, *, signed: bool = True) -> str:
    """Return a share as a percentage; what rounds to zero has no sign.

    Example:
        >>> percent(-0.0532), percent(0.012), percent(0.00001), percent(None)
        ('−5.3 %', '+1.2 %', '0.0 %', '–')
        >>> percent(0.5, 0, signed=False)
        '50 %'
    """
    if (share := number(share)) is None:
        return "–"
    text = f"{100 * share:{'+' if signed else ''}.{digits}f} %"
    if float(text[:-2]) == 0:
        return text.lstrip("+-")
    return text.replace("-", "−")


def tick_percent(share: float, _: float = 0.0) -> str:
    """Return a share as a signed percentage, as short as it can be; what matplotlib calls.

    Example:
        >>> tick_percent(0.025), tick_percent(-0.1), tick_percent(0.0)
        ('+2.5 %', '−10 %', '0')
    """
    return f"{100 * share:+.3g} %".replace("-", "−") if share else "0"


def count(number: int, noun: str) -> str:
    """Return a number of things.

    Example:
        >>> count(1, "run"), count(1200, "run")
        ('1 run', '1,200 runs')
    """
    return f"{number:,} {noun}{'s' * (number != 1)}"
