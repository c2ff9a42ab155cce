"""What holds for every rule, and what each of the simple ones promises."""

from __future__ import annotations

import json
import math
import random
from itertools import pairwise
from typing import Any

import pytest

from autowarmup.rules.autowu import FIRST, GROWTH, LAST, PATIENCE, SMOOTHING
from autowarmup.rules.baseline import linear_warmup
from autowarmup.rules.config import ScheduleConfig
from autowarmup.rules.decay import DECAYS, decay_factor
from autowarmup.rules.gap import GapState, observe
from autowarmup.rules.gap_law.schedule import PHASES
from autowarmup.rules.registry import (
    DEFAULT_RULE,
    HAND_TUNED,
    KINDS,
    RULES,
    Rule,
    Seen,
    doubling,
    rule_by_name,
)

NAMES: tuple[str | float, ...] = (
    "none", "linear 1%", "linear 2%", "linear 5%", "linear 10%", "linear 20%", "linear 40%",
    "flat", "accurate", "published", "untuned", "h0h1", "autowu", "doubling", "watched", 0.33,
)  # fmt: skip
TOTAL = 60
FALLING = [1.5 + 4.0 * 0.93**k + 0.05 * math.sin(1.7 * k) for k in range(TOTAL)]
"""Wavy, so that looks, medians and averages all have something to do."""
GAPS = {**dict.fromkeys((3, 4, 17), math.nan), 9: math.inf, 10: -math.inf, 25: None, 40: None}
"""Updates without a usable loss."""
ODD = [GAPS.get(k, loss) for k, loss in enumerate(FALLING)]


def config_of(total: int = TOTAL, **changes: Any) -> ScheduleConfig:
    return ScheduleConfig(total, **{"div": 20.0, "kappa": 100.0, **changes})


def states(rule: Rule, losses: list[Any], config: ScheduleConfig) -> list[Any]:
    held = [rule.init(config)]
    for loss in losses:
        held.append(rule.step(held[-1], Seen(loss)))
    return held


def factors(rule: Rule, losses: list[Any], config: ScheduleConfig) -> list[float]:
    return [state.factor for state in states(rule, losses, config)[:-1]]


def test_every_rule_is_known_by_its_name() -> None:
    assert {name for name in NAMES if isinstance(name, str)} <= set(RULES)
    assert DEFAULT_RULE in RULES
    for name in NAMES:
        rule = rule_by_name(name)
        assert rule.name == str(name)
        assert rule.kind in KINDS
    assert {rule.kind for rule in HAND_TUNED} == {"fixed"}


@pytest.mark.parametrize("losses", [FALLING, ODD], ids=["falling", "odd"])
@pytest.mark.parametrize("name", NAMES)
def test_a_saved_state_goes_on_as_if_never_saved(name: str | float, losses: list[Any]) -> None:
    rule = rule_by_name(name)
    state = saved = rule.init(config_of())
    for loss in losses:
        saved = rule.load(json.loads(json.dumps(saved.to_dict(), allow_nan=False)))
        assert saved == state
        assert (saved.factor, saved.phase) == (state.factor, state.phase)
        state, saved = rule.step(state, Seen(loss)), rule.step(saved, Seen(loss))
        assert saved == state
    assert state.step == TOTAL


@pytest.mark.parametrize("decay", DECAYS)
@pytest.mark.parametrize("name", NAMES)
def test_rates_stay_in_bounds_and_phases_go_forwards(name: str | float, decay: str) -> None:
    most = LAST if name == "autowu" else 1.0
    none: list[Any] = [None] * TOTAL
    rising = [0.03 * 1.3**k for k in range(TOTAL)]
    for losses in (FALLING, ODD, none, [math.nan] * TOTAL, rising, [3.0] * TOTAL):
        for div in (1.0, 20.0, 1e6):
            held = states(rule_by_name(name), losses, config_of(div=div, decay=decay))
            for state in held:
                assert math.isfinite(state.factor)
                assert 0.0 < state.factor <= most
            order = [PHASES.index(state.phase) for state in held]
            assert order == sorted(order)
            assert [state.phase == "done" for state in held] == [False] * TOTAL + [True]
            assert [state.step for state in held] == list(range(TOTAL + 1))
            for state in held[:-1]:
                in_warmup = state.warmup_end_step is None
                assert (state.phase == "warmup") == in_warmup
                assert bool(state.ended_by) != in_warmup


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("total", [1, 2, 3, 7])
@pytest.mark.parametrize("heard", ["all", "the last"])
def test_runs_of_a_few_updates_work_and_may_be_overrun(
    name: str | float, total: int, heard: str
) -> None:
    losses: list[Any] = FALLING[: total + 3]
    if heard == "the last":
        losses[: total - 1] = [None] * (total - 1)
    held = states(rule_by_name(name), losses, config_of(total))
    assert all(0.0 < state.factor <= (LAST if name == "autowu" else 1.0) for state in held)
    assert [state.phase for state in held[total:]] == ["done"] * 4
    if name != "h0h1":  # which goes on following the gap
        assert len({state.factor for state in held[total - 1 :]}) == 1


@pytest.mark.parametrize("name", ["none", "h0h1", "autowu", "doubling", "watched", "flat"])
def test_what_is_no_saved_state_is_refused(name: str) -> None:
    rule = rule_by_name(name)
    values = rule.init(config_of()).to_dict()
    with pytest.raises(ValueError, match="expected the state of a"):
        rule.load({**values, "more": 1})


@pytest.mark.parametrize("decay", ["cosine", "linear"])
@pytest.mark.parametrize("rule", HAND_TUNED, ids=lambda rule: rule.name)
def test_hand_tuned_lengths_are_those_of_the_baseline(rule: Rule, decay: str) -> None:
    share = 0.0 if rule.name == "none" else float(rule.name.split()[1][:-1]) / 100
    for total in (TOTAL, 1000):
        own = factors(rule, [None] * total, config_of(total, decay=decay, final_fraction=0.1))
        length = round(share * total)
        theirs = [
            linear_warmup(
                k, warmup_steps=length, total_steps=total, decay=decay, final_fraction=0.1
            )
            for k in range(total)
        ]
        assert own == pytest.approx(theirs, rel=1e-12)


@pytest.mark.parametrize(("beta", "length"), [(0.0, 2), (0.9, 20), (0.99, 200), (0.999, 2000)])
def test_untuned_warms_up_over_the_memory_of_the_optimizer(beta: float, length: int) -> None:
    own = factors(rule_by_name("untuned"), [None] * 4000, config_of(4000, beta=beta))
    theirs = [linear_warmup(k, warmup_steps=length, total_steps=4000) for k in range(4000)]
    assert own == pytest.approx(theirs, rel=1e-9)


def test_untuned_ends_within_a_run_that_is_shorter_than_it() -> None:
    own = factors(rule_by_name("untuned"), [None] * TOTAL, config_of(beta=0.999))
    assert own[0] == pytest.approx(1 / 2000)
    assert own[-1] == 1.0
    assert all(later > earlier for earlier, later in pairwise(own))


@pytest.mark.parametrize("div", [1.0, 4.0, 100.0])
def test_doubling_saves_what_lies_below_its_first_rate(div: float) -> None:
    total = 1000
    own = factors(rule_by_name("doubling"), [None] * total, config_of(total, div=div))
    length = round(0.1 * (1 - 1 / div) * total)
    assert own[0] == pytest.approx(1 / div)
    assert own.index(1.0) == length == max(range(total), key=own.__getitem__)
    # The slope is that of a ramp from zero over the whole tenth, to the rounding of the length.
    assert all(b - a == pytest.approx(0.01, rel=0.01) for a, b in pairwise(own[: length + 1]))
    assert own[length:] == [
        decay_factor("cosine", k / (total - length)) for k in range(total - length)
    ]
    assert doubling().c == 0.0


@pytest.mark.parametrize("losses", [ODD, FALLING[::-1]], ids=["odd", "rising"])
def test_h0h1_is_its_law_of_the_gap_times_the_decay(losses: list[Any]) -> None:
    config = config_of(div=8.0, smoothing=0.5, lower_bound=1.0, final_fraction=0.2)
    held = states(rule_by_name("h0h1"), losses, config)
    tracker, first = GapState(), losses[0] - 1.0
    for k, loss in enumerate(losses):
        share = 1.0 if tracker.gap is None else min(1.0, tracker.gap / first)
        law = 1.0 / (1.0 + 7.0 * share)
        assert held[k].factor == pytest.approx(law * decay_factor("cosine", k / TOTAL, 0.2))
        if loss is not None:
            tracker, _ = observe(tracker, loss, lower_bound=1.0, smoothing=0.5)
        assert held[k + 1].gap == tracker.gap
    assert held[0].factor == pytest.approx(1 / 8)


def test_autowu_grows_exponentially_while_the_loss_falls() -> None:
    total = 400
    own = factors(rule_by_name("autowu"), [5.0 - 0.01 * k for k in range(total)], config_of(total))
    half = round(GROWTH * total)
    assert own[0] == pytest.approx(FIRST)
    ratios = [b / a for a, b in pairwise(own[:half])]
    assert ratios == pytest.approx([(LAST / FIRST) ** (1 / half)] * (half - 1))
    # What nothing stops ends with the growth, and the decay starts from the last rate that fell.
    peak = own[half - 1]
    assert peak == pytest.approx(LAST, rel=0.06)
    assert own[half:] == pytest.approx(
        [peak * decay_factor("cosine", k / (total - half)) for k in range(total - half)]
    )


@pytest.mark.parametrize(("total", "turn"), [(400, 60), (100, 20)])
def test_autowu_turns_its_patience_after_the_minimum(total: int, turn: int) -> None:
    losses = [2.0 + abs(k - turn) / turn for k in range(total)]
    held = states(rule_by_name("autowu"), losses, config_of(total))
    average, smoothed = 0.0, []
    for k, loss in enumerate(losses):
        average = SMOOTHING * average + (1 - SMOOTHING) * loss
        smoothed.append(average / (1 - SMOOTHING ** (k + 1)))
    lowest = min(range(total), key=smoothed.__getitem__)
    assert turn < lowest < GROWTH * total
    earliest = lowest + max(5, math.ceil(PATIENCE * total)) + 1
    end = held[-1].warmup_end_step
    # After its patience it waits until the rise is more than noise could be.
    assert end is not None
    assert earliest <= end < GROWTH * total
    assert held[end].factor == held[lowest].factor < held[end - 1].factor
    after = [state.factor for state in held[end:total]]
    assert after == sorted(after, reverse=True)


def test_noise_alone_does_not_turn_autowu() -> None:
    noise = random.Random(0)
    losses = [5.0 - 0.0005 * k + noise.gauss(0.0, 0.1) for k in range(400)]
    held = states(rule_by_name("autowu"), losses, config_of(400))
    assert held[-1].warmup_end_step == GROWTH * 400


@pytest.mark.parametrize("name", ["best", "", "linear 3%", "1.5", 0, 1.0, -0.5, "nan", "Watched"])
def test_unknown_names_are_refused_in_one_sentence(name: str | float) -> None:
    with pytest.raises(ValueError, match=r"^peak: expected a warm-up rule out of ") as caught:
        rule_by_name(name)
    assert str(caught.value).endswith(f"or a number in (0, 1), got {name!r}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["accurate", "published"])
def test_rules_that_weigh_need_kappa(name: str) -> None:
    with pytest.raises(ValueError, match="kappa > 0"):
        rule_by_name(name).init(ScheduleConfig(TOTAL))
