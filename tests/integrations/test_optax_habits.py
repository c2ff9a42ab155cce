"""The warm-up inside what people build of Optax: donated states, wrappers, schedules."""

from __future__ import annotations

import copy
import pickle

import jax
import jax.numpy as jnp
import optax
import pytest

from autowarmup.integrations.optax import (
    AdaptiveWarmupSchedule,
    report,
    scale_by_adaptive_warmup,
    warmup_states,
)
from autowarmup.rules import Linear

PARAMS = {"w": jnp.ones(3)}
GRADS = {"w": jnp.full(3, 0.5)}
LOSSES = [3.0, 2.5, 2.6, 2.0]
WAYS = {
    "chained": lambda: optax.chain(optax.adamw(0.1), scale_by_adaptive_warmup(40)),
    "injected": lambda: optax.inject_hyperparams(optax.adamw)(AdaptiveWarmupSchedule(0.1, 40)),
    "several batches": lambda: optax.chain(optax.sgd(0.1), scale_by_adaptive_warmup(40, every=2)),
}
every_way = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)


def walked(tx, update, losses=LOSSES):
    params, state = PARAMS, tx.init(PARAMS)
    for loss in losses:
        updates, state = update(GRADS, state, params, value=loss)
        params = optax.apply_updates(params, updates)
    return params, state


@every_way
def test_a_donated_state_is_taken_over(way):
    tx = way()
    wanted, _ = walked(tx, jax.jit(tx.update))
    got, state = walked(tx, jax.jit(tx.update, donate_argnums=1))
    assert jnp.array_equal(got["w"], wanted["w"])
    leaves = [leaf.unsafe_buffer_pointer() for leaf in jax.tree.leaves(tx.init(PARAMS))]
    assert len(set(leaves)) == len(leaves)
    assert jnp.isfinite(report(state)["warmup/lr"])


@every_way
def test_updates_that_are_not_finite_are_left_out_inside_and_outside_jit(way):
    plain, guarded = way(), optax.apply_if_finite(way(), 5)
    wanted, _ = walked(plain, plain.update)
    for update in (guarded.update, jax.jit(guarded.update)):
        params, state = PARAMS, guarded.init(PARAMS)
        for loss in LOSSES:
            bad = {"w": jnp.full(3, jnp.nan)}
            updates, state = update(bad, state, params, value=loss)
            params = optax.apply_updates(params, updates)
            updates, state = update(GRADS, state, params, value=loss)
            params = optax.apply_updates(params, updates)
        assert jnp.allclose(params["w"], wanted["w"], rtol=1e-5)


def test_a_place_for_plain_schedules_is_refused_with_what_to_write():
    tx = optax.adamw(AdaptiveWarmupSchedule(0.1, 40))
    with pytest.raises(ValueError, match=r"expected its own state, from .*inject_hyperparams"):
        tx.update(GRADS, tx.init(PARAMS), PARAMS)


@pytest.mark.parametrize("way", [WAYS["chained"], WAYS["injected"]], ids=["chained", "injected"])
def test_a_line_of_the_report_is_of_one_update(way):
    tx = way()
    state = tx.init(PARAMS)
    first = report(state, 0.1)
    for loss in [3.0 - 0.1 * k for k in range(8)]:
        used = float(warmup_states(state)[0].factor)
        _, state = tx.update(GRADS, state, PARAMS, value=loss)
        line = report(state, 0.1)
        assert line["warmup/factor"] == used
        assert line["warmup/lr"] == pytest.approx(0.1 * used)
    assert first["warmup/factor"] < line["warmup/factor"]


@pytest.mark.parametrize(
    ("rule", "options", "said"),
    [
        ("paced", {"lower_bound": 1.0}, "lower_bound=1.0 changes no rate"),
        (Linear(0.1), {"family": "spectral"}, "family='spectral' is not used"),
        (Linear(0.1), {"trained": True}, "trained=True is not used"),
        ("paced", {"decay": "constant", "final_fraction": 0.5}, "final_fraction=0.5 is not used"),
    ],
)
def test_what_the_rule_does_not_use_is_said(rule, options, said):
    with pytest.warns(UserWarning, match=said):
        AdaptiveWarmupSchedule(0.1, 40, rule=rule, **options)


def test_a_schedule_can_be_copied():
    schedule = AdaptiveWarmupSchedule(0.1, 40)
    state = schedule.update(schedule.init(), value=3.0)
    for other in (copy.deepcopy(schedule), pickle.loads(pickle.dumps(schedule))):
        assert float(other(other.update(state, value=2.0))) == float(
            schedule(schedule.update(state, value=2.0))
        )


def test_arguments_of_another_type_are_sentences():
    for options in ({"lr": "x"}, {"total_steps": "x"}, {"every": "x"}, {"every": 1.5}):
        with pytest.raises(ValueError, match=r"expected .*, got "):
            AdaptiveWarmupSchedule(**{"lr": 0.1, "total_steps": 40, **options})
    schedule = AdaptiveWarmupSchedule(0.1, 40)
    for state, value in ((3, 1.0), (schedule.init(), "x"), (schedule.init(), {"loss": 1.0})):
        with pytest.raises(ValueError, match=r"expected .*, got "):
            schedule.update(state, value=value)
