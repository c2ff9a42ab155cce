from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autowarmup.lab.bench import rules
from autowarmup.lab.bench.directions import BETA
from autowarmup.lab.bench.plan import RunPlan, planned
from autowarmup.lab.bench.rules import DIGITS_SHAPES, kappa_of, length_of
from autowarmup.lab.bench.sets import (
    CORE_RULES,
    FAR,
    HAND_TUNED_NAMES,
    HORIZONS,
    JUDGED,
    MULTIPLES,
    OTHERS,
    PACES,
    SETS,
    at,
    chosen_on,
    core,
    demo,
    extended,
    logs,
    protocol,
    robustness,
    smoke,
)
from autowarmup.lab.bench.setups import (
    BEST,
    BEST_DIGITS,
    LARGE_BATCH,
    NETWORKS,
    SIZES,
    Setup,
    best_rate,
)
from autowarmup.lab.train import RECIPES
from autowarmup.lab.train.config import TrainConfig
from autowarmup.lab.train.model import build_model
from autowarmup.norms.named import NORMS
from autowarmup.rules import WarmupState, step
from autowarmup.rules.registry import DEFAULT_RULE


def begun(plan: RunPlan) -> WarmupState:
    """Return the state that a plan's rule begins with."""
    rule, setup = rules.build(plan), plan.setup
    beta = BETA[setup.optimizer]
    return rules.started(rule, setup, setup.steps, plan.options, start=0.25, beta=beta)


def factors(plan: RunPlan, losses: list[float]) -> list[float]:
    """Return the shares of the peak rate that a plan's rule chooses for these losses."""
    state, found = begun(plan), []
    for loss in losses:
        state = step(state, loss)
        found.append(state.factor)
    return found


def test_the_core_has_horizons_batches_rates_and_fine_tuning():
    setups = list(dict.fromkeys(plan.setup for plan in core()))
    assert len({setup.id for setup in setups}) == len(setups)
    assert set(BEST) == set(BETA)
    kinds = Counter(
        (setup.steps, setup.batch, setup.model, bool(setup.trained),
         round(setup.lr / best_rate(setup), 6))
        for setup in setups
    )  # fmt: skip
    small = [(steps, 8, "micro", False, m) for steps in HORIZONS[:2] for m in MULTIPLES]
    assert kinds == dict.fromkeys(
        [
            *small,
            (HORIZONS[2], 8, "micro", False, 1.0),
            (600, LARGE_BATCH, "micro", False, 1.0),
            (600, 8, "micro", True, 1.0),
            (1500, 8, "mini", False, 2.0),
            (800, 32, "micro", False, 2.0),
        ],
        len(BEST),
    )


def test_the_core_runs_the_lengths_and_both_defaults_everywhere_on_two_seeds():
    assert {*HAND_TUNED_NAMES} | {*OTHERS, DEFAULT_RULE} <= set(CORE_RULES)
    assert set(JUDGED) <= set(CORE_RULES)
    assert len(set(CORE_RULES)) == len(CORE_RULES)
    held: dict[Setup, Counter[str]] = {}
    for plan in core():
        held.setdefault(plan.setup, Counter())[plan.rule] += 1
    for runs in held.values():
        assert runs in (dict.fromkeys(CORE_RULES, 2), dict.fromkeys(JUDGED, 2))
    assert {plan.seed for plan in core()} == {0, 1}
    assert not any(plan.options for plan in core())


def test_what_constants_were_chosen_on_is_a_kind_and_no_sample():
    setups = dict.fromkeys(plan.setup for plan in core())
    seen = {s for s in setups if chosen_on(s)}
    assert {(s.batch, s.steps, round(s.lr / best_rate(s))) for s in seen} == {
        *((8, 600, multiple) for multiple in (0, 1, 2, FAR)),  # half, rounded
        *((8, 2500, multiple) for multiple in (1, FAR)),
        (LARGE_BATCH, 600, 1),
    }
    assert {s.model for s in seen} == {"micro"}


def test_the_protocol_starts_at_a_hundredth_and_measures_from_its_oracle():
    for plan in protocol():
        state = begun(plan)
        assert state.factor == (0.2 if plan.setup.optimizer == "normsgd" else 0.01)
        assert state.run.lower_bound == plan.options["law"]["f_star"] > 1.5


def test_logs_are_of_the_default_without_its_brake():
    rising = [3.0 + 0.01 * k for k in range(2500)]
    for plan in logs():
        assert round(plan.setup.lr / plan.options["best"], 6) in (1.0, 4.0, 16.0)
        shares = factors(plan, rising[: plan.setup.steps])
        top = shares.index(1.0)
        assert shares[:top] == sorted(shares[:top])


def test_no_run_is_planned_twice_over_all_sets():
    keys = [plan.key for build in SETS.values() for plan in build()]
    assert len(set(keys)) == len(keys)


def test_a_key_is_the_same_for_the_same_run_and_no_other():
    plan = RunPlan(Setup("lion", 1e-3), 0, "flat", {"lower_bound": 1.0})
    assert plan.key == replace(plan, options={"lower_bound": 1.0}).key
    others = [
        replace(plan, seed=1),
        replace(plan, rule="none"),
        replace(plan, options={}),
        replace(plan, options={"lower_bound": -1.0}),
        *(
            replace(plan, setup=replace(plan.setup, **{name: value}))
            for name, value in {"optimizer": "muon", "lr": 2e-3, "model": "mini", "batch": 9,
                                "steps": 9, "data": "x", "noise": 0.1, "scale": 2.0}.items()
        ),
    ]  # fmt: skip
    assert len({plan.key, *(other.key for other in others)}) == 13


def test_every_combination_is_planned_one_set_up_after_the_other():
    first, second = Setup("lion", 1e-3), Setup("muon", 1e-3)
    plans = planned([first, second], ("none", "flat"), (0, 1), {"lower_bound": 1.0})
    assert [(plan.setup, plan.seed, plan.rule) for plan in plans] == [
        (setup, seed, rule)
        for setup in (first, second)
        for seed in (0, 1)
        for rule in ("none", "flat")
    ]
    assert all(plan.options == {"lower_bound": 1.0} for plan in plans)


@pytest.mark.parametrize("name", SETS)
def test_every_plan_of_every_set_can_run(name: str):
    seen = set()
    for plan in SETS[name]():
        assert plan.setup.optimizer in BETA
        assert plan.setup.model in (
            {*SIZES, *NETWORKS, "digits"} if plan.setup.stacked else RECIPES
        )
        assert plan.setup.data == "stdlib" or Path(plan.setup.data).is_absolute()
        assert min(plan.setup.lr, plan.setup.batch, plan.setup.steps) > 0
        if not plan.setup.stacked:
            TrainConfig(recipe=plan.setup.model, **rules.training_fields(plan))
            continue
        kind = (plan.setup.optimizer, plan.setup.model, plan.setup.steps, plan.rule, plan.options)
        if str(kind) in seen:
            continue
        seen.add(str(kind))
        assert 0 < begun(plan).factor <= 1
        assert 0 < factors(plan, [5.0])[0] <= 1


@pytest.mark.parametrize("model", [*SIZES, "digits"])
def test_kappa_is_that_of_the_shapes_that_are_trained(model: str):
    if model == "digits":
        shapes = [*DIGITS_SHAPES]
    else:
        network = build_model(SIZES[model], vocabulary=256, sequence_length=8, seed=0)
        shapes = [tuple(p.shape) for p in network.parameters() if p.ndim == 2]

    def kappa(kind: str) -> float:
        return sum(NORMS[kind]().kappa(shape) for shape in shapes)

    kinds = {"muon": "spectral", "lion": "linf", "signum": "linf", "normsgd": "frobenius"}
    for optimizer, kind in kinds.items():
        assert kappa_of(Setup(optimizer, 1.0, model=model)) == kappa(kind)
    # Those without a norm of their own borrow one.
    assert kappa_of(Setup("adamw", 1.0, model=model)) == kappa("linf")
    assert kappa_of(Setup("sgd", 1.0, model=model)) == kappa("frobenius")


def test_kappa_is_told_to_the_rules_that_weigh_by_it_only():
    setup = Setup("muon", 1e-2)
    told = {rule: begun(RunPlan(setup, 0, rule)).run.kappa for rule in CORE_RULES}
    assert {rule for rule in told if told[rule]} == {"accurate", "published"}
    assert told["accurate"] == kappa_of(setup)


def test_options_reach_the_rule():
    setup = Setup("lion", 1e-3)
    losses = [3.0 - 0.0001 * step for step in range(setup.steps)]  # too slow for "watched"
    for rule, options in (("watched", {"lower_bound": 2.9}), ("paced", {"pace": {"length": 7}})):
        plain = factors(RunPlan(setup, 0, rule), losses)
        assert factors(RunPlan(setup, 0, rule, options), losses) != plain


def test_the_default_counts_tokens_where_there_are_some():
    batches = [Setup("lion", 1e-3, batch=batch, steps=10_000) for batch in (8, 16, 128)]
    ends = [factors(RunPlan(s, 0, "paced"), [3.0] * 2000).index(1.0) for s in batches]
    assert ends[0] / ends[1] == pytest.approx(2, rel=0.01)
    assert (
        ends[2] == 250 - 2
    )  # `factors` leaves the first out; the least that is needed, however many tokens an update has
    digits = Setup("lion", 1e-3, model="digits", steps=10_000)
    assert factors(RunPlan(digits, 0, "paced"), [3.0] * 2000).index(1.0) == 1998


def test_robustness_varies_what_is_trained_for_all_and_what_is_told_for_the_default():
    plans = robustness()
    assert {plan.seed for plan in plans} == {0, 1}
    told = [plan for plan in plans if plan.options]
    assert {plan.rule for plan in told} == {DEFAULT_RULE}
    assert {plan.setup for plan in told} == {*at(2.0)}  # whose hand-tuned runs are their reference
    for plan in told:
        assert begun(plan) != begun(replace(plan, options={})), plan.options
    assert Counter(str(plan.options) for plan in told) == dict.fromkeys(
        [str({"pace": pace}) for pace in PACES], len(BEST)
    )
    trained = Counter(plan.setup for plan in plans if not plan.options and plan.setup.scale == 1.0)
    each = {s: len(JUDGED) + (s.init == 1.0) for s in trained}
    assert all(n == each[s] * (1 + (s.model == "digits")) for s, n in trained.items())
    rates = {s.optimizer: s.lr for s in trained if s.model == "digits"}
    assert rates == {name: round(2 * best, 10) for name, best in BEST_DIGITS.items()}
    scaled = [plan for plan in plans if plan.setup.scale != 1.0]
    assert {plan.rule for plan in scaled} == {DEFAULT_RULE}
    assert {replace(plan.setup, scale=1.0) for plan in scaled} == {*at(2.0)}


def test_what_runs_after_the_core_is_new_and_what_shows_that_it_works_is_small():
    assert not {plan.key for plan in extended()} & {plan.key for plan in core()}
    assert sum(plan.setup.steps for plan in smoke()) <= 500
    assert DEFAULT_RULE in {plan.rule for plan in smoke()}
    assert {plan.setup.stacked for plan in smoke()} == {True, False}


def test_the_demo_is_the_default_beside_hand_tuned_lengths():
    assert len(demo()) == 3 * (2 + 1)
    assert not any(plan.setup.stacked for plan in demo())
    kinds = {plan.rule: rules.described(plan.rule).kind for plan in demo()}
    assert [rule for rule in kinds if kinds[rule] != "fixed"] == [DEFAULT_RULE]


@given(st.integers(1, 100_000), st.integers(1, 100))
def test_a_share_of_the_run_is_at_least_one_step_and_at_most_all(steps: int, share: int):
    length = length_of(f"linear {share}%", steps)
    assert length is not None
    assert 1 <= length <= steps
    assert abs(length - steps * share / 100) <= 0.5 or length == 1


def test_a_length_in_steps_is_the_same_rule_for_the_fleet_and_for_a_single_run():
    setup = Setup("lion", 1e-3, steps=40)
    for rule in ("linear 10 steps", "linear 25%"):
        assert factors(RunPlan(setup, 0, rule), [3.0] * 9)[-1] == 1.0
        assert factors(RunPlan(setup, 0, rule), [3.0] * 8)[-1] == pytest.approx(0.9)
        assert TrainConfig(**rules.training_fields(RunPlan(setup, 0, rule))).rule == rule


def test_a_stored_rule_that_is_no_more_can_still_be_shown():
    assert rules.described("guess") == rules.Described("own", "")
