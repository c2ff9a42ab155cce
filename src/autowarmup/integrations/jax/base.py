"""What every traced rule is, and what several of them share."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from autowarmup.rules.config import ScheduleConfig
from autowarmup.rules.decay import WSD_STABLE


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


def share_left(total: int, step: Array, since: Array | int, dtype: Any) -> Array:
    """Return the share of the decay that is left at update `step`; exact integers, one division."""
    left = jnp.asarray(total - step, dtype) / jnp.asarray(total - since, dtype)
    return jnp.clip(left, 0.0, 1.0)


def choose(condition: Array, yes: Any, no: Any) -> Any:
    """Return one of two carries, field by field."""
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), yes, no)
