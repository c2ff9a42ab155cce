"""The warm-up rules as pure functions of jax arrays; `autowarmup.rules` is their reference.

A rule is `init() -> carry`, `factor(carry, step) -> share` and `advance(carry, step, loss)`, with
shapes that never change and no branch on a value, so that they can be traced. A loss that nobody
gave is NaN here: like one that is not finite it moves nothing, and only the count of it differs.

State is kept in float32 unless another dtype is asked for. Where the reference adds up many small
numbers, these count with integers or carry the rounding along (Kahan), so that float32 costs no
more than a few units in the last place of what is computed from it.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from jax import Array

from autowarmup.integrations.jax.base import TracedRule, decay, share_left
from autowarmup.integrations.jax.gaps import gap_law, h0h1
from autowarmup.integrations.jax.watched import watched
from autowarmup.rules.config import ScheduleConfig
from autowarmup.rules.gap_law.schedule import ScheduleState
from autowarmup.rules.gaps import LawState
from autowarmup.rules.registry import RULES, rule_by_name
from autowarmup.rules.timed import TimedState
from autowarmup.rules.watched import WatchedState

__all__ = ["SUPPORTED", "TracedRule", "traced"]

SUPPORTED = tuple(name for name in RULES if name not in ("accurate", "published", "autowu"))
"""The rules that can be traced by name; a number in (0, 1) is one more."""


def traced(name: str | float, config: ScheduleConfig, dtype: Any = jnp.float32) -> TracedRule:
    """Return a rule of `autowarmup.rules.registry` by name for use under jit.

    Args:
        name: one of `SUPPORTED`, or the share of the first gap at which the law of the gap peaks.
        config: the settings; they are constants of the traced function.
        dtype: of the state.

    Raises:
        ValueError: an unknown rule, or one that cannot be traced.
    """
    rule = rule_by_name(name)
    if rule.name in RULES and rule.name not in SUPPORTED:
        raise ValueError(
            f"this rule cannot run under jit: expected one of {', '.join(SUPPORTED)} or a number "
            f"in (0, 1), got {name!r}"
        )
    first = rule.init(config)
    if isinstance(first, WatchedState):
        return watched(first, dtype)
    if isinstance(first, ScheduleState):
        return gap_law(first.config, dtype)
    if isinstance(first, LawState):
        return h0h1(config, dtype)
    assert isinstance(first, TimedState), "every supported rule is one of these"
    return timed(first, dtype)


def timed(first: TimedState, dtype: Any) -> TracedRule:
    """Return a ramp of a known length from its reference's first state."""
    config, length = first.config, first.length

    def factor(carry: tuple[()], step: Array) -> Array:
        share = (step.astype(dtype) / max(length, 1)) ** first.power
        ramp = first.first + (1.0 - first.first) * share
        after = decay(config, share_left(config.total_steps, step, length, dtype))
        return jnp.where(step < length, ramp, after)

    def end(carry: tuple[()], step: Array) -> Array:
        return jnp.where(step >= length, length, -1)

    return TracedRule(
        init=lambda: (),
        factor=factor,
        advance=lambda carry, step, loss: carry,
        gap=lambda carry: jnp.asarray(jnp.nan, dtype),
        end=end,
    )
