"""What a rule is under jit, and what several of them share.

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

from autowarmup.rules.base import Run
from autowarmup.rules.decay import WSD_STABLE
from autowarmup.rules.status import Status

STATUSES = tuple(Status)
"""A status is its index here."""


def code(status: Status) -> int:
    """Return the index of a status."""
    return STATUSES.index(status)


class TracedUpdate(NamedTuple):
    """`rules.base.Update` as scalars on the device; what is absent is NaN, an event -1."""

    step: Array
    share: Array
    loss: Array
    gap: Array
    smoothed: Array
    event: Array


class TracedMove(NamedTuple):
    """`rules.base.Move`; `said` is a status or -1."""

    carry: Any
    share: Array
    ended: Array | bool = False
    said: Array | int = -1


class TracedRule(NamedTuple):
    """A rule for jit: the same two functions, without a branch on a value.

    Attributes:
        start: () -> what the rule remembers (a NamedTuple of scalars and small vectors), the share
            of the first update, and whether there is no warm-up.
        advance: (carry, update) -> the next share of warm-up.
        smoothing: factor of the exponential average of the gap.
        reads_loss: as of the reference.
        decays_throughout: likewise.
        needs_bound: likewise.
        until: `advance` is asked before this update after warm-up, too.
    """

    start: Callable[[], tuple[Any, float, bool]]
    advance: Callable[[Any, TracedUpdate], TracedMove]
    smoothing: float = 0.9
    reads_loss: bool = True
    decays_throughout: bool = False
    needs_bound: bool = True
    until: int = 0


def decayed(
    run: Run, total: Array, step: Array, since: Array | int, height: Array, dtype: Any
) -> Array:
    """Return the share of the decay that an update has; exact integers, one division."""
    left = jnp.asarray(total - step, dtype) / jnp.asarray(total - since, dtype)
    left = jnp.clip(left, 0.0, 1.0)
    if run.decay == "constant":
        return height * jnp.ones_like(left)
    value = {
        "cosine": lambda: jnp.sin(0.5 * math.pi * left) ** 2,
        "linear": lambda: left,
        "wsd": lambda: jnp.minimum(1.0, left / (1.0 - WSD_STABLE)),
        "sqrt": lambda: left / (1.0 + jnp.sqrt(1.0 - left)),
    }[run.decay]()
    final = jnp.minimum(1.0, run.final_fraction / height)
    return height * (value + final * (1.0 - value))


def choose(condition: Array, yes: Any, no: Any) -> Any:
    """Return one of two carries, field by field."""
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), yes, no)
