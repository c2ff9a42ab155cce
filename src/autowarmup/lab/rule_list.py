"""Several rules by name: on a command line, or as a list."""

from __future__ import annotations

import re
from collections.abc import Sequence

from autowarmup.rules import DEFAULT_RULE, rule_of


def rule_list(rules: str | Sequence[str]) -> list[str]:
    """Return the usual names of rules; "default" stands for the default.

    Args:
        rules: names, or one text in which commas separate them.

    Raises:
        ValueError: no rule, an unknown one, or one twice.

    Example:
        >>> rule_list("default, linear 5%,flat(div=50, smoothing=0.8)")
        ['paced', 'linear 5%', 'flat(div=50.0, smoothing=0.8)']
    """
    listed = re.split(r",(?![^()]*\))", rules) if isinstance(rules, str) else list(rules)
    named = [rule.strip() if isinstance(rule, str) else rule for rule in listed]
    names = [rule_of(DEFAULT_RULE if rule == "default" else rule).name for rule in named if rule]
    twice = [name for name in names if names.count(name) > 1]
    if not names or twice:
        got = f"{twice[0]!r} twice" if twice else repr(rules)
        raise ValueError(f"rules: expected different rules such as 'default,linear 5%', got {got}")
    return names
