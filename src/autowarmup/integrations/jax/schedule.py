"""The warm-up as a stateful schedule for jit; `autowarmup.integrations.optax` has it for users."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.core import Tracer

from autowarmup.integrations.jax import traced
from autowarmup.integrations.jax.state import (
    Progress,
    advanced,
    begin,
    separate,
    with_decay,
    with_ramp,
)
from autowarmup.notices import ignored
from autowarmup.rules.base import Rule, Run
from autowarmup.rules.registry import DEFAULT_RULE, rule_of
from autowarmup.rules.settings import expect, whole
from autowarmup.rules.stepping import told
from autowarmup.saved import refuse_renamed


class WarmupState(NamedTuple):
    """Where the warm-up stands between two updates: scalars on the device.

    Attributes:
        progress: of the rule: `step`, `factor`, `phase`, `status`, the smoothed gap and more.
        total: sum of the losses of the micro-batches so far.
        given: number of them, int32.
        micro: number of micro-batches so far, int32.
    """

    progress: Progress
    total: Array
    given: Array
    micro: Array

    @property
    def step(self) -> Array:
        """Number of updates taken, int32."""
        return self.progress.step

    @property
    def factor(self) -> Array:
        """Share of the peak rate that the next update uses, float."""
        return self.progress.factor

    @property
    def phase(self) -> Array:
        """Index into `autowarmup.rules.PHASES`, int32."""
        return self.progress.phase

    @property
    def gap(self) -> Array:
        """Smoothed loss minus the lower bound; NaN before the first finite loss."""
        return self.progress.smoothing.gap


_OPTIONS = ("decay", "final_fraction", "lower_bound", "family", "parameters", "trained")


def _unread(rule: Rule[Any], options: dict[str, Any]) -> Iterator[str]:
    """Yield a sentence for every fact of the model that a rule does not look at."""
    for name in ("family", "parameters", "trained"):
        if name in options and not rule.reads_model:
            yield f"{name}={options[name]!r} is not used: the rule {rule.name!r} does not read it"


class AdaptiveWarmupSchedule:
    """A `StatefulSchedule`: `optax.inject_hyperparams(optax.contrib.muon)(schedule)`.

    Its state is one of its own for every hyperparameter that it is given for; all see the same
    losses and agree. `tx.update(..., value=loss)` feeds it.

    Args:
        lr: the peak rate; 1 gives the share of it.
        total_steps: updates of the whole run; `None` if nobody knows yet: after warm-up the rate
            stays at the peak until `start_decay`.
        rule: a name or a rule with its settings, as in `AdaptiveWarmup`; one that
            `autowarmup.integrations.jax.traced` knows. There is no `calibrate` here.
        every: micro-batches per update, whose losses are averaged. `optax.MultiSteps` shows what
            it wraps the last one only; chain this after it, with its `every_k_schedule`.
        dtype: of the state.
        beta: slowest memory of the optimizer (b2 of Adam), for the rule "untuned".
        options: `decay`, `final_fraction`, `lower_bound` as in `AdaptiveWarmup`; and what a torch
            scheduler would see by itself: `family` (the class of the optimizer, "spectral" for
            Muon, see `autowarmup.rules.families.FAMILIES`), `parameters` (how many are trained) and
            `trained` (True in fine-tuning).

    Raises:
        ValueError: an argument out of its range, or a rule that cannot be traced; at the first
            loss, if it is seen outside jit, a `lower_bound` above it.

    Example:
        >>> schedule = AdaptiveWarmupSchedule(0.5, total_steps=100)
        >>> state = schedule.init()
        >>> first = schedule(state)
        >>> state = schedule.update(state, value=4.0)
        >>> bool(schedule(state) > first), int(state.step)
        (True, 1)
    """

    def __init__(
        self,
        lr: float,
        total_steps: int | None = None,
        *,
        rule: str | Rule[Any] = DEFAULT_RULE,
        every: int = 1,
        dtype: Any = jnp.float32,
        beta: float = 0.999,
        **options: Any,
    ) -> None:
        refuse_renamed({k: v for k, v in options.items() if k not in _OPTIONS})
        expect(isinstance(lr, int | float | Array), "lr to be a number", lr)
        self.lr, self.every, self.dtype = lr, whole("every", every), dtype
        expect(self.every >= 1, "every >= 1 micro-batches per update", every)
        self.rule = rule_of(rule)
        given = (options.get(name) for name in ("decay", "final_fraction", "lower_bound"))
        for sentence in (*ignored(self.rule, *given), *_unread(self.rule, options)):
            warnings.warn(sentence, stacklevel=2)
        self.run = told(self.rule, Run(total_steps, beta=beta, **options))
        self._traced = traced(self.rule, self.run, dtype)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_traced"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Trace anew: functions made on the spot cannot be copied."""
        self.__dict__.update(state)
        self._traced = traced(self.rule, self.run, self.dtype)

    def init(self) -> WarmupState:
        """Return the state before the first update."""
        zero = jnp.asarray(0, jnp.int32)
        progress = begin(self._traced, self.run, self.dtype)
        return separate(WarmupState(progress, jnp.asarray(0.0, self.dtype), zero, zero))

    def __call__(self, state: WarmupState, **extra: Any) -> Array:
        """Return the rate of the next update, a scalar; changes nothing.

        Raises:
            ValueError: a count of updates, which a schedule without losses is given.
        """
        if not isinstance(state, WarmupState):
            raise ValueError(
                "AdaptiveWarmupSchedule follows the losses: expected its own state, from "
                "optax.inject_hyperparams(optax.adamw)(schedule), or scale_by_adaptive_warmup "
                f"chained after the optimizer, got {type(state).__name__}"
            )
        return self.lr * state.factor

    def update(
        self, state: WarmupState, *, value: Array | float | None = None, **extra: Any
    ) -> WarmupState:
        """Return the state one update later, or one micro-batch later with `every` above 1.

        Args:
            state: the state that `init` or `update` returned.
            value: loss of the batch at the weights before the update, a scalar; `None` if there is
                none.
            extra: what other transformations of a chain ask for.
        """
        expect(isinstance(state, WarmupState), "the state that init or update returned", state)
        if value is not None:
            try:
                value = jnp.asarray(value)
            except TypeError:
                raise ValueError(f"expected a scalar value, got {value!r:.60}") from None
            self._check(state, value)
        if self.every == 1:
            loss = jnp.asarray(jnp.nan, self.dtype) if value is None else value
            return self._advanced(state, loss, jnp.asarray(value is not None))
        given = state.given + int(value is not None)
        total = state.total if value is None else state.total + value.astype(self.dtype)
        micro = state.micro + 1
        waiting = state._replace(total=total, given=given, micro=micro)
        loss = jnp.where(given > 0, total / jnp.maximum(given, 1), jnp.nan)
        moved = self._advanced(state, loss.astype(self.dtype), given > 0)
        full = micro >= self.every
        return jax.tree.map(lambda a, b: jnp.where(full, a, b), moved, waiting)

    def start_decay(self, state: WarmupState, steps: int) -> WarmupState:
        """Return the state whose next update is the first of a decay over `steps` updates.

        Ends warm-up, and a run without a known end; in a decay it begins anew, without a jump.

        Example:
            >>> schedule = AdaptiveWarmupSchedule(0.5, rule="none", decay="linear")
            >>> state = schedule.start_decay(schedule.update(schedule.init()), 2)
            >>> float(schedule(state)), float(schedule(schedule.update(state)))
            (0.5, 0.25)
        """
        if not steps >= 1:
            raise ValueError(f"expected a decay over steps >= 1, got {steps}")
        return state._replace(progress=with_decay(self._traced, state.progress, steps))

    def rewarm(self, state: WarmupState, steps: int) -> WarmupState:
        """Return the state whose next `steps` updates climb once more to what the schedule says."""
        if not steps >= 1:
            raise ValueError(f"expected a ramp over steps >= 1, got {steps}")
        return state._replace(progress=with_ramp(state.progress, steps))

    def _advanced(self, state: WarmupState, loss: Array, given: Array) -> WarmupState:
        progress = advanced(self._traced, self.run, state.progress, loss, given, self.dtype)
        zero = jnp.zeros_like(state.micro)
        return WarmupState(progress, jnp.zeros_like(state.total), zero, zero)

    def _check(self, state: WarmupState, value: Array) -> None:
        """Refuse a scalar that is none, and outside jit a first loss under the bound."""
        if value.shape != ():
            raise ValueError(f"expected a scalar value, got an array of shape {value.shape}")
        if isinstance(value, Tracer) or isinstance(state.step, Tracer):
            return
        bound = self.run.lower_bound
        if (
            self.rule.reads_loss
            and self.rule.needs_bound
            and jnp.isnan(state.gap)
            and jnp.isfinite(value)
            and float(value) <= bound
        ):
            raise ValueError(
                "the lower bound must lie below the first loss: "
                f"expected lower_bound < {float(value):g}, got {bound:g}"
            )
