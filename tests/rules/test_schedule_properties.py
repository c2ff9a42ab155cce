"""What holds for every schedule, whatever the settings and the losses."""

from __future__ import annotations

import json
import math

from hypothesis import assume, given
from hypothesis import strategies as st

from autowarmup.rules.decay import DECAYS, decay_factor
from autowarmup.rules.gap_law.schedule import PHASES, ScheduleConfig, ScheduleState, init, step

POSITIVE = st.floats(1e-6, 1e6)
ANY_LOSS = st.one_of(
    st.none(),
    st.floats(0, 20),
    st.floats(),
    st.sampled_from([math.nan, math.inf, -math.inf, 1e308, -1e308, 5e-324]),
)


@st.composite
def configs(draw: st.DrawFn) -> ScheduleConfig:
    return ScheduleConfig(
        total_steps=draw(st.integers(1, 80)),
        div=draw(st.one_of(st.just(1.0), st.sampled_from([1.5, 4.0, 100.0, 1e300]))),
        peak=draw(st.one_of(st.sampled_from(["flat", "accurate"]), st.floats(0.01, 0.99))),
        kappa=draw(st.sampled_from([1.0, 85.0, 1e8])),
        decay=draw(st.sampled_from(DECAYS)),
        final_fraction=draw(st.floats(0, 1)),
        lower_bound=draw(st.sampled_from([0.0, -1.0, 2.5, -1e308])),
        max_fraction=draw(st.floats(0.01, 1)),
        smoothing=draw(st.sampled_from([0.0, 0.5, 0.9, 0.999])),
    )


def bounded(config: ScheduleConfig, losses: list[float | None]) -> None:
    """Skip the sequences that the schedule refuses: a first loss at or under the bound."""
    for loss in losses:
        if loss is not None and math.isfinite(loss - config.lower_bound):
            assume(config.div == 1.0 or loss > config.lower_bound)
            break


@given(configs(), st.lists(ANY_LOSS, max_size=100))
def test_factors_lie_in_0_to_1_for_any_losses(
    config: ScheduleConfig, losses: list[float | None]
) -> None:
    bounded(config, losses)
    state = init(config)
    assert state.factor == 1 / config.div
    for k, loss in enumerate(losses):
        previous = state
        state, factor, status = step(state, loss)
        assert 0 < factor <= 1
        assert (state.step, state.factor, state.status) == (k + 1, factor, status)
        assert state.gap is None or (math.isfinite(state.gap) and state.gap >= 0)
        assert PHASES.index(state.phase) >= PHASES.index(previous.phase)
        assert (state.phase == "done") == (k + 1 >= config.total_steps)


@given(configs(), st.lists(ANY_LOSS, max_size=60))
def test_a_saved_state_goes_on_as_if_never_saved(
    config: ScheduleConfig, losses: list[float | None]
) -> None:
    bounded(config, losses)
    state = saved = init(config)
    for loss in losses:
        saved = ScheduleState.from_dict(json.loads(json.dumps(saved.to_dict(), allow_nan=False)))
        assert saved == state
        state, _, _ = step(state, loss)
        saved, _, _ = step(saved, loss)
        assert saved == state


@given(configs(), st.lists(ANY_LOSS, min_size=80, max_size=80))
def test_warm_up_always_ends_and_the_decay_follows(
    config: ScheduleConfig, losses: list[float | None]
) -> None:
    bounded(config, losses)
    total = config.total_steps
    state, factors = init(config), []
    for loss in losses[:total]:
        factors.append(state.factor)
        state, _, _ = step(state, loss)
    latest = max(1, math.floor(config.max_fraction * total)) + max(1, round(0.03 * total))
    end = state.warmup_end_step
    if end is None:
        assert latest >= total
        return
    assert end < latest
    assert state.ended_by in ("gap", "cap", "not needed")
    for k in range(end, total):
        progress = (k - end) / (total - end)
        assert factors[k] == decay_factor(config.decay, progress, config.final_fraction)
    assert factors[end] == 1.0


@given(
    st.floats(1.5, 1e4),
    st.floats(0.05, 0.9),
    st.lists(POSITIVE, min_size=2, max_size=40),
    st.sampled_from([0.0, 0.9]),
)
def test_the_rate_rises_while_the_loss_falls(
    div: float, peak: float, losses: list[float], smoothing: float
) -> None:
    config = ScheduleConfig(1000, div=div, peak=peak, smoothing=smoothing, decay="constant")
    state = init(config)
    previous = 0.0
    for k, loss in enumerate(sorted(losses, reverse=True)):
        assert state.factor >= previous * (1 - 1e-12)
        previous = state.factor
        state, _, _ = step(state, loss)
        if k == 0:
            assert state.factor == 1 / div  # the rate at the first gap
