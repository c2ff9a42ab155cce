"""Settings of rules and arguments of runs: how they are checked, and how they are spelled."""

from __future__ import annotations

import math
import operator
from typing import Any


def spelled(settings: dict[str, Any]) -> str:
    """Return settings in brackets, nothing where there are none.

    Example:
        >>> spelled({"div": 50.0, "end": "flat"}), spelled({})
        ("(div=50.0, end='flat')", '')
    """
    inside = ", ".join(f"{name}={value!r}" for name, value in settings.items())
    return f"({inside})" if inside else ""


def expect(condition: bool, expected: str, got: object) -> None:
    """Raise ValueError with what was expected and what came, unless the condition holds."""
    if not condition:
        raise ValueError(f"expected {expected}, got {got!r}")


def whole(name: str, value: Any) -> int:
    """Return a whole number as an int.

    Raises:
        ValueError: it is none.
    """
    try:
        number = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = None
    if number is None:
        raise ValueError(f"expected {name} to be a whole number, got {value!r}")
    return number


def finite(name: str, value: Any) -> float:
    """Return a finite number as a float.

    Raises:
        ValueError: it is none.
    """
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    expect(math.isfinite(number), f"{name} to be a finite number", value)
    return number


def store_finite(settings: object, *names: str) -> None:
    """Make these fields of a frozen dataclass floats, in its `__post_init__`.

    Raises:
        ValueError: one of them is no finite number.
    """
    for name in names:
        object.__setattr__(settings, name, finite(name, getattr(settings, name)))
