"""Warm-up rules by name: those of others, and this project's own."""

from __future__ import annotations

from collections.abc import Callable

from autowarmup.rules.autowu import autowu
from autowarmup.rules.base import KINDS, Rule, RuleState, Seen
from autowarmup.rules.gap_law.peak import fixed
from autowarmup.rules.gaps import gap_rule, h0h1
from autowarmup.rules.timed import doubling, linear, untuned
from autowarmup.rules.watched import watched

__all__ = [
    "DEFAULT_RULE",
    "HAND_TUNED",
    "KINDS",
    "NEEDS_KAPPA",
    "RULES",
    "Rule",
    "RuleState",
    "Seen",
    "rule_by_name",
]

HAND_TUNED = tuple(linear(share) for share in (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4))
"""The lengths that hand tuning may choose from: 1 step, 1, 2, 5, 10, 20 and 40 % of the run."""

NEEDS_KAPPA = ("accurate", "published")
"""Rules that weigh by the shapes' kappa."""

_BUILDERS: dict[str, Callable[[], Rule]] = {
    **{rule.name: (lambda rule=rule: rule) for rule in HAND_TUNED},
    "flat": lambda: gap_rule("flat"),
    "accurate": lambda: gap_rule("accurate", kind="published"),
    "published": lambda: gap_rule("published", kind="published"),
    "untuned": untuned,
    "h0h1": h0h1,
    "autowu": autowu,
    "doubling": doubling,
    "watched": watched,
}
DEFAULT_RULE = "watched"
"""The rule that `AdaptiveWarmup` follows if nothing is said; docs/bench.md has the evidence."""
RULES = tuple(_BUILDERS)
"""Every rule that can be chosen by name."""


def rule_by_name(name: str | float) -> Rule:
    """Return a rule by its name, or the law of the gap with a number as its peak gap.

    Args:
        name: one of `RULES`, or the share of the first gap at which warm-up ends, in (0, 1).

    Raises:
        ValueError: neither.

    Example:
        >>> rule_by_name("untuned").kind, rule_by_name("0.33").name
        ('published', '0.33')
    """
    if name in _BUILDERS:
        return _BUILDERS[str(name)]()
    try:
        share = fixed(float(name))
    except ValueError:
        raise ValueError(
            f"peak: expected a warm-up rule out of {', '.join(RULES)}, or a number in (0, 1), "
            f"got {name!r}"
        ) from None
    return gap_rule(share)
