"""Several rules on one command line."""

from __future__ import annotations

import re

from autowarmup.rules import DEFAULT_RULE, rule_of


def rule_list(text: str) -> list[str]:
    """Return the names of rules that commas separate; "default" stands for the default.

    Raises:
        ValueError: no rule, an unknown one, or one twice.

    Example:
        >>> rule_list("default, linear 5%,flat(div=50, smoothing=0.8)")
        ['paced', 'linear 5%', 'flat(div=50.0, smoothing=0.8)']
    """
    parts = [part.strip() for part in re.split(r",(?![^()]*\))", text) if part.strip()]
    names = [rule_of(DEFAULT_RULE if part.lower() == "default" else part).name for part in parts]
    twice = [name for name in names if names.count(name) > 1]
    if not names or twice:
        got = f"{twice[0]!r} twice" if twice else repr(text)
        raise ValueError(f"rules: expected different rules such as 'default,linear 5%', got {got}")
    return names
