"""What things are called on the page and on the terminal."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping
from typing import Any

_OPTIMIZERS = {
    "muon": "Muon",
    "lion": "Lion",
    "signum": "Signum",
    "signsgd": "SignSGD",
    "normsgd": "Normalized SGD",
    "adamw": "AdamW",
    "sgd": "SGD",
}

_WITHOUT_START = ("paced", "watched", "untuned", "autowu")
"""Rules that measure no first rate."""


_NOT_CODE = re.compile(r"<(code|pre)\b.*?</\1>|[^<]+", re.DOTALL)
"""Code of a page, or a piece of the rest."""
_UNIT = re.compile(r"(?<=\d) (?=%|(?:s|ms|MB|GB|minutes|hours)\b)")


def unbroken(words: str) -> str:
    """Return words in which no line can end between a number and its unit.

    Example:
        >>> unbroken("half at 6 % of it in 3 hours").split(" ")
        ['half', 'at', '6\\xa0%', 'of', 'it', 'in', '3\\xa0hours']
    """
    return _UNIT.sub("\u00a0", words)


def unbroken_page(html: str) -> str:
    """Do so in a page; code, which somebody may copy, stays as it was.

    Example:
        >>> unbroken_page("<p>45 % of it</p><code>--at 5 %</code>") == (
        ...     "<p>45\\xa0% of it</p><code>--at 5 %</code>"
        ... )
        True
    """
    return _NOT_CODE.sub(lambda found: found[0] if found[1] else unbroken(found[0]), html)


def broken(words: str, letters: int) -> str:
    """Return words in lines of at most so many letters; a number keeps its unit.

    Example:
        >>> broken("loss of 45 %", 10).split("\\n")
        ['loss of', '45\\xa0%']
    """
    return "\n".join(textwrap.wrap(unbroken(words), letters))


def optimizer_name(optimizer: str) -> str:
    """Return the optimizer's name in text.

    Example:
        >>> optimizer_name("normsgd")
        'Normalized SGD'
    """
    return _OPTIMIZERS.get(optimizer, optimizer)


def rule_name(rule: str) -> str:
    """Return the name of a warm-up rule in text.

    Example:
        >>> [rule_name(name) for name in ("none", "linear 5%", "flat")]
        ['no warm-up', 'linear 5 %', 'flat']
    """
    return "no warm-up" if rule == "none" else rule.replace("%", " %")


def run_warmup_name(config: Mapping[str, Any]) -> str:
    """Return the warm-up of one training run in words, from its stored configuration.

    Example:
        >>> run_warmup_name({"rule": "linear 5%"}), run_warmup_name({"warmup": "1"})
        ('linear 5 %', 'no warm-up')
        >>> run_warmup_name({"warmup": "adaptive", "peak": "flat", "calibrate": False})
        'adaptive flat, fixed start'
    """
    if "rule" in config:
        return rule_name(config["rule"])
    warmup = config["warmup"]  # how runs were stored before their rule had one name
    if warmup != "adaptive":
        length = warmup.replace("%", " %") if warmup.endswith("%") else f"{warmup} steps"
        return "no warm-up" if warmup == "1" else f"warm-up {length}"
    peak = str(config.get("peak", "flat"))
    if peak in _WITHOUT_START:
        return f"adaptive {peak}"
    return f"adaptive {peak}, {'measured' if config.get('calibrate') else 'fixed'} start"
