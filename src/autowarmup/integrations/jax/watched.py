"""The watched ramp; `rules.watched` is the reference."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array

from autowarmup.integrations.jax.base import TracedMove, TracedRule, TracedUpdate, code
from autowarmup.rules.base import Run
from autowarmup.rules.status import Status
from autowarmup.rules.watched import Watched


class WatchCarry(NamedTuple):
    """`rules.watched.Watch`; the share is (base + risen / window) ^ power."""

    base: Array
    risen: Array
    total: Array
    lost: Array
    seen: Array
    means: Array
    looked: Array
    holding: Array


def watched(rule: Watched, run: Run, dtype: Any) -> TracedRule:
    """Return the watched ramp."""
    window = rule.window(run)

    def height(carry: WatchCarry) -> Array:
        return jnp.minimum(1.0, carry.base + carry.risen.astype(dtype) / window)

    def start() -> tuple[WatchCarry, float, bool]:
        zero, none = jnp.asarray(0.0, dtype), jnp.asarray(0, jnp.int32)
        means = jnp.zeros(rule.apart + 1, dtype)
        carry = WatchCarry(zero, none + 1, zero, zero, none, means, none, jnp.asarray(False))
        return carry, (1.0 / window) ** rule.power, False

    def advance(carry: WatchCarry, update: TracedUpdate) -> TracedMove:
        after = update.step + 1
        seen = jnp.isfinite(update.gap)
        addend = jnp.where(seen, update.gap, 0.0) - carry.lost
        total = carry.total + addend
        lost = (total - carry.total) - addend
        count = carry.seen + seen
        look = (count > 0) & _due(after, window, rule.looks)
        mean = total / jnp.maximum(count, 1).astype(dtype)
        means = jnp.where(look, jnp.append(carry.means[1:], mean), carry.means)
        looked = carry.looked + look
        missing = jnp.where(looked < 2, -jnp.inf, rule.least - _fall(means, looked, rule.apart))
        holding = jnp.where(look, missing > 0.0, carry.holding)
        back = look & (missing > 0.0)
        share = jnp.maximum(1.0 / rule.most, jnp.exp(-rule.gain * missing))
        here, floor = height(carry), rule.floor ** (1.0 / rule.power)
        lowered = jnp.maximum(here * share ** (1.0 / rule.power), jnp.minimum(here, floor))
        said = jnp.where(update.event >= 0, update.event, code(Status.HELD))
        said = jnp.where(look, code(Status.HELD), said)
        said = jnp.where(back & (lowered < here), code(Status.LOWERED), said)
        base = jnp.where(back, lowered, carry.base)
        risen = jnp.where(back, 0, carry.risen) + ~holding
        moved = WatchCarry(
            base.astype(dtype),
            risen.astype(jnp.int32),
            jnp.where(look, 0.0, total),
            jnp.where(look, 0.0, lost),
            jnp.where(look, 0, count),
            means,
            looked,
            holding,
        )
        ended = after >= window
        said = jnp.where(holding & ~ended, said, -1)
        return TracedMove(moved, height(moved) ** rule.power, ended, said)

    return TracedRule(start, advance)


def _fall(means: Array, looked: Array, apart: int) -> Array:
    """Return the relative fall of the mean gap since `apart` looks ago, or since the first."""
    before = means[jnp.maximum(apart + 1 - looked, 0)]
    return jnp.where(before > 0.0, 1.0 - means[-1] / jnp.where(before > 0.0, before, 1.0), 0.0)


def _due(after: Array, window: int, looks: int) -> Array:
    """Return whether a look falls on this update: a constant table, so that nothing overflows."""
    table = [-(-look * window // looks) for look in range(1, looks + 1)]
    return jnp.any(after == jnp.asarray(table, jnp.int32))
