from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from autowarmup.lab.bench.directions import BETA
from autowarmup.lab.bench.plan import (
    CORE_RULES,
    LONG,
    MULTIPLES,
    OTHERS,
    SETS,
    WATCH_LEAST,
    RunPlan,
    core,
    core_setups,
    extended,
    kappa_for,
    planned,
    robustness,
    smoke,
)
from autowarmup.lab.bench.rates import BEST, BEST_DIGITS, BEST_TUNED
from autowarmup.lab.bench.setups import SIZES, Setup
from autowarmup.lab.bench.tasks import DIGITS_SHAPES
from autowarmup.lab.train.model import build_model
from autowarmup.rules.config import ScheduleConfig
from autowarmup.rules.gap_law.peak import kappa
from autowarmup.rules.registry import DEFAULT_RULE, HAND_TUNED, RULES, Seen
from autowarmup.rules.watched import Watch

COLUMNS = {"micro, 600 updates": 2, "mini": 1, "batch 32": 1}


def column_of(setup: Setup) -> str:
    if setup.model == "mini":
        return "mini"
    if setup.batch == 32:
        return "batch 32"
    return "micro, 600 updates" if setup.steps == 600 else "micro"


def state_of(plan: RunPlan):
    """Return what the fleet would begin with."""
    told = {"div": 4.0, "beta": BETA[plan.setup.optimizer], **plan.settings()}
    return plan.rule_built().init(ScheduleConfig(plan.setup.steps, **told))


def test_the_core_has_every_optimizer_at_every_multiple_and_the_columns():
    setups = core_setups()
    assert len(setups) == len(set(setups)) == len({setup.id for setup in setups})
    assert set(BEST) == set(BETA)
    plain = [setup for setup in setups if column_of(setup) == "micro"]
    assert {(setup.optimizer, setup.lr) for setup in plain} == {
        (optimizer, round(best * multiple, 10))
        for optimizer, best in BEST.items()
        for multiple in MULTIPLES
    }
    assert len(plain) == len(BEST) * len(MULTIPLES) == 24
    assert {(setup.batch, setup.steps) for setup in plain} == {(8, 2500)}
    for name, rates in COLUMNS.items():
        part = [setup for setup in setups if column_of(setup) == name]
        assert Counter(setup.optimizer for setup in part) == dict.fromkeys(BEST, rates)
        assert len({(setup.steps, setup.batch, setup.model) for setup in part}) == 1
        plain_rates = {(setup.optimizer, setup.lr) for setup in plain}
        assert {(setup.optimizer, setup.lr) for setup in part} <= plain_rates


def test_the_core_runs_every_rule_on_two_seeds():
    assert {rule.name for rule in HAND_TUNED} | {*OTHERS, DEFAULT_RULE} <= set(CORE_RULES)
    assert len(set(CORE_RULES)) == len(CORE_RULES)
    runs = Counter((plan.setup, plan.rule) for plan in core())
    assert runs == dict.fromkeys(
        [(setup, rule) for setup in core_setups() for rule in CORE_RULES], 2
    )
    assert {plan.seed for plan in core()} == {0, 1}
    assert not any(plan.options for plan in core())


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
        assert plan.rule in RULES
        assert plan.setup.optimizer in BETA
        assert plan.setup.model in {*SIZES, "digits"}
        assert plan.setup.data == "stdlib" or Path(plan.setup.data).is_absolute()
        assert min(plan.setup.lr, plan.setup.batch, plan.setup.steps) > 0
        kind = (plan.setup.optimizer, plan.setup.model, plan.setup.steps, plan.rule, plan.options)
        if str(kind) in seen:
            continue
        seen.add(str(kind))
        state = state_of(plan)
        assert plan.rule_built().step(state, Seen(5.0)).step == 1
        assert 0 < state.factor <= 1


@pytest.mark.parametrize("model", [*SIZES, "digits"])
def test_kappa_is_that_of_the_shapes_that_are_trained(model: str):
    if model == "digits":
        shapes = [*DIGITS_SHAPES]
    else:
        network = build_model(SIZES[model], vocabulary=256, sequence_length=8, seed=0)
        shapes = [tuple(p.shape) for p in network.parameters() if p.ndim == 2]
    kinds = {"muon": "spectral", "lion": "linf", "signum": "linf", "normsgd": "frobenius"}
    for optimizer, kind in kinds.items():
        assert kappa_for(Setup(optimizer, 1.0, model=model)) == kappa(kind, shapes)
    # Those without a norm of their own borrow one.
    assert kappa_for(Setup("adamw", 1.0, model=model)) == kappa("linf", shapes)
    assert kappa_for(Setup("sgd", 1.0, model=model)) == kappa("frobenius", shapes)


def test_kappa_is_told_to_the_rules_that_weigh_by_it_only():
    setup = Setup("muon", 1e-2)
    assert {rule for rule in CORE_RULES if "kappa" in RunPlan(setup, 0, rule).settings()} == {
        "accurate",
        "published",
    }
    assert state_of(RunPlan(setup, 0, "accurate")).config.kappa == kappa_for(setup)


def test_options_reach_the_rule():
    setup = Setup("lion", 1e-3)
    assert state_of(RunPlan(setup, 0, "watched", {"lower_bound": -1.0})).config.lower_bound == -1.0
    told = RunPlan(setup, 0, "watched", {"watch": {"looks": 7}, "lower_bound": 1.0})
    assert state_of(told).watch == replace(Watch(), looks=7)
    assert state_of(told).config.lower_bound == 1.0
    assert state_of(RunPlan(setup, 0, "watched")).watch == Watch()


def test_robustness_varies_what_is_trained_for_all_and_what_is_told_for_the_default():
    plans = robustness()
    assert {plan.seed for plan in plans} == {0, 1}
    told = [plan for plan in plans if plan.options]
    assert {plan.rule for plan in told} == {DEFAULT_RULE}
    plain = {setup for setup in core_setups() if setup.lr == round(2 * BEST[setup.optimizer], 10)}
    assert {plan.setup for plan in told} <= plain  # whose hand-tuned runs are their reference
    for plan in told:
        changed = replace(plan, options={})
        assert state_of(plan) != state_of(changed), plan.options
    assert Counter(str(plan.options) for plan in told) == dict.fromkeys(
        map(str, [{"lower_bound": 1.0}, {"lower_bound": -1.0},
                  *({"watch": {"looks": looks}} for looks in (5, 20)),
                  *({"watch": {"least": least}} for least in WATCH_LEAST)]),
        len(BEST),
    )  # fmt: skip
    trained = Counter(plan.setup for plan in plans if not plan.options and plan.setup.scale == 1.0)
    each = len(HAND_TUNED) + 2
    short = {s for s in trained if s.model == "digits" or s.trained}
    assert all(n == each * (1 + (s in short)) for s, n in trained.items())
    assert {s.optimizer: s.lr for s in trained if s.trained} == BEST_TUNED
    assert {s.optimizer: s.lr for s in trained if s.steps == LONG} == BEST
    rates = {s.optimizer: s.lr for s in trained if s.model == "digits"}
    assert rates == {name: round(2 * best, 10) for name, best in BEST_DIGITS.items()}
    scaled = [plan for plan in plans if plan.setup.scale != 1.0]
    assert {plan.rule for plan in scaled} == {DEFAULT_RULE}
    assert {replace(plan.setup, scale=1.0) for plan in scaled} <= plain


def test_what_runs_after_the_core_is_new_and_what_shows_that_it_works_is_small():
    assert {plan.seed for plan in extended() if column_of(plan.setup) == "micro"} == {2}
    assert sum(plan.setup.steps for plan in smoke()) <= 500
    assert DEFAULT_RULE in {plan.rule for plan in smoke()}
