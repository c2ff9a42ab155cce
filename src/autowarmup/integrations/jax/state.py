"""One update of any traced rule; `autowarmup.rules.stepping` is the reference."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
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
        total: number of updates of the run, `FOREVER` where nobody knows, int32.
        since: index of the first update of the decay, -1 before it, int32.
        height: share of `share` from which the decay runs.
        rewarmed: index of the first update of a later ramp and its length, int32; 0 without one.
        made: share of the peak rate that the last update used; before the first, as `factor`.
        made_phase: its phase, int32.
    """

    step: Array
    factor: Array
    phase: Array
    status: Array
    smoothing: Smoothing
    carry: Any
    share: Array
    end: Array
    total: Array
    since: Array
    height: Array
    rewarmed: Array
    made: Array
    made_phase: Array


FOREVER = 2**31 - 1
"""The end of a run whose end nobody knows."""


def begin(rule: TracedRule, run: Run, dtype: Any) -> Progress:
    """Return the state before the first update."""
    carry, first, over = rule.start()
    share, zero = jnp.asarray(first, dtype), jnp.asarray(0, jnp.int32)
    number = jnp.asarray(0.0, dtype)
    empty = Smoothing(jnp.asarray(jnp.nan, dtype), number, number, number)
    status = code(Status.NOT_NEEDED if over else Status.WARMING)
    known = run.total_steps is not None
    phase = zero + (1 if known else 3) * over
    total = zero + (FOREVER if run.total_steps is None else run.total_steps)
    return Progress(
        zero, share, phase, zero + status, empty, carry, share, zero + over - 1, total,
        zero + (over and known) - 1, jnp.asarray(1.0, dtype), jnp.zeros(2, jnp.int32), share, phase,
    )  # fmt: skip


def separate(state: Any) -> Any:
    """Return a state no two leaves of which share a buffer, so that jit may take them over."""
    return jax.tree.map(lambda leaf: jnp.array(leaf, copy=True), state)


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
    known = state.total != FOREVER
    over, warming = known & (after >= state.total), state.phase == 0
    seen = jnp.where(jnp.isfinite(loss), loss, jnp.nan).astype(dtype)
    update = TracedUpdate(state.step, state.share, seen, gap, smoothing.gap, event)
    move = rule.advance(state.carry, update)
    moves = (warming | (state.step < rule.until)) & ~over
    carry = choose(moves, move.carry, state.carry)
    share = jnp.where(moves, move.share, state.share).astype(dtype)
    ended = moves & warming & move.ended
    end = jnp.where(ended, after, state.end).astype(jnp.int32)
    since = jnp.where(ended & known, after, state.since).astype(jnp.int32)
    began = jnp.maximum(since, 0)
    decay = decayed(run, state.total, after, began, state.height, dtype)
    # A decay that runs throughout begins with the run, unless it was begun anew.
    running = (since >= 0) | rule.decays_throughout
    factor = jnp.where(running, share * decay, share)
    first, length = state.rewarmed
    done = after - first + 1
    climbing = (length > 0) & (done < length)
    factor = jnp.where(climbing, factor * (done.astype(dtype) / jnp.maximum(length, 1)), factor)
    said = jnp.asarray(move.said)
    steady = jnp.where(share < state.share, code(Status.LOWERED), code(Status.WARMING))
    event_or = jnp.where(event >= 0, event, steady)
    in_warmup = jnp.where(said >= 0, said, jnp.where(ended, code(Status.ENDED), event_or))
    later = jnp.where(since >= 0, code(Status.DECAYING), code(Status.STABLE))
    in_decay = jnp.where(event >= 0, event, later)
    in_decay = jnp.where(moves & (said >= 0), said, in_decay)
    status = jnp.where(over, code(Status.DONE), jnp.where(warming, in_warmup, in_decay))
    phase = jnp.where(over, 2, jnp.where(since >= 0, 1, jnp.where(end >= 0, 3, 0)))
    return Progress(
        after,
        jnp.where(over, state.factor, factor).astype(dtype),
        phase.astype(jnp.int32),
        status.astype(jnp.int32),
        smoothing,
        carry,
        share,
        end,
        state.total,
        since,
        state.height,
        state.rewarmed,
        state.factor,
        state.phase,
    )


def with_decay(rule: TracedRule, state: Progress, steps: Array | int) -> Progress:
    """Return the state whose next update is the first of a decay; as in `rules.life`."""
    begun = (state.since >= 0) | rule.decays_throughout
    height = jnp.where(begun, state.factor / _ramp(state) / state.share, 1.0)
    return state._replace(
        phase=jnp.ones_like(state.phase),
        status=jnp.full_like(state.status, code(Status.DECAYING)),
        end=jnp.where(state.end < 0, state.step, state.end),
        total=(state.step + steps).astype(jnp.int32),
        since=state.step,
        height=height.astype(state.height.dtype),
    )


def with_ramp(state: Progress, steps: Array | int) -> Progress:
    """Return the state whose next updates climb once more; as in `rules.life`."""
    factor = state.factor / _ramp(state) / steps
    ramp = jnp.stack([state.step, jnp.asarray(steps, jnp.int32)])
    return state._replace(factor=factor.astype(state.factor.dtype), rewarmed=ramp)


def _ramp(state: Progress) -> Array:
    first, length = state.rewarmed
    climbed = (state.step - first + 1).astype(state.factor.dtype) / jnp.maximum(length, 1)
    return jnp.where(length > 0, jnp.minimum(1.0, climbed), 1.0)


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
