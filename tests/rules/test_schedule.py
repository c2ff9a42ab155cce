"""The schedule's phases, one scenario each."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

import pytest

from autowarmup.rules.decay import decay_factor
from autowarmup.rules.gap_law.law import peak_factor
from autowarmup.rules.gap_law.peak import accurate, flat
from autowarmup.rules.gap_law.schedule import ScheduleConfig, ScheduleState, init, step
from autowarmup.rules.status import Status


def run(
    config: ScheduleConfig, losses: Sequence[float | None]
) -> tuple[list[float], list[ScheduleState]]:
    """Return the factor that each update used and the state after each."""
    state, factors, states = init(config), [], []
    for loss in losses:
        factors.append(state.factor)
        state, factor, status = step(state, loss)
        assert (factor, status) == (state.factor, state.status)
        states.append(state)
    return factors, states


def falling(n: int, first: float = 10.0, last: float = 1.0) -> list[float]:
    return [first + (last - first) * k / (n - 1) for k in range(n)]


def test_the_first_update_runs_at_the_share_1_over_div() -> None:
    factors, states = run(ScheduleConfig(1000), [10.0, 10.0])
    assert factors == [0.01, 0.01]
    assert states[0].gap0 == 10.0
    assert states[0].gap_peak == 10.0 * flat(100.0)
    assert states[0].status is Status.WARMING


def test_warm_up_follows_the_law_and_ends_at_the_peak_gap() -> None:
    config = ScheduleConfig(200, div=20.0, peak=0.5, max_fraction=1.0)
    factors, states = run(config, falling(200))
    (end,) = {state.warmup_end_step for state in states} - {None}
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
    config = ScheduleConfig(1000, div=10.0, decay="linear")
    factors, states = run(config, [8.0] * 1000)
    assert factors[:250] == [0.1] * 250
    ramp = [0.1 + 0.9 * j / 30 for j in range(1, 31)]
    assert factors[250:280] == pytest.approx(ramp, rel=1e-12)
    assert factors[279] == 1.0
    assert factors[280:] == pytest.approx([1 - j / 721 for j in range(1, 721)], rel=1e-12)
    began, ended = states[249], states[278]
    assert (began.status, began.cap_step, began.cap_factor) == (Status.CAP_REACHED, 250, 0.1)
    assert began.phase == "warmup"
    assert states[260].status is Status.CAP_REACHED
    assert (ended.status, ended.phase) == (Status.CAP_COMPLETED, "decay")
    assert (ended.warmup_end_step, ended.ended_by) == (279, "cap")
    assert states[279].status is Status.DECAYING


def test_a_ramp_that_has_begun_is_finished_whatever_the_gap_does() -> None:
    config = ScheduleConfig(1000, div=10.0)
    stuck, _ = run(config, [8.0] * 1000)
    for after in (0.01, 80.0, math.nan):
        factors, states = run(config, [*[8.0] * 255, *[after] * 745])
        assert factors == stuck
        assert states[-1].ended_by == "cap"


def test_the_gap_wins_when_it_arrives_together_with_the_cap() -> None:
    config = ScheduleConfig(20, peak=0.5, smoothing=0.0, max_fraction=0.2)
    _, states = run(config, [10.0, 9.0, 4.0, 4.0])
    assert (states[3].status, states[3].cap_step) == (Status.PEAK_REACHED, None)
    assert states[3].warmup_end_step == 4


def test_a_short_run_has_a_ramp_of_one_update() -> None:
    factors, states = run(ScheduleConfig(8, div=4.0, decay="constant"), [5.0] * 8)
    assert factors == [0.25, 0.25, *[1.0] * 6]
    assert (states[1].status, states[1].warmup_end_step) == (Status.CAP_COMPLETED, 2)


def test_a_run_of_one_update() -> None:
    factors, states = run(ScheduleConfig(1, div=4.0), [5.0, 5.0])
    assert factors == [0.25, 0.25]
    assert [state.status for state in states] == [Status.DONE] * 2
    assert (states[0].warmup_end_step, states[0].ended_by) == (None, "")


def test_with_div_1_there_is_no_warm_up() -> None:
    config = ScheduleConfig(10, div=1.0, peak="accurate", kappa=85.0)
    start = init(config)
    assert (start.phase, start.status) == ("decay", Status.NOT_NEEDED)
    assert (start.warmup_end_step, start.ended_by) == (0, "not needed")
    factors, states = run(config, [None, 3.0, -1.0, *[None] * 7])
    assert factors == [decay_factor("cosine", k / 10) for k in range(10)]
    assert [state.status for state in states[:3]] == [
        Status.DECAYING,
        Status.DECAYING,
        Status.BELOW_BOUND,
    ]
    assert states[-1].phase == "done"


def test_after_the_last_update_the_factor_stays() -> None:
    factors, states = run(ScheduleConfig(5, div=1.0), [1.0] * 9)
    assert factors[5:] == [factors[4]] * 4
    assert [state.status for state in states[4:]] == [Status.DONE] * 5
    assert states[-1].step == 9


def test_one_lucky_batch_does_not_end_warm_up() -> None:
    config = ScheduleConfig(1000, peak=0.5, smoothing=0.0)
    for lucky in (0.001, -5.0):
        _, states = run(config, [10.0, 9.5, lucky, 9.4, 9.3])
        assert {state.phase for state in states} == {"warmup"}
        assert states[2].status in (Status.SPIKE, Status.BELOW_BOUND)


def test_one_bad_batch_does_not_lower_the_rate() -> None:
    config = ScheduleConfig(1000, peak=0.5, smoothing=0.0)
    factors, states = run(config, [10.0, 8.0, 7.0, 1e6, 7.0, 7.0])
    assert factors[3:] == sorted(factors[3:])
    assert (states[3].status, states[-1].spikes) == (Status.SPIKE, 1)


def test_losses_that_are_not_finite_never_reach_the_rate() -> None:
    config = ScheduleConfig(1000, peak=0.5)
    losses = [10.0, 9.0, 8.0, 7.0]
    clean, _ = run(config, losses)
    dirty, states = run(config, [math.nan, 10.0, 9.0, math.inf, 8.0, 7.0])
    assert dirty == [clean[k] for k in (0, 0, 1, 2, 2, 3)]
    assert [state.status for state in states].count(Status.NON_FINITE) == 2
    assert states[-1].non_finite == 2
    assert states[-1].gap0 == 10.0


def test_without_any_loss_the_cap_ends_warm_up() -> None:
    factors, states = run(ScheduleConfig(100, div=10.0), [None] * 100)
    assert factors[:25] == [0.1] * 25
    assert {state.status for state in states[:24]} == {Status.NO_LOSS}
    assert (states[-1].ended_by, states[-1].warmup_end_step) == ("cap", 27)
    assert (states[-1].gap, states[-1].gap0) == (None, None)


def test_a_first_loss_after_the_cap_is_only_recorded() -> None:
    _, states = run(ScheduleConfig(100), [*[None] * 26, -3.0, 4.0])
    assert (states[-1].gap0, states[-1].gap) == (None, 0.0)


@pytest.mark.parametrize("lower_bound", [3.0, 3.5])
def test_a_lower_bound_above_the_first_loss_is_refused(lower_bound: float) -> None:
    state = init(ScheduleConfig(100, lower_bound=lower_bound))
    with pytest.raises(ValueError, match=f"expected lower_bound < 3.0, got {lower_bound}"):
        step(state, 3.0)
    assert state == init(ScheduleConfig(100, lower_bound=lower_bound))


def test_the_rule_gets_the_gap_and_kappa() -> None:
    config = ScheduleConfig(100, peak="accurate", kappa=6.528e4, lower_bound=3.2)
    state, _, _ = step(init(config), 11.0)
    gap0 = 11.0 - 3.2
    assert state.gap0 == gap0
    assert state.gap_peak == gap0 * accurate(100.0, gap0, 6.528e4)


def test_events_are_counted_where_a_change_of_phase_hides_them() -> None:
    config = ScheduleConfig(10, peak=0.5, smoothing=0.0, max_fraction=1.0)
    _, states = run(config, [10.0, 3.0, 3.0])
    assert states[1].status is Status.SPIKE
    assert (states[2].status, states[2].spikes) == (Status.PEAK_REACHED, 2)


def test_a_state_is_plain_json_and_readable() -> None:
    _, states = run(ScheduleConfig(100, peak="0.4"), [10.0, 9.0])
    values = json.loads(json.dumps(states[-1].to_dict()))
    assert values["config"]["peak"] == 0.4
    assert (values["status"], values["tracker"]["last"]) == ("WARMING", 9.0)
    assert ScheduleState.from_dict(values) == states[-1]


@pytest.mark.parametrize(
    "change",
    [{"config": None}, {"config": {}}, {"status": "FLYING"}, {"altitude": 3}, {"tracker": 7}],
)
def test_what_is_not_a_state_is_refused(change: dict) -> None:
    with pytest.raises(ValueError, match="expected the state of a schedule"):
        ScheduleState.from_dict(init(ScheduleConfig(100)).to_dict() | change)
    with pytest.raises(ValueError, match="expected the state of a schedule"):
        ScheduleState.from_dict({})


def test_every_status_is_a_sentence_of_its_own() -> None:
    sentences = [status.value for status in Status]
    assert len(set(sentences)) == len(sentences)
    assert all(len(sentence.split()) > 3 for sentence in sentences)
