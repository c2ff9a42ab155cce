"""The watched ramp; `autowarmup.rules.watched` is the reference."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array

from autowarmup.integrations.jax.base import TracedRule, choose, decay, share_left
from autowarmup.rules.watched import WatchedState


class WatchedCarry(NamedTuple):
    """`core.rules.watched.WatchedState`; the level is (base + risen / window) ^ power."""

    base: Array
    risen: Array
    total: Array
    lost: Array
    seen: Array
    means: Array
    looked: Array
    holding: Array


def watched(first: WatchedState, dtype: Any) -> TracedRule:
    """Return the watched ramp from its reference's first state."""
    config, watch, window = first.config, first.watch, first.window
    number = lambda value: jnp.asarray(value, dtype)  # noqa: E731 - a short name for a cast
    whole = lambda value: jnp.asarray(value, jnp.int32)  # noqa: E731

    def height(carry: WatchedCarry) -> Array:
        return jnp.minimum(1.0, carry.base + carry.risen.astype(dtype) / window)

    def init() -> WatchedCarry:
        zero, means = number(0.0), jnp.zeros(watch.apart + 1, dtype)
        return WatchedCarry(
            zero, whole(1), zero, zero, whole(0), means, whole(0), jnp.asarray(False)
        )

    def factor(carry: WatchedCarry, step: Array) -> Array:
        level = height(carry) ** watch.power
        left = share_left(config.total_steps, step, window, dtype)
        return jnp.where(step < window, level, level * decay(config, left))

    def advance(carry: WatchedCarry, step: Array, loss: Array) -> WatchedCarry:
        after = step + 1
        seen = jnp.isfinite(loss)
        gap = jnp.where(seen, jnp.maximum(loss - config.lower_bound, 0.0), 0.0).astype(dtype)
        addend = gap - carry.lost
        total = carry.total + addend
        lost = (total - carry.total) - addend
        count = carry.seen + seen
        look = (count > 0) & _due(after, window, watch.looks)
        mean = total / jnp.maximum(count, 1).astype(dtype)
        means = jnp.where(look, jnp.append(carry.means[1:], mean), carry.means)
        looked = carry.looked + look
        before = means[jnp.maximum(watch.apart + 1 - looked, 0)]
        fall = jnp.where(before > 0.0, 1.0 - mean / jnp.where(before > 0.0, before, 1.0), 0.0)
        missing = jnp.where(looked < 2, -jnp.inf, watch.least - fall)
        holding = jnp.where(look, missing > 0.0, carry.holding)
        lower = look & (missing > 0.0)
        share = jnp.maximum(1.0 / watch.most, jnp.exp(-watch.gain * missing))
        here, floor = height(carry), watch.floor ** (1.0 / watch.power)
        lowered = jnp.maximum(here * share ** (1.0 / watch.power), jnp.minimum(here, floor))
        base = jnp.where(lower, lowered, carry.base)
        risen = jnp.where(lower, 0, carry.risen) + ~holding
        moved = WatchedCarry(
            base.astype(dtype),
            risen.astype(jnp.int32),
            jnp.where(look, 0.0, total),
            jnp.where(look, 0.0, lost),
            jnp.where(look, 0, count),
            means,
            looked,
            holding,
        )
        return choose(after > window, carry, moved)

    def gap(carry: WatchedCarry) -> Array:
        under_way = carry.total / jnp.maximum(carry.seen, 1).astype(dtype)
        last = jnp.where(carry.looked > 0, carry.means[-1], jnp.nan)
        return jnp.where(carry.seen > 0, under_way, last)

    def end(carry: WatchedCarry, step: Array) -> Array:
        return jnp.where(step >= window, window, -1)

    return TracedRule(init, factor, advance, gap, end)


def _due(after: Array, window: int, looks: int) -> Array:
    """Return whether a look falls on this update: a constant table, so that nothing overflows."""
    table = [-(-look * window // looks) for look in range(1, looks + 1)]
    return jnp.any(after == jnp.asarray(table, jnp.int32))
