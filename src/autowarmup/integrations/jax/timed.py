"""Ramps of a known length; `rules.timed` is the reference."""

from __future__ import annotations

from typing import Any

from autowarmup.integrations.jax.base import TracedMove, TracedRule, TracedUpdate
from autowarmup.rules.base import Run
from autowarmup.rules.timed import Timed


def timed(rule: Timed, run: Run, dtype: Any) -> TracedRule:
    """Return the ramp; it remembers nothing."""
    ramp = rule.ramp(run)
    first, length = ramp.first, ramp.length

    def start() -> tuple[tuple[()], float, bool]:
        return (), first if length else 1.0, length < 1

    def advance(carry: tuple[()], update: TracedUpdate) -> TracedMove:
        after = update.step + 1
        share = first + (1.0 - first) * (after.astype(dtype) / max(length, 1))
        return TracedMove(carry, share.clip(max=1.0), after >= length)

    return TracedRule(start, advance, reads_loss=False)
