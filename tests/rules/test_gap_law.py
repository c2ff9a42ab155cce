"""The law of the gap from the first update to the last, one scenario each."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.rules.any_settings import ANY_LOSS, LAWS, begun

from autowarmup.rules import GapLaw, Run, Status, WarmupState, begin, rule_of, step
from autowarmup.rules.decay import DECAYS, decay_factor
from autowarmup.rules.gap_law.law import peak_factor
from autowarmup.rules.gap_law.peak import accurate, flat


def run(
    rule: GapLaw, total: int, losses: Sequence[float | None], **told: Any
) -> tuple[list[float], list[WarmupState]]:
    """Return the factor that each update used and the state after each."""
    state, factors, states = begin(rule, Run(total, **told)), [], []
    for loss in losses:
        factors.append(state.factor)
        state = step(state, loss)
        states.append(state)
    return factors, states


def falling(n: int, first: float = 10.0, last: float = 1.0) -> list[float]:
    return [first + (last - first) * k / (n - 1) for k in range(n)]


def test_the_first_update_runs_at_the_share_1_over_div() -> None:
    factors, states = run(GapLaw(), 1000, [10.0, 10.0])
    assert factors == [0.01, 0.01]
    assert states[0].memory.gap0 == 10.0
    assert states[0].memory.gap_peak == 10.0 * flat(100.0)
    assert states[0].status is Status.WARMING


def test_warm_up_follows_the_law_and_ends_at_the_peak_gap() -> None:
    rule = GapLaw(div=20.0, end=0.5, max_fraction=1.0)
    factors, states = run(rule, 200, falling(200))
    (end,) = {state.end for state in states} - {None}
    assert end is not None
    for k in range(1, end):
        state = states[k - 1]
        assert state.gap is not None
        assert factors[k] == peak_factor(state.gap, 10.0, 5.0, 20.0)
    reached = states[end - 1]
    assert (reached.status, reached.phase, reached.ended_by) == (
        Status.PEAK_REACHED,
        "decay",
        "gap",
    )
    assert reached.gap is not None
    assert reached.gap <= 5.0
    assert all(state.gap > 5.0 for state in states[: end - 1] if state.gap is not None)
    assert factors[end:] == [decay_factor("cosine", j / (200 - end)) for j in range(200 - end)]
    assert states[-1].phase == "done"


def test_the_cap_completes_the_ramp_linearly() -> None:
    rule = GapLaw(div=10.0)
    factors, states = run(rule, 1000, [8.0] * 1000, decay="linear")
    assert factors[:250] == [0.1] * 250
    ramp = [0.1 + 0.9 * j / 30 for j in range(1, 31)]
    assert factors[250:280] == pytest.approx(ramp, rel=1e-12)
    assert factors[279] == 1.0
    assert factors[280:] == pytest.approx([1 - j / 721 for j in range(1, 721)], rel=1e-12)
    began, ended = states[249], states[278]
    assert (began.status, began.memory.cap_step, began.memory.cap_share) == (
        Status.CAP_REACHED,
        250,
        0.1,
    )
    assert began.phase == "warmup"
    assert states[260].status is Status.CAP_REACHED
    assert (ended.status, ended.phase) == (Status.CAP_COMPLETED, "decay")
    assert (ended.end, ended.ended_by) == (279, "cap")
    assert states[279].status is Status.DECAYING


def test_a_ramp_that_has_begun_is_finished_whatever_the_gap_does() -> None:
    rule = GapLaw(div=10.0)
    stuck, _ = run(rule, 1000, [8.0] * 1000)
    for after in (0.01, 80.0, math.nan):
        factors, states = run(rule, 1000, [*[8.0] * 255, *[after] * 745])
        assert factors == stuck
        assert states[-1].ended_by == "cap"


def test_the_gap_wins_when_it_arrives_together_with_the_cap() -> None:
    rule = GapLaw(end=0.5, smoothing=0.0, max_fraction=0.2)
    _, states = run(rule, 20, [10.0, 9.0, 4.0, 4.0])
    assert (states[3].status, states[3].memory.cap_step) == (Status.PEAK_REACHED, None)
    assert states[3].end == 4


def test_a_short_run_has_a_ramp_of_one_update() -> None:
    factors, states = run(GapLaw(div=4.0), 8, [5.0] * 8, decay="constant")
    assert factors == [0.25, 0.25, *[1.0] * 6]
    assert (states[1].status, states[1].end) == (Status.CAP_COMPLETED, 2)


def test_a_run_of_one_update() -> None:
    factors, states = run(GapLaw(div=4.0), 1, [5.0, 5.0])
    assert factors == [0.25, 0.25]
    assert [state.status for state in states] == [Status.DONE] * 2
    assert (states[0].end, states[0].ended_by) == (None, "")


def test_with_div_1_there_is_no_warm_up() -> None:
    rule = GapLaw(div=1.0, end="accurate", kappa=85.0)
    start = begin(rule, Run(10))
    assert (start.phase, start.status) == ("decay", Status.NOT_NEEDED)
    assert (start.end, start.ended_by) == (0, "not needed")
    factors, states = run(rule, 10, [None, 3.0, -1.0, *[None] * 7])
    assert factors == [decay_factor("cosine", k / 10) for k in range(10)]
    assert [state.status for state in states[:3]] == [
        Status.DECAYING,
        Status.DECAYING,
        Status.BELOW_BOUND,
    ]
    assert states[-1].phase == "done"


def test_after_the_last_update_the_factor_stays() -> None:
    factors, states = run(GapLaw(div=1.0), 5, [1.0] * 9)
    assert factors[5:] == [factors[4]] * 4
    assert [state.status for state in states[4:]] == [Status.DONE] * 5
    assert states[-1].step == 9


def test_one_lucky_batch_does_not_end_warm_up() -> None:
    rule = GapLaw(end=0.5, smoothing=0.0)
    for lucky in (0.001, -5.0):
        _, states = run(rule, 1000, [10.0, 9.5, lucky, 9.4, 9.3])
        assert {state.phase for state in states} == {"warmup"}
        assert states[2].status in (Status.SPIKE, Status.BELOW_BOUND)


def test_one_bad_batch_does_not_lower_the_rate() -> None:
    rule = GapLaw(end=0.5, smoothing=0.0)
    factors, states = run(rule, 1000, [10.0, 8.0, 7.0, 1e6, 7.0, 7.0])
    assert factors[3:] == sorted(factors[3:])
    assert (states[3].status, states[-1].spikes) == (Status.SPIKE, 1)


def test_losses_that_are_not_finite_never_reach_the_rate() -> None:
    rule = GapLaw(end=0.5)
    losses = [10.0, 9.0, 8.0, 7.0]
    clean, _ = run(rule, 1000, losses)
    dirty, states = run(rule, 1000, [math.nan, 10.0, 9.0, math.inf, 8.0, 7.0])
    assert dirty == [clean[k] for k in (0, 0, 1, 2, 2, 3)]
    assert [state.status for state in states].count(Status.NON_FINITE) == 2
    assert states[-1].non_finite == 2
    assert states[-1].memory.gap0 == 10.0


def test_without_any_loss_the_cap_ends_warm_up() -> None:
    factors, states = run(GapLaw(div=10.0), 100, [None] * 100)
    assert factors[:25] == [0.1] * 25
    assert {state.status for state in states[:24]} == {Status.NO_LOSS}
    assert (states[-1].ended_by, states[-1].end) == ("cap", 27)
    assert (states[-1].gap, states[-1].memory.gap0) == (None, None)


def test_a_first_loss_after_warm_up_is_only_recorded() -> None:
    _, states = run(GapLaw(), 100, [*[None] * 27, -3.0, 4.0])
    assert (states[-1].memory.gap0, states[-1].gap) == (None, 0.0)


def test_the_rule_gets_the_gap_and_kappa() -> None:
    rule = GapLaw(end="accurate", kappa=6.528e4)
    state = step(begin(rule, Run(100, lower_bound=3.2)), 11.0)
    gap0 = 11.0 - 3.2
    assert state.memory.gap0 == gap0
    assert state.memory.gap_peak == gap0 * accurate(100.0, gap0, 6.528e4)


def test_events_are_counted_where_a_change_of_phase_hides_them() -> None:
    rule = GapLaw(end=0.5, smoothing=0.0, max_fraction=1.0)
    _, states = run(rule, 10, [10.0, 3.0, 3.0])
    assert states[1].status is Status.SPIKE
    assert (states[2].status, states[2].spikes) == (Status.PEAK_REACHED, 2)


def test_a_state_is_plain_json_and_readable() -> None:
    _, states = run(GapLaw(end="0.4"), 100, [10.0, 9.0])
    values = json.loads(json.dumps(states[-1].to_dict()))
    assert values["rule"] == "gap law(end=0.4)"
    assert (values["status"], values["tracker"]["last"]) == ("WARMING", 9.0)
    assert WarmupState.from_dict(values, rule_of) == states[-1]


def test_every_status_is_a_sentence_of_its_own() -> None:
    sentences = [status.value for status in Status]
    assert len(set(sentences)) == len(sentences)
    assert all(len(sentence.split()) > 1 for sentence in sentences)


@pytest.mark.parametrize(
    ("total", "max_fraction", "cap", "ramp"),
    [(1000, 0.25, 250, 30), (10, 0.25, 2, 1), (1, 0.25, 1, 1), (1000, 0.99, 990, 10)],
)
def test_cap_and_ramp_in_updates(total: int, max_fraction: float, cap: int, ramp: int) -> None:
    rule, told = GapLaw(max_fraction=max_fraction), Run(total)
    assert (rule.cap(told), rule.ramp(told)) == (cap, ramp)


@pytest.mark.parametrize("gap0", [0.015, 1e12, 1e300])
def test_a_first_gap_that_the_published_scan_cannot_take_is_refused(gap0: float) -> None:
    state = begin(GapLaw(end="published", kappa=85.0), Run(20))
    with pytest.raises(ValueError, match=r"expected 0.02 < gap0 < 1e9, got"):
        step(state, gap0)


RUNS = st.builds(
    Run,
    total_steps=st.integers(1, 80),
    decay=st.sampled_from(DECAYS),
    final_fraction=st.floats(0, 1),
    lower_bound=st.sampled_from([0.0, -1.0, 2.5, -1e308]),
)


@given(LAWS, RUNS, st.lists(ANY_LOSS, min_size=80, max_size=80))
def test_warm_up_always_ends_and_the_decay_follows(
    rule: GapLaw, told: Run, losses: list[float | None]
) -> None:
    losses = begun(losses, told.lower_bound)
    total = told.total_steps
    state, factors = begin(rule, told), []
    for loss in losses[:total]:
        factors.append(state.factor)
        state = step(state, loss)
    latest = max(1, math.floor(rule.max_fraction * total)) + max(1, round(0.03 * total))
    end = state.end
    if end is None:
        assert latest >= total
        return
    assert end < latest
    assert state.ended_by in ("gap", "cap", "not needed")
    for k in range(end, total):
        progress = (k - end) / (total - end)
        assert factors[k] == decay_factor(told.decay, progress, told.final_fraction)
    assert factors[end] == 1.0


@given(
    st.floats(1.5, 1e4),
    st.floats(0.05, 0.9),
    st.lists(st.floats(1e-6, 1e6), min_size=2, max_size=40),
    st.sampled_from([0.0, 0.9]),
)
def test_the_rate_rises_while_the_loss_falls(
    div: float, peak: float, losses: list[float], smoothing: float
) -> None:
    rule = GapLaw(end=peak, div=div, smoothing=smoothing)
    state = begin(rule, Run(1000, decay="constant"))
    previous = 0.0
    for k, loss in enumerate(sorted(losses, reverse=True)):
        assert state.factor >= previous * (1 - 1e-12)
        previous = state.factor
        state = step(state, loss)
        if k == 0:
            assert state.factor == 1 / div  # the rate at the first gap
