"""Optax: the warm-up as a gradient transformation and as a stateful schedule, both for jit.

    tx = optax.chain(optax.adamw(3e-3), scale_by_adaptive_warmup(total_steps=1000))
    updates, state = tx.update(grads, state, params, value=loss)

The rate of an update follows the losses of the updates before it, as in the torch scheduler, so
that `value` may be the loss of the very batch that gave the gradients. Every process of a
distributed program has to give the same one: average it first (`jax.lax.pmean`).
"""

from __future__ import annotations

from typing import Any

from autowarmup.integrations import missing

try:
    import jax
    import jax.numpy as jnp
    import optax
    from jax import Array
except ModuleNotFoundError as error:
    raise missing("jax and optax", "jax") from error

from autowarmup.integrations.jax.base import STATUSES
from autowarmup.integrations.jax.schedule import AdaptiveWarmupSchedule, WarmupState
from autowarmup.rules.base import Rule
from autowarmup.rules.registry import DEFAULT_RULE
from autowarmup.rules.status import Status


def scale_by_adaptive_warmup(
    total_steps: int | None = None, *, rule: str | Rule[Any] = DEFAULT_RULE, **options: Any
) -> optax.GradientTransformationExtraArgs:
    """Return the warm-up as a transformation to chain after an optimizer with its peak rate.

    It multiplies updates of every parameter by one factor in (0, 1]: decoupled weight decay
    follows, and groups with rates of their own keep their proportions.

    Args:
        total_steps: updates of the whole run.
        rule: a name or a rule with its settings.
        options: those of `AdaptiveWarmupSchedule`.

    Example:
        >>> tx = optax.chain(optax.sgd(1.0), scale_by_adaptive_warmup(100, rule="flat(div=10)"))
        >>> params = {"w": jnp.ones(2)}
        >>> updates, state = tx.update(params, tx.init(params), params, value=4.0)
        >>> [round(float(u), 6) for u in updates["w"]]
        [-0.1, -0.1]
    """
    schedule = AdaptiveWarmupSchedule(1.0, total_steps, rule=rule, **options)

    def init(params: optax.Params) -> WarmupState:
        return schedule.init()

    def update(
        updates: optax.Updates,
        state: optax.OptState,
        params: optax.Params | None = None,
        *,
        value: Array | float | None = None,
        **extra: Any,
    ) -> tuple[optax.Updates, WarmupState]:
        assert isinstance(state, WarmupState), "the state is the one that init returned"
        scaled = jax.tree.map(lambda u: u * state.factor.astype(u.dtype), updates)
        return scaled, schedule.update(state, value=value)

    return optax.GradientTransformationExtraArgs(init, update)


def warmup_states(opt_state: Any) -> list[WarmupState]:
    """Return the states of every warm-up inside the state of an optimizer, in its order."""
    leaves = jax.tree.leaves(opt_state, is_leaf=lambda node: isinstance(node, WarmupState))
    return [leaf for leaf in leaves if isinstance(leaf, WarmupState)]


def report(opt_state: Any, lr: float = 1.0, *, prefix: str = "warmup/") -> dict[str, float]:
    """Return phase, factor, rate and gap of the last update, for a tracker; waits for the device.

    All are floats. Before the first update they are what it will use.

    Args:
        opt_state: the state of an optimizer with a warm-up inside.
        lr: the peak rate.
        prefix: of every name.

    Raises:
        ValueError: no warm-up inside.

    Example:
        >>> state = scale_by_adaptive_warmup(100, rule="flat(div=10)").init({})
        >>> report(state)["warmup/phase"]
        0.0
    """
    state = jax.device_get(_first(opt_state))
    made = state.progress.made
    values = {"phase": state.progress.made_phase, "factor": made, "lr": lr * made}
    if not jnp.isnan(state.gap):
        values["gap"] = state.gap
    return {prefix + name: float(value) for name, value in values.items()}


def status(opt_state: Any) -> Status:
    """Return what the last update had to say; its value is a sentence.

    Raises:
        ValueError: no warm-up inside.
    """
    return STATUSES[int(_first(opt_state).progress.status)]


def _first(opt_state: Any) -> WarmupState:
    found = warmup_states(opt_state)
    if not found:
        raise ValueError("expected the state of an optimizer with an adaptive warm-up, got another")
    return found[0]
