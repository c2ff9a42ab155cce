"""The paced ramp; `rules.paced` and `rules.brake` are the reference."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array

from autowarmup.integrations.jax.base import TracedMove, TracedRule, TracedUpdate, choose, code
from autowarmup.rules.base import Run
from autowarmup.rules.brake import (
    BEGIN,
    FEW,
    HALF,
    LARGEST,
    LOWER,
    PER_OCTAVE,
    SCATTER,
    look_at,
)
from autowarmup.rules.paced import SLOW, Paced
from autowarmup.rules.status import Status


class PaceCarry(NamedTuple):
    """`rules.paced.Pace` and `rules.brake.Looks`; blocks and levels are filled from the end."""

    slope: Array
    number: Array
    seen_blocks: Array
    blocks: Array
    levels: Array
    best: Array
    pause: Array
    lowered: Array
    seen: Array
    total: Array
    rough: Array
    last: Array


def paced(rule: Paced, run: Run, dtype: Any) -> TracedRule:
    """Return the paced ramp."""
    length, until, power = rule.length_in(run), rule.until(run), rule.power_in(run)
    # Up to 2^30: later looks do not fit an int32.
    table = [BEGIN] if run.trained else []
    table += [look_at(index) for index in range(PER_OCTAVE * 25 + 1)]
    due = jnp.asarray(table, jnp.int32)
    largest = min(LARGEST, float(jnp.finfo(dtype).max) ** 0.5)

    def start() -> tuple[PaceCarry, float, bool]:
        zero, none, nan = jnp.asarray(0.0, dtype), jnp.asarray(0, jnp.int32), jnp.nan
        carry = PaceCarry(
            jnp.asarray(1.0 / length, dtype), none, none,
            jnp.full((HALF, 3), nan, dtype), jnp.full((HALF, 3), nan, dtype),
            jnp.full(3, nan, dtype), none, none, none, zero, zero, jnp.asarray(nan, dtype),
        )  # fmt: skip
        return carry, (1.0 / length) ** power, length <= 1

    def advance(carry: PaceCarry, update: TracedUpdate) -> TracedMove:
        after = update.step + 1
        given = jnp.isfinite(update.loss)
        loss = jnp.clip(jnp.where(given, update.loss, 0.0), -largest, largest)
        step = jnp.where(given & ~jnp.isnan(carry.last), loss - carry.last, 0.0)
        carry = carry._replace(
            seen=carry.seen + given,
            total=carry.total + loss,
            rough=carry.rough + 0.5 * step * step,
            last=jnp.where(given, loss, carry.last).astype(dtype),
        )
        at_look = after == due[jnp.minimum(carry.number, len(table) - 1)]
        looked = _looked(rule, carry)
        if run.trained:
            looked = choose(carry.number == 0, _begun(carry), looked)
        looked = choose(carry.seen > 0, looked, carry)
        zero = jnp.zeros_like(carry.total)
        looked = looked._replace(
            number=carry.number + 1, seen=jnp.zeros_like(carry.seen), total=zero, rough=zero
        )
        cut = at_look & (looked.lowered > carry.lowered)
        carry = choose(at_look, looked, carry)
        here = update.share
        cut_to = jnp.maximum(here * rule.keep, jnp.minimum(here, rule.floor))
        slow = cut_to / (SLOW * after.astype(dtype))
        carry = carry._replace(slope=jnp.where(cut, slow, carry.slope).astype(dtype))
        full = (after + 1).astype(dtype) / length
        full = full if power == 1.0 else full**power
        risen = jnp.minimum(1.0, jnp.where(carry.lowered > 0, here + carry.slope, full))
        share = jnp.where(cut, cut_to, jnp.where(here < 1.0, risen, here))
        climbs = (carry.lowered > 0) & (here < 1.0) & (after != length - 1)
        steady = jnp.where(update.event >= 0, update.event, code(Status.CLIMBING))
        said = jnp.where(climbs, steady, -1)
        said = jnp.where(cut, code(Status.LOWERED), said)
        return TracedMove(carry, share, after >= length - 1, said)

    return TracedRule(start, advance, needs_bound=False, until=until)


def _begun(carry: PaceCarry) -> PaceCarry:
    """Return what the first losses of a trained model leave behind."""
    count = jnp.maximum(carry.seen, 1).astype(carry.total.dtype)
    return carry._replace(best=jnp.stack([carry.total / count, carry.rough / count, count]))


def _looked(rule: Paced, carry: PaceCarry) -> PaceCarry:
    """Return what a look leaves behind, before the sums begin anew."""
    count = jnp.maximum(carry.seen, 1).astype(carry.total.dtype)
    block = jnp.stack([count, carry.total / count, carry.rough / count])
    blocks = jnp.concatenate([carry.blocks[1:], block[None]])
    carry = carry._replace(blocks=blocks, seen_blocks=carry.seen_blocks + 1)
    whole = carry.seen_blocks >= HALF
    seen = blocks[:, 0].sum()
    noise = (blocks[:, 0] * blocks[:, 2]).sum() / seen
    level = jnp.sort(blocks[:, 1])[(HALF - 1) // 2] + LOWER * jnp.sqrt(noise * HALF / seen)
    now = jnp.stack([level, noise, seen / SCATTER])
    before, best = carry.levels[0], carry.best
    known = ~jnp.isnan(before[0])
    better = known & (jnp.isnan(best[0]) | (before[0] < best[0]))
    best = jnp.where(better, before, best)
    levels = jnp.concatenate([carry.levels[1:], now[None]])
    full = carry._replace(levels=levels, best=best)
    paused = carry.pause > 0
    both = jnp.stack([best, now])
    wide = jnp.minimum(both[:, 1].max(), both[:, 1] * (1 + FEW / both[:, 2]))
    error = jnp.sqrt((wide / both[:, 2]).sum())
    risen = now[0] - best[0] > jnp.maximum(rule.sure * error, rule.least * jnp.abs(best[0]))
    falling = before[0] - now[0] > rule.least * jnp.abs(before[0])
    cut = ~paused & known & risen & ~falling
    full = full._replace(
        pause=jnp.where(cut, HALF, jnp.where(paused, carry.pause - 1, carry.pause)),
        lowered=carry.lowered + cut,
    )
    return choose(whole, full, carry)
