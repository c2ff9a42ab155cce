"""The law of the gap and the law of the second paper; `core.schedule` and `core.rules.gaps`."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array

from autowarmup.integrations.jax.base import TracedRule, choose, decay, share_left
from autowarmup.rules.config import ScheduleConfig
from autowarmup.rules.gap_law.peak import choose as choose_peak


class Smoothing(NamedTuple):
    """`core.gap.GapState`; the gap is NaN before the first finite loss."""

    gap: Array
    weight: Array
    before: Array
    last: Array


class LawCarry(NamedTuple):
    """`core.schedule.ScheduleState`: `ended` and `capped` are -1 until they have happened."""

    smooth: Smoothing
    share: Array
    gap0: Array
    capped: Array
    low: Array
    ended: Array


def smoothed(smooth: Smoothing, loss: Array, config: ScheduleConfig, dtype: Any) -> Smoothing:
    """Return what the smoothing remembers after one more loss."""
    gap = (loss - config.lower_bound).astype(dtype)
    seen = jnp.isfinite(gap)
    gap = jnp.maximum(gap, 0.0)
    low = jnp.minimum(smooth.before, smooth.last)
    high = jnp.maximum(smooth.before, smooth.last)
    weight = config.smoothing * smooth.weight + 1.0
    share = 1.0 / weight
    median = jnp.clip(gap, low, high)
    following = Smoothing((1.0 - share) * smooth.gap + share * median, weight, smooth.last, gap)
    one = jnp.ones_like(gap)
    moved = choose(jnp.isnan(smooth.gap), Smoothing(gap, one, gap, gap), following)
    return choose(seen, moved, smooth)


def nothing_smoothed(dtype: Any) -> Smoothing:
    """Return what it remembers before the first."""
    zero = jnp.asarray(0.0, dtype)
    return Smoothing(jnp.asarray(jnp.nan, dtype), zero, zero, zero)


def gap_law(config: ScheduleConfig, dtype: Any) -> TracedRule:
    """Return the law of the gap with the cap, the ramp and the decay after it."""
    total, div = config.total_steps, config.div
    # Of the peak rules that can be traced none looks at the first gap.
    r = 0.5 if div == 1.0 else choose_peak(config.peak, div=div, gap0=1.0, kappa=config.kappa)

    def init() -> LawCarry:
        share, ended = (1.0, 0) if div == 1.0 else (1.0 / div, -1)
        never, nan = jnp.asarray(-1, jnp.int32), jnp.asarray(jnp.nan, dtype)
        start = jnp.asarray(share, dtype)
        return LawCarry(
            nothing_smoothed(dtype), start, nan, never, start, jnp.asarray(ended, jnp.int32)
        )

    def law(gap: Array, gap0: Array) -> Array:
        distance = (gap / gap0 - r) / (1.0 - r)
        share = 1.0 / (1.0 + (div - 1.0) * (gap0 / gap) * distance * distance)
        inside = jnp.where(gap >= gap0, 1.0 / div, jnp.maximum(share, 1.0 / div))
        return inside.astype(dtype)

    def factor(carry: LawCarry, step: Array) -> Array:
        left = share_left(total, step, jnp.maximum(carry.ended, 0), dtype)
        return jnp.where(carry.ended >= 0, decay(config, left), carry.share)

    def advance(carry: LawCarry, step: Array, loss: Array) -> LawCarry:
        after = step + 1
        smooth = smoothed(carry.smooth, loss, config, dtype)
        gap = smooth.gap
        fresh = jnp.isnan(carry.gap0) & (gap > 0.0)
        gap0 = jnp.where(fresh, gap, carry.gap0)
        known = ~jnp.isnan(gap0)
        ramping = carry.capped >= 0
        reached = known & ~ramping & (gap <= gap0 * r)
        cap = ~ramping & ~reached & (after >= config.cap)
        capped = jnp.where(cap, after, carry.capped)
        low = jnp.where(cap, carry.share, carry.low)
        done = after + 1 - capped
        on_ramp = capped >= 0
        over = on_ramp & (done >= config.ramp)
        ramp = jnp.minimum(1.0, low + (1.0 - low) * (done.astype(dtype) / config.ramp))
        followed = jnp.where(known, law(gap, gap0), carry.share)
        share = jnp.where(reached | over, 1.0, jnp.where(on_ramp, ramp, followed)).astype(dtype)
        ended = jnp.where(reached | over, after, carry.ended)
        warming = LawCarry(smooth, share, gap0, capped, low, ended)
        # After the last update everything stays; after warm-up only the gap is still followed.
        still = carry._replace(smooth=smooth)
        stop = (carry.ended >= 0) | (after >= total)
        return choose(stop, still, warming)

    def end(carry: LawCarry, step: Array) -> Array:
        return carry.ended

    return TracedRule(init, factor, advance, lambda carry: carry.smooth.gap, end)


class RatioCarry(NamedTuple):
    """`core.rules.gaps.LawState`."""

    smooth: Smoothing
    gap0: Array


def h0h1(config: ScheduleConfig, dtype: Any) -> TracedRule:
    """Return the one-parameter law, whose decay multiplies it."""

    def init() -> RatioCarry:
        return RatioCarry(nothing_smoothed(dtype), jnp.asarray(jnp.nan, dtype))

    def factor(carry: RatioCarry, step: Array) -> Array:
        share = jnp.minimum(1.0, carry.smooth.gap / carry.gap0)
        share = jnp.where(jnp.isnan(share), 1.0, share)
        law = 1.0 / (1.0 + (config.div - 1.0) * share)
        return law * decay(config, share_left(config.total_steps, step, 0, dtype))

    def advance(carry: RatioCarry, step: Array, loss: Array) -> RatioCarry:
        smooth = smoothed(carry.smooth, loss, config, dtype)
        fresh = jnp.isnan(carry.gap0) & (smooth.gap > 0.0)
        return RatioCarry(smooth, jnp.where(fresh, smooth.gap, carry.gap0))

    def end(carry: RatioCarry, step: Array) -> Array:
        return jnp.full_like(step, -1)

    return TracedRule(init, factor, advance, lambda carry: carry.smooth.gap, end)
