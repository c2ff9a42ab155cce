"""Runs whose end is not known, moves, or that start anew: nothing jumps, nothing is forgotten."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autowarmup.rules import (
    H0H1,
    RULES,
    Linear,
    Paced,
    Run,
    Status,
    WarmupState,
    begin,
    rule_of,
    step,
)
from autowarmup.rules.decay import DECAYS
from autowarmup.rules.life import with_decay, with_end, with_ramp

OPEN = [Paced(length=20), Linear(steps=10), Linear(0.0), rule_of("untuned")]
any_decay = st.sampled_from(DECAYS)


def gone(state: WarmupState, updates: int) -> WarmupState:
    for k in range(updates):
        state = step(state, 3.0 - 0.001 * k)
    return state


def factors(state: WarmupState, updates: int) -> list[float]:
    found = []
    for _ in range(updates):
        found.append(state.factor)
        state = step(state, 2.0)
    return found


def read_back(state: WarmupState) -> WarmupState:
    return WarmupState.from_dict(json.loads(json.dumps(state.to_dict())), rule_of)


@pytest.mark.parametrize("rule", OPEN, ids=lambda rule: rule.name)
def test_without_an_end_the_peak_is_kept_until_the_decay(rule):
    state = gone(begin(rule, Run(None, decay="linear", beta=0.9)), 100)
    assert (state.phase, state.factor, state.status) == ("stable", 1.0, Status.STABLE)
    state = with_decay(gone(state, 900), 10)
    assert factors(state, 10) == pytest.approx([1.0 - k / 10 for k in range(10)])
    assert gone(state, 10).phase == "done"


@pytest.mark.parametrize(
    "name", ["linear 5%", "watched", "flat", "h0h1", "autowu", "doubling", "published"]
)
def test_rules_that_count_shares_are_refused_in_one_sentence(name):
    with pytest.raises(ValueError, match="counts shares of the run: expected total_steps"):
        begin(rule_of(name), Run(None, kappa=1.0))


def test_an_infinite_length_is_none():
    assert Run(float("inf")).total_steps is None  # type: ignore[arg-type]


@given(before=st.integers(0, 60), length=st.integers(1, 80), decay=any_decay)
def test_a_decay_begun_by_hand_is_that_of_a_run_of_this_length(before, length, decay):
    """Where warm-up is over it is the decay of a run without warm-up."""
    open_end = gone(begin(Linear(0.0), Run(None, decay=decay, final_fraction=0.1)), before)
    known = begin(Linear(0.0), Run(length, decay=decay, final_fraction=0.1))
    assert factors(with_decay(open_end, length), length) == factors(known, length)


@given(
    total=st.integers(30, 200),
    at=st.integers(0, 220),
    more=st.integers(1, 200),
    decay=any_decay,
    final=st.sampled_from([0.0, 0.1, 1.0]),
)
def test_a_run_that_is_extended_does_not_jump(total, at, more, decay, final):
    run = Run(total, decay=decay, final_fraction=final)
    state = gone(begin(Paced(length=20), run), at)
    longer = with_end(state, state.step + more)
    assert longer.factor == state.factor
    after = factors(longer, more)
    assert after[0] == state.factor
    assert all(0.0 < factor <= 1.0 for factor in after)
    assert gone(longer, more).phase == "done"
    if state.phase != "warmup" and decay != "constant":
        assert min(after) >= min(state.factor, final) - 1e-12


def test_an_extended_decay_ends_where_it_would_have_ended():
    state = gone(begin(Linear(0.0), Run(100, decay="linear", final_fraction=0.1)), 50)
    longer = factors(with_end(state, 1000), 950)
    assert longer[0] == pytest.approx(0.55)
    assert longer[-1] == pytest.approx(0.1, rel=1e-2)


@given(
    plan=st.lists(
        st.tuples(st.sampled_from(["go", "decay", "end", "ramp"]), st.integers(1, 30)), max_size=8
    ),
    cut=st.integers(0, 7),
    total=st.one_of(st.none(), st.integers(1, 100)),
)
def test_whatever_happens_a_saved_run_goes_on_as_if_never_saved(plan, cut, total):
    state = begin(Paced(length=20), Run(total))
    saved = state
    moves: dict[str, Any] = {
        "go": gone,
        "decay": with_decay,
        "end": lambda s, n: with_end(s, s.step + n),
        "ramp": lambda s, n: s if s.phase == "done" else with_ramp(s, n),
    }
    for at, (what, number) in enumerate(plan):
        if at == cut:
            saved = read_back(saved)
        state, saved = moves[what](state, number), moves[what](saved, number)
        assert saved == state
        assert 0.0 < state.factor <= 1.0


@pytest.mark.parametrize("at", [5, 50, 150])
def test_a_later_ramp_multiplies_what_the_schedule_says(at):
    state = gone(begin(Paced(length=20), Run(200)), at)
    plain, climbing = factors(state, 12), factors(with_ramp(state, 4), 12)
    ramp = [0.25, 0.5, 0.75, *[1.0] * 9]
    assert climbing == pytest.approx([a * b for a, b in zip(plain, ramp, strict=True)])


def test_a_ramp_is_as_long_as_the_optimizer_remembers_or_a_twentieth_of_the_rest():
    state = gone(begin(Linear(0.0), Run(None, beta=0.999)), 10)
    assert with_ramp(state).rewarmed == (10, 2000)
    assert with_ramp(gone(begin(Linear(0.0), Run(1010, beta=0.999)), 10)).rewarmed == (10, 50)
    assert with_ramp(with_ramp(state, 7), 5).factor == pytest.approx(0.2)
    assert with_ramp(gone(begin(Linear(0.0), Run(12)), 10)).rewarmed is None


def test_a_rule_that_decays_throughout_goes_over_to_a_decay():
    state = gone(begin(H0H1(div=3.0), Run(100)), 40)
    longer = with_end(state, 500)
    assert (longer.phase, longer.factor) == ("decay", pytest.approx(state.factor))
    assert step(longer, 2.0).factor == pytest.approx(state.factor, rel=1e-3)


@pytest.mark.parametrize(
    ("move", "sentence"),
    [
        (lambda s: with_decay(s, 0), "expected a decay over steps >= 1, got 0"),
        (lambda s: with_decay(s, 2.5), "expected steps to be a whole number, got 2.5"),
        (lambda s: with_end(s, 10), "expected total_steps above the 10 updates taken, got 10"),
        (lambda s: with_ramp(s, 0), "expected a ramp over steps >= 1, got 0"),
        (lambda s: with_ramp(gone(s, 99)), "expected a run that goes on"),
    ],
)
def test_mistakes_get_one_sentence(move, sentence):
    with pytest.raises(ValueError, match=sentence):
        move(gone(begin(Paced(), Run(50)), 10))


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("decay", DECAYS)
def test_after_the_last_update_nothing_moves(name, decay):
    run = Run(20, decay=decay, final_fraction=0.1, kappa=12.0)
    state = begin(rule_of(name), run)
    for k in range(20):
        state = step(state, 5.0 / (k + 1))
    assert state.phase == "done"
    factor = state.factor
    for loss in (0.01, None, math.nan, 50.0, 0.001):
        state = step(state, loss)
        assert (state.factor, state.phase) == (factor, "done")
