"""One update of any traced rule; `autowarmup.rules.state` is the reference."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array

from autowarmup.integrations.jax.base import TracedRule, TracedUpdate, choose, code, decayed
from autowarmup.rules.base import Run
from autowarmup.rules.status import Status


class Smoothing(NamedTuple):
    """`rules.gap.GapState`; the gap is NaN before the first finite loss."""

    gap: Array
    weight: Array
    before: Array
    last: Array


class Progress(NamedTuple):
    """`rules.state.WarmupState` as scalars on the device.

    Attributes:
        step: number of updates taken, int32.
        factor: share of the peak rate that the next update uses, float.
        phase: index into ("warmup", "decay", "done"), int32.
        status: index into `STATUSES`, what the last update had to say, int32.
        smoothing: what the smoothing of the gap remembers.
        carry: what the rule remembers.
        share: of the peak rate before the decay.
        end: index of the first update after warm-up, -1 while it lasts, int32.
    """

    step: Array
    factor: Array
    phase: Array
    status: Array
    smoothing: Smoothing
    carry: Any
    share: Array
    end: Array


def begin(rule: TracedRule, dtype: Any) -> Progress:
    """Return the state before the first update."""
    carry, first, over = rule.start()
    share, zero = jnp.asarray(first, dtype), jnp.asarray(0, jnp.int32)
    number = jnp.asarray(0.0, dtype)
    empty = Smoothing(jnp.asarray(jnp.nan, dtype), number, number, number)
    status = code(Status.NOT_NEEDED if over else Status.WARMING)
    return Progress(zero, share, zero + over, zero + status, empty, carry, share, zero + over - 1)


def advanced(
    rule: TracedRule, run: Run, state: Progress, loss: Array, given: Array, dtype: Any
) -> Progress:
    """Return the state one update later.

    Args:
        rule: the rule.
        run: what it was told of the run; constants of the traced function.
        state: before.
        loss: scalar; NaN where nobody gave one.
        given: whether somebody did.
        dtype: of the state.
    """
    smoothing, gap, event = _seen(rule, run, state, loss, given, dtype)
    after = state.step + 1
    over, warming = after >= run.total_steps, state.phase == 0
    seen = jnp.where(jnp.isfinite(loss), loss, jnp.nan).astype(dtype)
    update = TracedUpdate(state.step, state.share, seen, gap, smoothing.gap, event)
    move = rule.advance(state.carry, update)
    moves = (warming | (state.step < rule.until)) & ~over
    carry = choose(moves, move.carry, state.carry)
    share = jnp.where(moves, move.share, state.share).astype(dtype)
    ended = moves & warming & move.ended
    end = jnp.where(ended, after, state.end).astype(jnp.int32)
    factor = jnp.where(end >= 0, share * decayed(run, after, jnp.maximum(end, 0), dtype), share)
    if rule.decays_throughout:
        factor = share * decayed(run, after, 0, dtype)
    said = jnp.asarray(move.said)
    event_or = jnp.where(event >= 0, event, code(Status.WARMING))
    in_warmup = jnp.where(said >= 0, said, jnp.where(ended, code(Status.ENDED), event_or))
    in_decay = jnp.where(event >= 0, event, code(Status.DECAYING))
    in_decay = jnp.where(moves & (said >= 0), said, in_decay)
    status = jnp.where(over, code(Status.DONE), jnp.where(warming, in_warmup, in_decay))
    phase = jnp.where(over, 2, end >= 0)
    return Progress(
        after,
        jnp.where(over, state.factor, factor).astype(dtype),
        phase.astype(jnp.int32),
        status.astype(jnp.int32),
        smoothing,
        carry,
        share,
        end,
    )


def _seen(
    rule: TracedRule, run: Run, state: Progress, loss: Array, given: Array, dtype: Any
) -> tuple[Smoothing, Array, Array]:
    """Return the smoothing, the gap (NaN without a finite one) and the event (-1 for none)."""
    raw = (loss - run.lower_bound).astype(dtype)
    finite = jnp.isfinite(raw)
    gap = jnp.maximum(raw, 0.0)
    held = state.smoothing
    smoothed, unseen = held.gap, jnp.isnan(held.gap)
    low, high = jnp.minimum(held.before, held.last), jnp.maximum(held.before, held.last)
    weight = rule.smoothing * held.weight + 1.0
    share = 1.0 / weight
    average = (1.0 - share) * smoothed + share * jnp.clip(gap, low, high)
    first = Smoothing(gap, jnp.ones_like(gap), gap, gap)
    following = choose(unseen, first, Smoothing(average, weight, held.last, gap))
    spike = ~unseen & ((gap > 2.0 * smoothed) | (gap < 0.5 * smoothed))
    event = jnp.where(spike, code(Status.SPIKE), -1)
    event = jnp.where(raw < 0.0, code(Status.BELOW_BOUND) if rule.needs_bound else -1, event)
    event = jnp.where(finite, event, code(Status.NON_FINITE))
    missing = code(Status.NO_LOSS) if rule.reads_loss else -1
    event = jnp.where(given, event, jnp.where(state.phase == 0, missing, -1))
    return choose(finite, following, held), jnp.where(finite, gap, jnp.nan), event
