"""The law of the gap; `rules.gap_law.rule` is the reference."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array

from autowarmup.integrations.jax.base import TracedMove, TracedRule, TracedUpdate, code
from autowarmup.rules.base import Run
from autowarmup.rules.gap_law.peak import choose as choose_end
from autowarmup.rules.gap_law.rule import GapLaw
from autowarmup.rules.status import Status


class LawCarry(NamedTuple):
    """`LawMemory`: the first gap is NaN before it, `capped` is -1 before the cap."""

    gap0: Array
    capped: Array
    low: Array


def gap_law(rule: GapLaw, run: Run, dtype: Any) -> TracedRule:
    """Return the law with the cap and the ramp after it."""
    div, cap, length = rule.first_div(run), rule.cap(run), rule.ramp(run)
    # Of the ends that can be traced none looks at the first gap.
    r = 0.5 if div == 1.0 else choose_end(rule.end, div=div, gap0=1.0)

    def start() -> tuple[LawCarry, float, bool]:
        nan, never = jnp.asarray(jnp.nan, dtype), jnp.asarray(-1, jnp.int32)
        return LawCarry(nan, never, jnp.asarray(1.0 / div, dtype)), 1.0 / div, div == 1.0

    def law(gap: Array, gap0: Array) -> Array:
        distance = (gap / gap0 - r) / (1.0 - r)
        share = 1.0 / (1.0 + (div - 1.0) * (gap0 / gap) * distance * distance)
        return jnp.where(gap >= gap0, 1.0 / div, jnp.maximum(share, 1.0 / div)).astype(dtype)

    def advance(carry: LawCarry, update: TracedUpdate) -> TracedMove:
        after, gap = update.step + 1, update.smoothed
        fresh = jnp.isnan(carry.gap0) & (gap > 0.0)
        gap0 = jnp.where(fresh, gap, carry.gap0)
        known = ~jnp.isnan(gap0)
        ramping = carry.capped >= 0
        reached = known & ~ramping & (gap <= gap0 * r)
        cut = ~ramping & ~reached & (after >= cap)
        capped = jnp.where(cut, after, carry.capped)
        low = jnp.where(cut, update.share, carry.low)
        done, on_ramp = after + 1 - capped, capped >= 0
        over = on_ramp & (done >= length)
        ramp = jnp.minimum(1.0, low + (1.0 - low) * (done.astype(dtype) / length))
        followed = jnp.where(known, law(gap, gap0), update.share)
        share = jnp.where(reached | over, 1.0, jnp.where(on_ramp, ramp, followed))
        kept = jnp.where(ramping & (update.event >= 0), update.event, code(Status.CAP_REACHED))
        said = jnp.where(on_ramp, jnp.where(over, code(Status.CAP_COMPLETED), kept), -1)
        said = jnp.where(reached, code(Status.PEAK_REACHED), said)
        return TracedMove(LawCarry(gap0, capped, low), share, reached | over, said)

    return TracedRule(start, advance, rule.smoothing)
