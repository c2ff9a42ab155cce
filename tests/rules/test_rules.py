"""What holds for every rule, and what each of the simple ones promises."""

from __future__ import annotations

import json
import math
import random
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.rules.any_settings import ANY_LOSS, LAWS, WATCHES, begun

from autowarmup.rules import (
    H0H1,
    PHASES,
    RULES,
    Doubling,
    GapLaw,
    Linear,
    Move,
    Rule,
    Run,
    Update,
    WarmupState,
    begin,
    rule_of,
    step,
)
from autowarmup.rules.autowu import FIRST, GROWTH, PATIENCE, SMOOTHING
from autowarmup.rules.decay import DECAYS, decay_factor
from autowarmup.rules.gap import GapState, observe

TOTAL = 60
FALLING = [1.5 + 4.0 * 0.93**k + 0.05 * math.sin(1.7 * k) for k in range(TOTAL)]
"""Wavy, so that looks, medians and averages all have something to do."""
GAPS = {**dict.fromkeys((3, 4, 17), math.nan), 9: math.inf, 10: -math.inf, 25: None, 40: None}
"""Updates without a usable loss."""
ODD = [GAPS.get(k, loss) for k, loss in enumerate(FALLING)]


@dataclass(frozen=True)
class Halves(Rule[int]):
    """A rule from outside the package: half of what is missing at every update."""

    word: ClassVar[str] = "halves"

    most: int = 9

    def start(self, run: Run) -> Move[int]:
        return Move(0, 0.5)

    def advance(self, memory: int, update: Update) -> Move[int]:
        over = memory + 1 >= self.most
        return Move(memory + 1, 0.5 + 0.5 * update.share, "length" if over else "")


OWN = Halves(most=4)
EVERY = [*map(rule_of, RULES), GapLaw(end=0.33), Linear(steps=7), H0H1(div=3.0), OWN]
ROWS = {rule.name: st.just(rule) for rule in EVERY}
ROWS |= {"any law of the gap": LAWS, "any watched": WATCHES}
every_rule = pytest.mark.parametrize("rule", EVERY, ids=lambda rule: rule.name)


def told(total: int = TOTAL, **changes: Any) -> Run:
    return Run(total, **{"kappa": 100.0, **changes})


def states(rule: Rule, losses: list[Any], run: Run) -> list[WarmupState]:
    held = [begin(rule, run)]
    for loss in losses:
        held.append(step(held[-1], loss))
    return held


def factors(rule: Rule, losses: list[Any], run: Run) -> list[float]:
    return [state.factor for state in states(rule, losses, run)[:-1]]


def found(name: str) -> Rule:
    return OWN if name == OWN.name else rule_of(name)


def read_back(state: WarmupState) -> WarmupState:
    return WarmupState.from_dict(json.loads(json.dumps(state.to_dict(), allow_nan=False)), found)


@pytest.mark.parametrize("rules", ROWS.values(), ids=ROWS)
@given(
    st.data(),
    st.lists(ANY_LOSS, max_size=60),
    st.integers(1, 45),
    st.builds(
        Run,
        st.just(45),
        div=st.sampled_from([None, 1.0, 20.0, 1e6]),
        kappa=st.just(100.0),
        lower_bound=st.sampled_from([0.0, -2.5, -1e308]),
        decay=st.sampled_from(DECAYS),
        final_fraction=st.floats(0, 1),
    ),
)
def test_whatever_the_losses_are(rules, data, losses, total, run):
    """Bounds, phases, the end of warm-up, what every state answers, and going on from a file."""
    rule = data.draw(rules)
    if isinstance(rule, Linear) and rule.steps and rule.steps > total:
        total = rule.steps
    run = replace(run, total_steps=total)
    if rule.name == "published":  # the one end that cannot take every first gap
        run = replace(run, lower_bound=0.0)
        losses = [loss if loss is None or -1e8 < loss < 1e8 else None for loss in losses]
    losses = begun(losses, run.lower_bound)
    held, heard, cut = states(rule, losses, run), False, data.draw(st.integers(0, len(losses)))
    for loss, (before, state) in zip(losses, pairwise(held), strict=True):
        heard |= loss is not None and math.isfinite(loss - run.lower_bound)
        assert (state.gap is not None) == heard
        assert state.gap is None or (math.isfinite(state.gap) and state.gap >= 0.0)
        assert 0.0 < state.factor <= 1.0
        assert PHASES.index(state.phase) >= PHASES.index(before.phase)
        in_warmup = state.end is None
        assert bool(state.ended_by) != in_warmup
        assert state.phase == "done" or (state.phase == "warmup") == in_warmup
        assert state.status.value
        assert (state.phase == "done") == (state.step >= total)
        if in_warmup and not rule.decays_throughout:
            assert state.factor == state.share
    assert 0.0 < held[0].factor <= 1.0
    saved = read_back(held[cut])
    for loss, state in zip([*losses[cut:], None], held[cut:], strict=True):
        assert saved == state
        saved = step(saved, loss)


@every_rule
@pytest.mark.parametrize("losses", [FALLING, ODD], ids=["falling", "odd"])
def test_a_saved_state_goes_on_as_if_never_saved(rule, losses):
    state = saved = begin(rule, told(div=20.0))
    for loss in losses:
        saved = read_back(saved)
        assert saved == state
        state, saved = step(state, loss), step(saved, loss)
        assert saved == state
    assert (state.step, state.phase) == (TOTAL, "done")
    assert state.gap is not None
    assert (state.end is None) == rule.decays_throughout  # that rule's warm-up is the whole run


@every_rule
@pytest.mark.parametrize("before", [[], [None, math.nan]], ids=["at once", "late"])
@pytest.mark.parametrize("first", [3.0, 2.5])
def test_a_first_loss_on_the_bound_is_refused_by_those_that_read_it(rule, before, first):
    run = told(lower_bound=3.0, div=4.0)
    state = held = states(rule, before, run)[-1]
    if rule.reads_loss and rule.needs_bound and state.phase == "warmup":
        with pytest.raises(ValueError, match=rf"expected lower_bound < {first}, got 3\.0"):
            step(state, first)
        assert state == held
    else:
        assert step(state, first).gap == 0.0
    assert states(rule, [*before, 3.5, first], run)[-1].step == len(before) + 2


@every_rule
@pytest.mark.parametrize("total", [7, 8])
@pytest.mark.parametrize("heard", ["all", "the last"])
def test_runs_of_a_few_updates_work_and_may_be_overrun(rule, total, heard):
    losses: list[Any] = FALLING[: total + 3]
    if heard == "the last":
        losses[: total - 1] = [None] * (total - 1)
    held = states(rule, losses, told(total, div=20.0))
    assert [state.phase for state in held[total:]] == ["done"] * 4
    assert len({state.factor for state in held[total - 1 :]}) == 1


@every_rule
def test_what_is_no_saved_state_is_refused(rule):
    values = begin(rule, told()).to_dict()
    changes: list[dict[str, Any]] = [{"run": None}, {"run": {}}, {"status": "FLYING"}, {"more": 1}]
    changes += [{"tracker": 7}, *([{"memory": 7}] if rule is not OWN else [])]
    for wrong in (*(values | change for change in changes), {}):
        with pytest.raises(ValueError, match="expected the state of a warm-up"):
            WarmupState.from_dict(wrong, found)


@pytest.mark.parametrize(("beta", "length"), [(0.0, 2), (0.9, 20), (0.99, 200), (0.999, 2000)])
def test_untuned_warms_up_over_the_memory_of_the_optimizer(beta: float, length: int) -> None:
    own = factors(rule_of("untuned"), [None] * 4000, told(4000, beta=beta))
    theirs = factors(Linear(steps=length), [None] * 4000, told(4000))
    assert own == pytest.approx(theirs, rel=1e-9)


def test_untuned_ends_within_a_run_that_is_shorter_than_it() -> None:
    own = factors(rule_of("untuned"), [None] * TOTAL, told(beta=0.999))
    assert own[0] == pytest.approx(1 / 2000)
    assert own[-1] == 1.0
    assert all(later > earlier for earlier, later in pairwise(own))


@pytest.mark.parametrize("div", [1.0, 4.0, 100.0])
def test_doubling_saves_what_lies_below_its_first_rate(div: float) -> None:
    total = 1000
    own = factors(rule_of("doubling"), [None] * total, told(total, div=div))
    assert own == factors(Doubling(div=div), [None] * total, told(total))
    length = round(0.1 * (1 - 1 / div) * total)
    assert own[0] == pytest.approx(1 / div)
    assert own.index(1.0) == length == max(range(total), key=own.__getitem__)
    # The slope is that of a ramp from zero over the whole tenth, to the rounding of the length.
    assert all(b - a == pytest.approx(0.01, rel=0.01) for a, b in pairwise(own[: length + 1]))
    assert own[length:] == [
        decay_factor("cosine", k / (total - length)) for k in range(total - length)
    ]


@pytest.mark.parametrize("losses", [ODD, FALLING[::-1]], ids=["odd", "rising"])
def test_h0h1_is_its_law_of_the_gap_times_the_decay(losses: list[Any]) -> None:
    rule, run = H0H1(div=8.0, smoothing=0.5), told(lower_bound=1.0, final_fraction=0.2)
    held = states(rule, losses, run)
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
    own = factors(rule_of("autowu"), [5.0 - 0.01 * k for k in range(total)], told(total))
    half = round(GROWTH * total)
    assert own[0] == pytest.approx(FIRST)
    ratios = [b / a for a, b in pairwise(own[:half])]
    assert ratios == pytest.approx([FIRST ** (-1 / half)] * (half - 1))
    # What nothing stops ends with the growth, and the decay starts from the last rate that fell.
    peak = own[half - 1]
    assert peak == pytest.approx(1.0, rel=0.06)
    assert own[half:] == pytest.approx(
        [peak * decay_factor("cosine", k / (total - half)) for k in range(total - half)]
    )


@pytest.mark.parametrize(("total", "turn"), [(400, 60), (100, 20)])
def test_autowu_turns_its_patience_after_the_minimum(total: int, turn: int) -> None:
    losses = [2.0 + abs(k - turn) / turn for k in range(total)]
    held = states(rule_of("autowu"), losses, told(total))
    average, smoothed = 0.0, []
    for k, loss in enumerate(losses):
        average = SMOOTHING * average + (1 - SMOOTHING) * loss
        smoothed.append(average / (1 - SMOOTHING ** (k + 1)))
    lowest = min(range(total), key=smoothed.__getitem__)
    assert turn < lowest < GROWTH * total
    earliest = lowest + max(5, math.ceil(PATIENCE * total)) + 1
    end = held[-1].end
    # After its patience it waits until the rise is more than noise could be.
    assert end is not None
    assert earliest <= end < GROWTH * total
    assert held[end].factor == held[lowest].factor < held[end - 1].factor
    after = [state.factor for state in held[end:total]]
    assert after == sorted(after, reverse=True)


def test_noise_alone_does_not_turn_autowu() -> None:
    noise = random.Random(0)
    losses = [5.0 - 0.0005 * k + noise.gauss(0.0, 0.1) for k in range(400)]
    held = states(rule_of("autowu"), losses, told(400))
    assert held[-1].end == GROWTH * 400
