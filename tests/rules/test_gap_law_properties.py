"""What holds for the law of the gap, whatever the settings and the losses."""

from __future__ import annotations

import json
import math

from hypothesis import assume, given
from hypothesis import strategies as st

from autowarmup.rules import PHASES, GapLaw, Run, WarmupState, begin, rule_of, step
from autowarmup.rules.decay import DECAYS, decay_factor

POSITIVE = st.floats(1e-6, 1e6)
ANY_LOSS = st.one_of(
    st.none(),
    st.floats(0, 20),
    st.floats(),
    st.sampled_from([math.nan, math.inf, -math.inf, 1e308, -1e308, 5e-324]),
)


LAWS = st.builds(
    GapLaw,
    div=st.one_of(st.just(1.0), st.sampled_from([1.5, 4.0, 100.0, 1e300])),
    end=st.one_of(st.sampled_from(["flat", "accurate"]), st.floats(0.01, 0.99)),
    kappa=st.sampled_from([1.0, 85.0, 1e8]),
    max_fraction=st.floats(0.01, 1),
    smoothing=st.sampled_from([0.0, 0.5, 0.9, 0.999]),
)
RUNS = st.builds(
    Run,
    total_steps=st.integers(1, 80),
    decay=st.sampled_from(DECAYS),
    final_fraction=st.floats(0, 1),
    lower_bound=st.sampled_from([0.0, -1.0, 2.5, -1e308]),
)


def bounded(rule: GapLaw, run: Run, losses: list[float | None]) -> None:
    """Skip the sequences that are refused: a first loss at or under the bound."""
    for loss in losses:
        if loss is not None and math.isfinite(loss - run.lower_bound):
            assume(rule.div == 1.0 or loss > run.lower_bound)
            break


@given(LAWS, RUNS, st.lists(ANY_LOSS, max_size=100))
def test_factors_lie_in_0_to_1_for_any_losses(
    rule: GapLaw, run: Run, losses: list[float | None]
) -> None:
    bounded(rule, run, losses)
    state = begin(rule, run)
    assert state.factor == 1 / rule.div
    for k, loss in enumerate(losses):
        previous = state
        state = step(state, loss)
        assert 0 < state.factor <= 1
        assert state.step == k + 1
        assert state.gap is None or (math.isfinite(state.gap) and state.gap >= 0)
        assert PHASES.index(state.phase) >= PHASES.index(previous.phase)
        assert (state.phase == "done") == (k + 1 >= run.total_steps)


@given(LAWS, RUNS, st.lists(ANY_LOSS, max_size=60))
def test_a_saved_state_goes_on_as_if_never_saved(
    rule: GapLaw, run: Run, losses: list[float | None]
) -> None:
    bounded(rule, run, losses)
    state = saved = begin(rule, run)
    for loss in losses:
        saved = WarmupState.from_dict(
            json.loads(json.dumps(saved.to_dict(), allow_nan=False)), rule_of
        )
        assert saved == state
        state, saved = step(state, loss), step(saved, loss)
        assert saved == state


@given(LAWS, RUNS, st.lists(ANY_LOSS, min_size=80, max_size=80))
def test_warm_up_always_ends_and_the_decay_follows(
    rule: GapLaw, run: Run, losses: list[float | None]
) -> None:
    bounded(rule, run, losses)
    total = run.total_steps
    state, factors = begin(rule, run), []
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
        assert factors[k] == decay_factor(run.decay, progress, run.final_fraction)
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
    rule = GapLaw(end=peak, div=div, smoothing=smoothing)
    state = begin(rule, Run(1000, decay="constant"))
    previous = 0.0
    for k, loss in enumerate(sorted(losses, reverse=True)):
        assert state.factor >= previous * (1 - 1e-12)
        previous = state.factor
        state = step(state, loss)
        if k == 0:
            assert state.factor == 1 / div  # the rate at the first gap
