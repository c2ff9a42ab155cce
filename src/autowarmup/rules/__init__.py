"""Warm-up rules: floats in, floats out; no torch and no jax.

`Rule` is what all of them are, `rule_of` finds one by its name. docs/add-a-rule.md shows how to
write one of your own.
"""

from __future__ import annotations

from autowarmup.rules.autowu import AutoWU
from autowarmup.rules.base import KINDS, Move, Rule, Run, Update
from autowarmup.rules.gap_law.rule import GapLaw
from autowarmup.rules.h0h1 import H0H1
from autowarmup.rules.paced import Paced
from autowarmup.rules.registry import DEFAULT_RULE, HAND_TUNED, RULES, rule_of
from autowarmup.rules.state import PHASES, WarmupState
from autowarmup.rules.status import Status
from autowarmup.rules.stepping import begin, step
from autowarmup.rules.timed import Doubling, Linear, Untuned
from autowarmup.rules.watched import Watched

__all__ = [
    "DEFAULT_RULE",
    "H0H1",
    "HAND_TUNED",
    "KINDS",
    "PHASES",
    "RULES",
    "AutoWU",
    "Doubling",
    "GapLaw",
    "Linear",
    "Move",
    "Paced",
    "Rule",
    "Run",
    "Status",
    "Untuned",
    "Update",
    "WarmupState",
    "Watched",
    "begin",
    "rule_of",
    "step",
]
