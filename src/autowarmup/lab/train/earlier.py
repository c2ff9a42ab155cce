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
        >>> in_todays_words({"warmup": "5%", "calibrate": True, "steps": 200})
        {'steps': 200, 'rule': 'linear 5%'}
        >>> in_todays_words({"warmup": "adaptive", "peak": "flat", "calibrate": False, "div": 5.0})
        {'calibrate': False, 'rule': 'flat(div=5.0)'}
    """
    if not any(word in values for word in WORDS):
        return values
    rule = rule_of(_rule(values))
    rest = {key: value for key, value in values.items() if key not in WORDS}
    if rule.measured_start is None:  # "calibrate" was said of every rule
        rest.pop("calibrate", None)
    return {**rest, "rule": rule.name}


def _rule(values: dict[str, Any]) -> Any:
    warmup = str(values.get("warmup", "adaptive")).strip()
    if warmup != "adaptive":
        return "none" if warmup in ("0", "1") else warmup if "%" in warmup else f"{warmup} steps"
    peak = str(values.get("peak", "flat"))
    is_number = peak.replace(".", "", 1).isdecimal()
    if not is_number and peak not in ENDS:
        return peak
    settings = {key: values[key] for key in ("max_fraction", "smoothing") if key in values}
    if values.get("div") is not None and not values.get("calibrate", True):
        settings["div"] = values["div"]
    return GapLaw(end=float(peak) if is_number else peak, **settings)


def refuse_earlier_options(typed: list[str]) -> None:
    """Say how an option of earlier versions is written now.

    Raises:
        ValueError: one of them is among the words that were typed after `autowarmup`.

    Example:
        >>> refuse_earlier_options(["train", "--warmup", "5%"])
        Traceback (most recent call last):
        ...
        ValueError: --warmup 5% is now --rule 'linear 5%': settings belong to their rule
    """
    if typed[:1] not in (["train"], ["measure"], ["schedule"]):
        return
    given: dict[str, Any] = {}
    for word, after in zip(typed, [*typed[1:], ""], strict=True):
        flag, joined, value = word.partition("=")
        name = flag.removeprefix("--").replace("-", "_")
        if flag.startswith("--") and name in WORDS:
            given[name] = value if joined else after
    if given:
        options = " ".join(f"--{name.replace('_', '-')} {value}" for name, value in given.items())
        rule = in_todays_words({**given, "calibrate": False})["rule"]
        raise ValueError(f"{options} is now --rule {rule!r}: settings belong to their rule")
