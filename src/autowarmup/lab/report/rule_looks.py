"""How a warm-up rule is drawn: the default, a hand-tuned length, a paper's rule, or another."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from autowarmup.lab.report import palette
from autowarmup.rules import DEFAULT_RULE, rule_of

_COLOURS = {"fixed": palette.HAND, "literature": palette.PAPER, "own": palette.OTHER}
_MARKERS = {"fixed": "o", "literature": "s", "own": "^"}
_DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1.2, 1.4)), (0, (6, 1.5, 1.2, 1.5)), (0, (9, 3)))


def colour_of(kind: str, *, main: bool = False) -> str:
    """Return a rule's colour: by its kind, or that of the default.

    Example:
        >>> colour_of("fixed"), colour_of("own", main=True)
        ('#2668c8', '#c04f0e')
    """
    return palette.DEFAULT if main else _COLOURS.get(kind, palette.OTHER)


def marker_of(kind: str, *, main: bool = False) -> str:
    """Return a rule's marker, so that kinds can be told without colour."""
    return "D" if main else _MARKERS.get(kind, "^")


def kind_of(rule: str) -> str:
    """Return the kind of a rule by its name; "own" for one that is no more."""
    try:
        return rule_of(rule).kind
    except ValueError:
        return "own"


def lines_of(rules: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return how the lines of rules are drawn: rules of one colour differ by their dashes.

    Example:
        >>> lines_of(["linear 5%", "none"])["none"]["linestyle"]
        (0, (5, 2))
    """
    looks: dict[str, dict[str, Any]] = {}
    for rule in rules:
        main = rule == DEFAULT_RULE
        colour = colour_of(kind_of(rule), main=main)
        before = sum(look["color"] == colour for look in looks.values())
        looks[rule] = {
            "color": colour,
            "linewidth": 2.8 if main else 1.7,
            "linestyle": _DASHES[before % len(_DASHES)],
            "zorder": 5 if main else 3,
        }
    return looks
