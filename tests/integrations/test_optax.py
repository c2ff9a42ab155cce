"""The rules in jax against the core, and the two ways into Optax."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from pages import loop

from autowarmup import Trace
from autowarmup.integrations.jax.base import STATUSES
from autowarmup.integrations.optax import (
    AdaptiveWarmupSchedule,
    report,
    scale_by_adaptive_warmup,
    status,
    warmup_states,
)
from autowarmup.rules import H0H1, PHASES, Doubling, GapLaw, Rule, Run, begin, rule_of, step

GOLDEN = Path(__file__).parent.parent / "golden"
KINDS = ("falls", "stalls", "rises")
LAW = GapLaw(end=0.4, div=20.0)
RULES = [
    "watched", "none", "linear 5%", "linear 30 steps", "untuned", Doubling(div=20.0),
    GapLaw(div=20.0), LAW, H0H1(div=20.0),
]  # fmt: skip
SHORT = [("watched", 7), ("watched", 23), (LAW, 23), ("linear 40%", 1)]


def losses_of(kind: str, steps: int, seed: int) -> list[float]:
    """Losses that fall, stall, rise and break, so that every branch of a rule is walked."""
    draw = random.Random(f"{kind}{seed}")
    level, out = 5.0, []
    for k in range(steps):
        pull = {"falls": 0.97, "stalls": 0.97 if k < steps // 6 else 1.0, "rises": 1.01}[kind]
        level *= pull
        out.append(level * (1.0 + 0.2 * draw.uniform(-1.0, 1.0)))
        if draw.random() < 0.06:
            out[-1] = draw.choice([math.nan, math.inf, -1.0, 60.0]) if k else out[-1]
    return out


def core_states(rule: str | Rule, losses: list[float], **options) -> list[tuple[float, str, str]]:
    """Return factor, phase and status before each update and after the last."""
    state, out = begin(rule_of(rule), Run(len(losses), beta=0.999, **options)), []
    for loss in losses:
        out.append((state.factor, state.phase, state.status.name))
        state = step(state, loss)
    return [*out, (state.factor, state.phase, state.status.name)]


def jax_states(rule: str | Rule, losses: list[list[float]], dtype, **options) -> tuple:
    """Return the same, one row per run and one column more than there are updates."""
    values = jnp.asarray(losses, dtype)
    schedule = AdaptiveWarmupSchedule(1.0, values.shape[1], rule=rule, dtype=dtype, **options)

    def one(state, loss):
        moved = schedule.update(state, value=loss)
        return moved, (state.factor, state.phase, state.progress.status)

    def walk(row):
        state, seen = jax.lax.scan(one, schedule.init(), row)
        last = state.factor, state.phase, state.progress.status
        return jax.tree.map(jnp.append, seen, last)

    factors, phases, statuses = jax.jit(jax.vmap(walk))(values)
    names = np.asarray([status.name for status in STATUSES])
    return np.asarray(factors), np.asarray(PHASES)[np.asarray(phases)], names[np.asarray(statuses)]


@pytest.mark.parametrize(("rule", "steps"), [*[(rule, 240) for rule in RULES], *SHORT], ids=str)
def test_in_double_precision_the_rules_are_those_of_the_core(rule, steps):
    """The reference and the traced form, step for step, through nan, inf, spikes and gaps of 0."""
    options = {"decay": "cosine", "final_fraction": 0.05}
    runs = [losses_of(kind, steps, seed) for kind in KINDS for seed in range(3)]
    with jax.enable_x64(True):
        states = jax_states(rule, runs, jnp.float64, **options)
    for losses, *got in zip(runs, *states, strict=True):
        factors, phases, statuses = zip(*core_states(rule, losses, **options), strict=True)
        np.testing.assert_allclose(got[0], factors, rtol=1e-11)
        assert tuple(got[1]) == phases
        assert tuple(got[2]) == statuses


@pytest.mark.parametrize("decay", ["linear", "wsd", "sqrt", "constant"])
def test_every_decay_and_a_run_without_warmup(decay):
    div = 1.0 if decay == "linear" else 30.0
    losses = losses_of("falls", 90, 3)
    with jax.enable_x64(True):
        factors, *_ = jax_states(GapLaw(end=0.4, div=div), [losses], jnp.float64, decay=decay)
    wanted = core_states(GapLaw(end=0.4, div=div), losses, decay=decay)
    np.testing.assert_allclose(factors[0], [factor for factor, *_ in wanted], rtol=1e-11)


@pytest.mark.parametrize(("rule", "tolerance"), [("watched", 5e-6), (LAW, 1e-5)], ids=str)
def test_in_single_precision_the_rates_stay_close_over_a_long_run(rule, tolerance):
    """Measured over 12,000 updates: 5e-7 for watched, 1.7e-6 for the law of the gap."""
    steps = 12_000
    losses = [
        1.0 + 4.0 * math.exp(-k / 700) + 0.05 * math.sin(3 * k) if k < steps // 4 else 1.06
        for k in range(steps)
    ]
    factors, phases, _ = jax_states(rule, [losses], jnp.float32)
    expected, wanted, _ = zip(*core_states(rule, losses), strict=True)
    assert tuple(phases[0]) == wanted
    assert np.abs(factors[0] / np.asarray(expected) - 1.0).max() < tolerance


@pytest.mark.parametrize("name", ["muon", "lion"])
def test_the_golden_trace_in_float32(name):
    run = json.loads((GOLDEN / "runs.json").read_text())[name]
    trace = Trace.read(GOLDEN / f"{name}.jsonl")
    tx = optax.inject_hyperparams(optax.sgd)(
        learning_rate=AdaptiveWarmupSchedule(
            run["lr"],
            run["steps_done"],
            rule=GapLaw(end=run["gap_peak"] / run["gap0"], div=run["div"]),
        )
    )
    params = jnp.zeros(3)
    state = tx.init(params)

    @jax.jit
    def step(state, loss):
        return tx.update(jnp.ones(3), state, params, value=loss)

    for point in trace:
        _, state = step(state, point.loss)
        assert float(state.hyperparams["learning_rate"]) == pytest.approx(point.lr, rel=2e-6)
    assert warmup_states(state)[0].phase == 2


def test_muon_and_its_adam_part_keep_their_proportions():
    tx = optax.inject_hyperparams(optax.contrib.muon)(
        learning_rate=AdaptiveWarmupSchedule(0.02, 40),
        adam_learning_rate=AdaptiveWarmupSchedule(0.003, 40),
    )
    params = {"w": jnp.ones((4, 3)), "b": jnp.ones(3)}
    state, step = tx.init(params), jax.jit(tx.update)
    for k in range(40):
        _, state = step(params, state, params, value=5.0 * 0.99**k)
        rates = state.hyperparams
        ratio = float(rates["learning_rate"] / rates["adam_learning_rate"])
        assert ratio == pytest.approx(0.02 / 0.003, rel=1e-6)
    assert len(warmup_states(state)) == 2


def test_chained_after_multi_steps_it_averages_the_micro_batches():
    inner = optax.MultiSteps(optax.sgd(1.0), every_k_schedule=2)
    tx = optax.chain(inner.gradient_transformation(), scale_by_adaptive_warmup(30, every=2))
    plain = AdaptiveWarmupSchedule(1.0, 30)
    params = jnp.ones(2)
    state, expected, step = tx.init(params), plain.init(), jax.jit(tx.update)
    for k in range(30):
        loss = 5.0 * 0.99**k
        moved, state = step(jnp.ones(2), state, params, value=loss - 0.5)
        assert not moved.any()
        moved, state = step(jnp.ones(2), state, params, value=loss + 0.5)
        assert float(-moved[0]) == pytest.approx(float(plain(expected)), rel=1e-5)
        expected = plain.update(expected, value=loss)


def test_the_report_says_where_it_stands():
    tx = optax.chain(optax.sgd(0.5), scale_by_adaptive_warmup(10, rule=GapLaw(end=0.5, div=10.0)))
    params = jnp.ones(2)
    state = tx.init(params)
    assert report(state, lr=0.5) == pytest.approx(
        {"warmup/phase": 0.0, "warmup/factor": 0.1, "warmup/lr": 0.05}, rel=1e-6
    )
    assert status(state).name == "WARMING"
    for value in (4.0, None, jnp.nan):
        _, state = tx.update(params, state, params, value=value)
    assert status(state).name == "NON_FINITE"
    assert report(state)["warmup/gap"] == 4.0
    for _ in range(7):
        _, state = tx.update(params, state, params, value=0.5)
    assert status(state).name == "DONE"


def test_what_is_wrong_is_said_at_once():
    with pytest.raises(ValueError, match="cannot run under jit: expected one of"):
        scale_by_adaptive_warmup(10, rule="accurate")
    with pytest.raises(ValueError, match="peak='flat' is now rule='flat'"):
        scale_by_adaptive_warmup(10, peak="flat")
    with pytest.raises(ValueError, match="expected every >= 1"):
        scale_by_adaptive_warmup(10, every=0)
    with pytest.raises(ValueError, match="total_steps >= 1"):
        scale_by_adaptive_warmup(0)
    with pytest.raises(ValueError, match="expected the state of an optimizer with an adaptive"):
        report(optax.sgd(1.0).init(jnp.ones(2)))
    schedule = AdaptiveWarmupSchedule(1.0, 10, lower_bound=3.0)
    with pytest.raises(ValueError, match="expected lower_bound < 2, got 3"):
        schedule.update(schedule.init(), value=2.0)
    with pytest.raises(ValueError, match="expected a scalar value, got an array of shape"):
        schedule.update(schedule.init(), value=jnp.ones(2))


def test_bfloat16_updates_stay_what_they_are():
    tx = scale_by_adaptive_warmup(10)
    updates, state = tx.update(jnp.ones(2, jnp.bfloat16), tx.init(None), value=3.0)
    assert updates.dtype == jnp.bfloat16
    assert state.factor.dtype == jnp.float32


def test_the_loops_of_the_page_train():
    names = {
        "params": {"w": jnp.ones((3, 2))},
        "loss_of": lambda params, batch: jnp.square(batch @ params["w"] - 1.0).mean(),
    }
    exec(loop("optax"), names)
    params, state, batch = names["params"], names["state"], jnp.ones((4, 3))
    before = names["loss_of"](params, batch)
    for _ in range(20):
        params, state = names["update"](params, state, batch)
    assert names["loss_of"](params, batch) < before
    assert int(warmup_states(state)[0].step) == 20
    exec(loop("optax", 1), names)
    assert len(warmup_states(names["tx"].init(params))) == 2
