"""The words that earlier versions had for warm-up in configs and on the command line.

They had "warmup" ("adaptive", "50" or "5%"), and for adaptive warm-up "peak", "div",
"max_fraction" and "smoothing"; now a rule says it all.
"""

from __future__ import annotations

from typing import Any

from autowarmup.rules.gap_law.peak import ENDS
from autowarmup.rules.gap_law.rule import GapLaw
from autowarmup.rules.registry import rule_of

WORDS = ("warmup", "peak", "div", "max_fraction", "smoothing")


def in_todays_words(values: dict[str, Any]) -> dict[str, Any]:
    """Return a config with a rule; one that has no earlier word is returned as it is.

    Example:
        >>> in_todays_words({"warmup": "5%", "steps": 200})
        {'steps': 200, 'rule': 'linear 5%'}
        >>> in_todays_words({"warmup": "adaptive", "peak": "flat", "calibrate": False, "div": 5.0})
        {'calibrate': False, 'rule': 'flat(div=5.0)'}
    """
    if not any(word in values for word in WORDS):
        return values
    rest = {key: value for key, value in values.items() if key not in WORDS}
    warmup = str(values.get("warmup", "adaptive"))
    if warmup != "adaptive":
        length = warmup if warmup.endswith("%") else f"{warmup} steps"
        name = "none" if warmup in ("0", "1") else rule_of(length).name
        return {**rest, "rule": name}
    peak = values.get("peak", "flat")
    end = peak if peak in ENDS else _number(peak)
    if end is None:
        return {**rest, "rule": rule_of(peak).name}
    settings = {key: values[key] for key in ("max_fraction", "smoothing") if key in values}
    if values.get("div") is not None and not values.get("calibrate", True):
        settings["div"] = values["div"]
    return {**rest, "rule": GapLaw(end=end, **settings).name}


def _number(text: Any) -> float | None:
    try:
        return float(text)
    except (TypeError, ValueError):
        return None
