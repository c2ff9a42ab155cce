"""Rows of the contract for Optax, compiled, with its state in float32."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import torch
from hosts import STEPS, Host

from autowarmup.integrations.optax import (
    AdaptiveWarmupSchedule,
    WarmupState,
    scale_by_adaptive_warmup,
    status,
)

PARAMS = {"w": jnp.zeros(2), "b": jnp.zeros(2)}
ONES = {"w": jnp.ones(2), "b": jnp.ones(2)}
NANS = {"w": jnp.full(2, jnp.nan), "b": jnp.ones(2)}
_STEPS: dict[Any, Any] = {}  # compiled once for all runs with the same settings


class Optax(Host):
    """`scale_by_adaptive_warmup` after an optimizer with two rates.

    Inside `apply_if_finite`, which throws away updates that are not finite.
    """

    name = "Optax, transformation"
    peaks = (0.5, 0.03)
    tolerance = 3e-6  # float32; measured: 3e-7

    calls = ("start_decay", "rewarm")  # its end is a constant of what is compiled

    def __init__(self, steps: int | None = STEPS, **options: Any) -> None:
        self.schedule = AdaptiveWarmupSchedule(1.0, steps, **options)
        key = (type(self), steps, tuple(sorted(options.items())))
        if key not in _STEPS:
            tx = self.build(steps, options)
            _STEPS[key] = tx, jax.jit(tx.update)
        tx, self.step = _STEPS[key]
        self.state = tx.init(PARAMS)

    def build(self, steps: int | None, options: dict[str, Any]) -> Any:
        rates = {"w": optax.sgd(self.peaks[0]), "b": optax.sgd(self.peaks[1])}
        groups = optax.partition(rates, {"w": "w", "b": "b"})
        chained = optax.chain(groups, scale_by_adaptive_warmup(steps, **options))
        return optax.apply_if_finite(chained, max_consecutive_errors=9)

    def go(self, gradients: dict[str, Any], **value: Any) -> None:
        _, self.state = self.step(gradients, self.state, PARAMS, **value)

    def update(self, loss: float | None) -> None:
        self.go(ONES, **({} if loss is None else {"value": loss}))

    def idle(self) -> None:
        self.rates()  # nothing is called without an update: reading must not move it either

    def rates(self) -> list[float]:
        updates, _ = self.step(ONES, self.state, PARAMS, value=1.0)
        return [-float(np.asarray(updates[name])[0]) for name in ("w", "b")]

    def skip(self, loss: float) -> None:
        self.go(NANS, value=loss)

    def status(self) -> str:
        return status(self.state).name

    def ask(self, call: str, steps: int) -> None:
        def moved(node: Any) -> Any:
            inside = isinstance(node, WarmupState)
            return getattr(self.schedule, call)(node, steps) if inside else node

        leaf = lambda node: isinstance(node, WarmupState)  # noqa: E731
        self.state = jax.tree.map(moved, self.state, is_leaf=leaf)

    def state_dict(self) -> dict[str, Any]:
        return {"leaves": [torch.tensor(np.asarray(x)) for x in jax.tree.leaves(self.state)]}

    def load(self, state: dict[str, Any]) -> None:
        shape = jax.tree.structure(self.state)
        self.state = jax.tree.unflatten(shape, [jnp.asarray(x.numpy()) for x in state["leaves"]])


class OptaxSchedule(Optax):
    """`AdaptiveWarmupSchedule` through `inject_hyperparams`, here as the only rate."""

    name = "Optax, schedule"
    peaks = (0.5,)
    skips = False

    def build(self, steps: int | None, options: dict[str, Any]) -> Any:
        schedule = AdaptiveWarmupSchedule(self.peaks[0], steps, **options)
        return optax.inject_hyperparams(optax.sgd)(learning_rate=schedule)

    def rates(self) -> list[float]:
        return super().rates()[:1]


JAX_FRAMEWORKS = [Optax, OptaxSchedule]
