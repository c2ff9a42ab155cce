"""The warm-up rules as pure functions of jax arrays; `autowarmup.core` is their reference.

A rule is `init() -> carry`, `factor(carry, step) -> share` and `advance(carry, step, loss)`, with
shapes that never change and no branch on a value, so that they can be traced. A loss that nobody
gave is NaN here: like one that is not finite it moves nothing, and only the count of it differs.

State is kept in float32 unless another dtype is asked for. Where the reference adds up many small
numbers, these count with integers or carry the rounding along (Kahan), so that float32 costs no
more than a few units in the last place of what is computed from it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from autowarmup.core.config import ScheduleConfig
from autowarmup.core.decay import WSD_STABLE
from autowarmup.core.peak import choose
from autowarmup.core.rules import RULES, rule_by_name
from autowarmup.core.rules.gaps import LawState
from autowarmup.core.rules.timed import TimedState
from autowarmup.core.rules.watched import WatchedState
from autowarmup.core.schedule import ScheduleState

SUPPORTED = tuple(name for name in RULES if name not in ("accurate", "published", "autowu"))
"""The rules that can be traced by name; a number in (0, 1) is one more."""


class TracedRule(NamedTuple):
    """A rule for jit.

    Attributes:
        init: () -> what the rule remembers, a NamedTuple of scalars and small vectors.
        factor: (carry, step) -> share of the peak rate that update `step` uses.
        advance: (carry, step, loss) -> carry after update `step`, whose loss this was.
        gap: carry -> smoothed gap, NaN where there is none.
        end: carry -> index of the first update after warm-up, -1 while it lasts.
    """

    init: Callable[[], Any]
    factor: Callable[[Any, Array], Array]
    advance: Callable[[Any, Array, Array], Any]
    gap: Callable[[Any], Array]
    end: Callable[[Any, Array], Array]


def traced(name: str | float, config: ScheduleConfig, dtype: Any = jnp.float32) -> TracedRule:
    """Return a rule of `autowarmup.core.rules` by name for use under jit.

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
        return _watched(first, dtype)
    if isinstance(first, ScheduleState):
        return _gap_law(first.config, dtype)
    if isinstance(first, LawState):
        return _h0h1(config, dtype)
    assert isinstance(first, TimedState), "every supported rule is one of these"
    return _timed(first, dtype)


def decay(config: ScheduleConfig, left: Array) -> Array:
    """Return `core.decay.decay_factor` as a function of what is left, 1 - progress, in [0, 1]."""
    if config.decay == "constant":
        return jnp.ones_like(left)
    value = {
        "cosine": lambda: jnp.sin(0.5 * math.pi * left) ** 2,
        "linear": lambda: left,
        "wsd": lambda: jnp.minimum(1.0, left / (1.0 - WSD_STABLE)),
        "sqrt": lambda: left / (1.0 + jnp.sqrt(1.0 - left)),
    }[config.decay]()
    return value + config.final_fraction * (1.0 - value)


def _left(total: int, step: Array, since: Array | int, dtype: Any) -> Array:
    """Return the share of the decay that is left at update `step`; exact integers, one division."""
    left = jnp.asarray(total - step, dtype) / jnp.asarray(total - since, dtype)
    return jnp.clip(left, 0.0, 1.0)


# -- the watched ramp -----------------------------------------------------------------------------


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


def _watched(first: WatchedState, dtype: Any) -> TracedRule:
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
        left = _left(config.total_steps, step, window, dtype)
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
        base = jnp.where(lower, height(carry) * share ** (1.0 / watch.power), carry.base)
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
        return _choose(after > window, carry, moved)

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


def _choose(condition: Array, yes: Any, no: Any) -> Any:
    """Return one of two carries, field by field."""
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), yes, no)


# -- the law of the gap ---------------------------------------------------------------------------


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


def _smoothed(smooth: Smoothing, loss: Array, config: ScheduleConfig, dtype: Any) -> Smoothing:
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
    moved = _choose(jnp.isnan(smooth.gap), Smoothing(gap, one, gap, gap), following)
    return _choose(seen, moved, smooth)


def _nothing_smoothed(dtype: Any) -> Smoothing:
    zero = jnp.asarray(0.0, dtype)
    return Smoothing(jnp.asarray(jnp.nan, dtype), zero, zero, zero)


def _gap_law(config: ScheduleConfig, dtype: Any) -> TracedRule:
    total, div = config.total_steps, config.div
    # Of the peak rules that can be traced none looks at the first gap.
    r = 0.5 if div == 1.0 else choose(config.peak, div=div, gap0=1.0, kappa=config.kappa)

    def init() -> LawCarry:
        share, ended = (1.0, 0) if div == 1.0 else (1.0 / div, -1)
        never, nan = jnp.asarray(-1, jnp.int32), jnp.asarray(jnp.nan, dtype)
        start = jnp.asarray(share, dtype)
        return LawCarry(
            _nothing_smoothed(dtype), start, nan, never, start, jnp.asarray(ended, jnp.int32)
        )

    def law(gap: Array, gap0: Array) -> Array:
        distance = (gap / gap0 - r) / (1.0 - r)
        share = 1.0 / (1.0 + (div - 1.0) * (gap0 / gap) * distance * distance)
        inside = jnp.where(gap >= gap0, 1.0 / div, jnp.maximum(share, 1.0 / div))
        return inside.astype(dtype)

    def factor(carry: LawCarry, step: Array) -> Array:
        left = _left(total, step, jnp.maximum(carry.ended, 0), dtype)
        return jnp.where(carry.ended >= 0, decay(config, left), carry.share)

    def advance(carry: LawCarry, step: Array, loss: Array) -> LawCarry:
        after = step + 1
        smooth = _smoothed(carry.smooth, loss, config, dtype)
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
        return _choose(stop, still, warming)

    def end(carry: LawCarry, step: Array) -> Array:
        return carry.ended

    return TracedRule(init, factor, advance, lambda carry: carry.smooth.gap, end)


# -- the law of the second paper, and ramps of a known length --------------------------------


class RatioCarry(NamedTuple):
    """`core.rules.gaps.LawState`."""

    smooth: Smoothing
    gap0: Array


def _h0h1(config: ScheduleConfig, dtype: Any) -> TracedRule:
    def init() -> RatioCarry:
        return RatioCarry(_nothing_smoothed(dtype), jnp.asarray(jnp.nan, dtype))

    def factor(carry: RatioCarry, step: Array) -> Array:
        share = jnp.minimum(1.0, carry.smooth.gap / carry.gap0)
        share = jnp.where(jnp.isnan(share), 1.0, share)
        law = 1.0 / (1.0 + (config.div - 1.0) * share)
        return law * decay(config, _left(config.total_steps, step, 0, dtype))

    def advance(carry: RatioCarry, step: Array, loss: Array) -> RatioCarry:
        smooth = _smoothed(carry.smooth, loss, config, dtype)
        fresh = jnp.isnan(carry.gap0) & (smooth.gap > 0.0)
        return RatioCarry(smooth, jnp.where(fresh, smooth.gap, carry.gap0))

    def end(carry: RatioCarry, step: Array) -> Array:
        return jnp.full_like(step, -1)

    return TracedRule(init, factor, advance, lambda carry: carry.smooth.gap, end)


def _timed(first: TimedState, dtype: Any) -> TracedRule:
    config, length = first.config, first.length

    def factor(carry: tuple[()], step: Array) -> Array:
        share = (step.astype(dtype) / max(length, 1)) ** first.power
        ramp = first.first + (1.0 - first.first) * share
        after = decay(config, _left(config.total_steps, step, length, dtype))
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
