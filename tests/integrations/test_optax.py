"""The rules in jax against the core, and the two ways into Optax."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from tests.rules.any_settings import begun

from autowarmup.integrations.jax.base import STATUSES, TracedMove, TracedRule, TracedUpdate
from autowarmup.integrations.optax import (
    AdaptiveWarmupSchedule,
    report,
    scale_by_adaptive_warmup,
    status,
    warmup_states,
)
from autowarmup.rules import (
    H0H1,
    PHASES,
    Doubling,
    GapLaw,
    Move,
    Rule,
    Run,
    Update,
    Watched,
    begin,
    rule_of,
    step,
)
from autowarmup.rules.life import with_decay, with_ramp
from pages import loop

KINDS = ("falls", "stalls", "rises")
LAW = GapLaw(end=0.4, div=20.0)
RULES = [
    "paced", "paced(length=40, cap=0.9, sure=0.5)", "watched", "none", "linear 5%",
    "linear 30 steps", "untuned", Doubling(div=20.0),
    GapLaw(div=20.0), LAW, H0H1(div=20.0),
]  # fmt: skip
SHORT = [("paced", 1), ("paced", 7), ("watched", 7), ("watched", 23), (LAW, 23), ("linear 40%", 1),
         (Watched(share=0.9, looks=30, apart=4, floor=0.0), 60)]  # fmt: skip


@dataclass(frozen=True)
class Halves(Rule[int]):
    """A rule from outside the package: half of what is missing at every one of 4 updates."""

    word: ClassVar[str] = "halves"

    def start(self, run: Run) -> Move[int]:
        return Move(0, 0.5)

    def advance(self, memory: int, update: Update) -> Move[int]:
        share = 0.5 + 0.5 * update.share
        return Move(memory + 1, share, "length" if memory == 3 else "")

    def traced(self, run: Run, dtype: Any) -> TracedRule:
        def advance(carry: Any, update: TracedUpdate) -> TracedMove:
            return TracedMove(carry + 1, 0.5 + 0.5 * update.share, carry == 3)

        return TracedRule(lambda: (jnp.asarray(0), 0.5, False), advance)


def losses_of(kind: str, steps: int, seed: int) -> list[float]:
    """Losses that fall, stall, rise and break, so that every branch of a rule is walked."""
    draw = random.Random(f"{kind}{seed}")
    level, out = 5.0, []
    for k in range(steps):
        pull = {"falls": 0.97, "stalls": 0.97 if k < steps // 6 else 1.0, "rises": 1.01}[kind]
        level *= pull
        out.append(level * (1.0 + 0.2 * draw.uniform(-1.0, 1.0)))
        if draw.random() < 0.06:
            out[-1] = draw.choice([math.nan, math.inf, -1.0, 60.0, 1e300])
    if seed == 0:
        out = [-math.inf, math.nan, *out][:steps]
    return begun(out)


def core_states(rule: str | Rule, losses: list[float], **options) -> list[tuple]:
    """Return factor, gap, phase and status before each update and after the last."""
    states = [begin(rule_of(rule), Run(len(losses), beta=0.999, **options))]
    for loss in losses:
        states.append(step(states[-1], loss))
    nan = math.nan
    return [(s.factor, nan if s.gap is None else s.gap, s.phase, s.status.name) for s in states]


def jax_states(rule: str | Rule, losses: list[list[float]], dtype, **options) -> tuple:
    """Return the same, one row per run and one column more than there are updates."""
    values = jnp.asarray(losses, dtype)
    schedule = AdaptiveWarmupSchedule(1.0, values.shape[1], rule=rule, dtype=dtype, **options)

    def one(state, loss):
        moved = schedule.update(state, value=loss)
        return moved, (state.factor, state.gap, state.phase, state.progress.status)

    def walk(row):
        state, seen = jax.lax.scan(one, schedule.init(), row)
        last = state.factor, state.gap, state.phase, state.progress.status
        return jax.tree.map(jnp.append, seen, last)

    factors, gaps, *codes = map(np.asarray, jax.jit(jax.vmap(walk))(values))
    names = np.asarray(PHASES), np.asarray([status.name for status in STATUSES])
    return factors, gaps, *(table[code] for table, code in zip(names, codes, strict=True))


@pytest.mark.parametrize(("rule", "steps"), [*[(rule, 240) for rule in RULES], *SHORT], ids=str)
def test_in_double_precision_the_rules_are_those_of_the_core(rule, steps):
    """The reference and the traced form, step for step, through nan, inf, spikes and gaps of 0."""
    options = {"decay": "cosine", "final_fraction": 0.05}
    runs = [losses_of(kind, steps, seed) for kind in KINDS for seed in range(3)]
    with jax.enable_x64(True):
        states = jax_states(rule, runs, jnp.float64, **options)
    for losses, *got in zip(runs, *states, strict=True):
        factors, gaps, *names = zip(*core_states(rule, losses, **options), strict=True)
        np.testing.assert_allclose(got[0], factors, rtol=1e-12)
        np.testing.assert_allclose(got[1], gaps, rtol=1e-12)
        assert [tuple(column) for column in got[2:]] == names


def test_an_open_end_a_decay_by_hand_and_a_later_ramp():
    schedule = AdaptiveWarmupSchedule(1.0, rule="linear 4 steps", decay="linear")
    core, state, rates = begin(rule_of("linear 4 steps"), Run(None, decay="linear")), None, []
    state = schedule.init()
    for k in range(40):
        if k in (6, 12):
            state, core = schedule.start_decay(state, 30 - k), with_decay(core, 30 - k)
        if k == 9:
            state, core = schedule.rewarm(state, 4), with_ramp(core, 4)
        assert PHASES[int(state.phase)] == core.phase
        rates.append((float(schedule(state)), core.factor))
        state, core = schedule.update(state, value=2.0), step(core, 2.0)
    got, wanted = zip(*rates, strict=True)
    np.testing.assert_allclose(got, wanted, rtol=1e-6)
    with pytest.raises(ValueError, match="counts shares of the run"):
        AdaptiveWarmupSchedule(1.0, rule="linear 5%")


@pytest.mark.parametrize("decay", ["linear", "wsd", "sqrt", "constant"])
def test_every_decay_and_a_run_without_warmup(decay):
    div = 1.0 if decay == "linear" else 30.0
    losses = losses_of("falls", 90, 3)
    with jax.enable_x64(True):
        factors, *_ = jax_states(GapLaw(end=0.4, div=div), [losses], jnp.float64, decay=decay)
    wanted = core_states(GapLaw(end=0.4, div=div), losses, decay=decay)
    np.testing.assert_allclose(factors[0], [factor for factor, *_ in wanted], rtol=1e-12)


@pytest.mark.parametrize("rule", ["watched", LAW, H0H1(div=20.0)], ids=str)
def test_a_first_loss_on_the_bound_that_jit_cannot_refuse_breaks_nothing(rule):
    factors, gaps, *_ = jax_states(rule, [[-1.0, 0.0, 0.0, *[2.0] * 17]], jnp.float32)
    assert ((factors > 0.0) & (factors <= 1.0)).all()
    assert gaps[0, -1] > 0.0


def test_a_rule_of_ones_own_brings_its_traced_form():
    with jax.enable_x64(True):
        factors, _, phases, _ = jax_states(Halves(), [[4.0] * 9], jnp.float64)
    wanted = core_states(Halves(), [4.0] * 9)
    np.testing.assert_allclose(factors[0], [factor for factor, *_ in wanted], rtol=1e-12)
    assert list(phases[0]) == [phase for _, _, phase, _ in wanted]


@pytest.mark.parametrize(
    ("rule", "tolerance"), [("paced", 5e-6), ("watched", 5e-6), (LAW, 1e-5)], ids=str
)
def test_in_single_precision_the_rates_stay_close_over_a_long_run(rule, tolerance):
    """Measured over 12,000 updates: 5e-7 for watched, 1.7e-6 for the law of the gap."""
    steps = 12_000
    losses = [
        1.0 + 4.0 * math.exp(-k / 700) + 0.05 * math.sin(3 * k) if k < steps // 4 else 1.06
        for k in range(steps)
    ]
    factors, _, phases, _ = jax_states(rule, [losses], jnp.float32)
    expected, _, wanted, _ = zip(*core_states(rule, losses), strict=True)
    assert tuple(phases[0]) == wanted
    assert np.abs(factors[0] / np.asarray(expected) - 1.0).max() < tolerance


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
    moved_on = jax.jit(lambda state, loss: plain.update(state, value=loss))
    for k in range(30):
        loss = 5.0 * 0.99**k
        moved, state = step(jnp.ones(2), state, params, value=loss - 0.5)
        assert not moved.any()
        moved, state = step(jnp.ones(2), state, params, value=loss + 0.5)
        assert float(-moved[0]) == pytest.approx(float(plain(expected)), rel=1e-5)
        expected = moved_on(expected, loss)


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
    schedule = AdaptiveWarmupSchedule(1.0, 10, rule="watched", lower_bound=3.0)
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
