"""The one-parameter law, whose decay multiplies it; `rules.h0h1` is the reference."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from jax import Array

from autowarmup.integrations.jax.base import TracedMove, TracedRule, TracedUpdate
from autowarmup.rules.base import Run
from autowarmup.rules.h0h1 import H0H1


def h0h1(rule: H0H1, run: Run, dtype: Any) -> TracedRule:
    """Return the law; it remembers the first gap, NaN before it."""
    over = (run.div or rule.div) - 1.0

    def start() -> tuple[Array, float, bool]:
        return jnp.asarray(jnp.nan, dtype), 1.0 / (1.0 + over), False

    def advance(carry: Array, update: TracedUpdate) -> TracedMove:
        # Under jit nobody refuses a first loss on the bound: a gap of 0 is not the first.
        fresh = jnp.isnan(carry) & (update.smoothed > 0.0)
        gap0 = jnp.where(fresh, update.smoothed, carry)
        share = 1.0 / (1.0 + over * jnp.minimum(1.0, update.smoothed / gap0))
        return TracedMove(gap0, jnp.where(jnp.isnan(gap0), update.share, share))

    return TracedRule(start, advance, rule.smoothing, decays_throughout=True)
