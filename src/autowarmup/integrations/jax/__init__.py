"""The warm-up rules as pure functions of jax arrays; `autowarmup.rules` is their reference.

A loss that nobody gave is NaN here: like one that is not finite it moves nothing.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from autowarmup.integrations.jax.base import TracedRule
from autowarmup.integrations.jax.gap_law import gap_law
from autowarmup.integrations.jax.h0h1 import h0h1
from autowarmup.integrations.jax.paced import paced
from autowarmup.integrations.jax.timed import timed
from autowarmup.integrations.jax.watched import watched
from autowarmup.rules.base import Rule, Run
from autowarmup.rules.gap_law.rule import GapLaw
from autowarmup.rules.h0h1 import H0H1
from autowarmup.rules.paced import Paced
from autowarmup.rules.registry import RULES
from autowarmup.rules.timed import Timed
from autowarmup.rules.watched import Watched

__all__ = ["SUPPORTED", "TracedRule", "traced"]

SUPPORTED = tuple(name for name in RULES if name not in ("accurate", "published", "autowu"))
"""The rules that can be traced by name; `GapLaw` with a number as its end is one more."""


def traced(rule: Rule[Any], run: Run, dtype: Any = jnp.float32) -> TracedRule:
    """Return a rule for use under jit.

    Args:
        rule: of `SUPPORTED`, with any settings, or a rule that has a method
            `traced(run, dtype) -> TracedRule` of its own.
        run: what it is told; constants of the traced function.
        dtype: of the state.

    Raises:
        ValueError: a rule that cannot be traced.
    """
    if isinstance(rule, Paced):
        return paced(rule, run, dtype)
    if isinstance(rule, Watched):
        return watched(rule, run, dtype)
    if isinstance(rule, GapLaw) and rule.end not in ("accurate", "published"):
        return gap_law(rule, run, dtype)
    if isinstance(rule, H0H1):
        return h0h1(rule, run, dtype)
    if isinstance(rule, Timed):
        return timed(rule, run, dtype)
    own = getattr(rule, "traced", None)
    if callable(own):
        made: Any = own(run, dtype)
        return made
    raise ValueError(
        f"this rule cannot run under jit: expected one of {', '.join(SUPPORTED)}, GapLaw with a "
        f"number as its end, or a rule with a method traced(run, dtype), got {rule.name!r}"
    )
