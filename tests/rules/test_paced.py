"""The default rule: how long its ramp is, what lowers the rate and what does not."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autowarmup.rules import Paced, Run, Status, WarmupState, begin, rule_of, step
from autowarmup.rules.brake import look_at

LOGS = Path(__file__).resolve().parents[3] / "shared" / "evidence" / "loss_logs.json"
SWEEPS = LOGS.with_name("published_sweeps.json")


def walked(losses: list[float], run: Run, rule: Paced | None = None) -> list[WarmupState]:
    held = [begin(rule or Paced(), run)]
    for loss in losses:
        held.append(step(held[-1], loss))
    return held


def lowered(states: list[WarmupState]) -> list[int]:
    return [state.step for state in states if state.status is Status.LOWERED]


def power_law(count: int, *, noise: float = 0.05, seed: int = 0, floor: float = 1.7) -> list[float]:
    """A loss that falls as those of language models do, with independent noise."""
    draw = random.Random(seed)
    return [floor + 9.0 * (k + 10) ** -0.3 + draw.gauss(0.0, noise) for k in range(count)]


@pytest.mark.parametrize(
    ("settings", "told", "length", "power"),
    [
        ({}, {"family": "spectral"}, 300, 1.0),
        ({}, {"family": "frobenius"}, 400, 1.0),
        ({}, {"family": "preconditioned"}, 1000, 1.0),
        ({}, {"family": "sign"}, 2000, 1.0),
        ({}, {}, 2000, 1.0),
        ({}, {"total_steps": 4000}, 1800, 0.9),
        ({}, {"total_steps": 1000}, 450, 0.6),
        ({}, {"trained": True}, 100, 1.0),
        ({}, {"trained": True, "total_steps": 600}, 30, 1.0),
        ({"tokens_per_update": 524_288}, {"parameters": 130_000_000}, 2033, 1.0),
        ({"tokens_per_update": 524_288}, {"parameters": 10**9}, 2048, 1.0),
        (
            {"tokens_per_update": 131_072},
            {"parameters": 124_000_000, "family": "spectral"},
            284,
            1.0,
        ),
        (
            {"tokens_per_update": 131_072},
            {"parameters": 124_000_000, "family": "frobenius"},
            400,
            1.0,
        ),
        ({"tokens_per_update": 131_072}, {}, 2000, 1.0),
        ({"tokens_per_update": 4 * 10**6}, {"parameters": 97_560_976}, 250, 0.8),
        ({"tokens_per_update": 10**9}, {"parameters": 10}, 250, 0.6),
        ({"tokens_per_update": 10**9}, {"parameters": 10, "family": "spectral"}, 1, 1.0),
        ({"length": 77}, {"parameters": 10, "trained": True}, 77, 1.0),
        ({"length": 77, "cap": 1.0}, {"total_steps": 50}, 50, 50 / 77),
    ],
)
def test_the_ramp_is_as_long_and_as_steep_as_what_is_known_says(settings, told, length, power):
    run = Run(**{"total_steps": 100_000, **told})
    rule = Paced(**settings)
    assert rule.length_in(run) == length
    states = walked([3.0] * min(length + 5, run.total_steps), run, rule)
    shares = [state.share for state in states]
    assert rule.power_in(run) == pytest.approx(power)
    assert shares[:length] == pytest.approx([((k + 1) / length) ** power for k in range(length)])
    if length > 1:
        end = next(state.end for state in states if state.end is not None)
        assert end == max(1, length - 1)


@pytest.mark.parametrize("total", [600, 5_000])
@pytest.mark.parametrize("seed", range(5))
def test_a_healthy_loss_is_left_alone(total, seed):
    states = walked(power_law(total, seed=seed), Run(total))
    assert not lowered(states)
    assert max(state.share for state in states) == 1.0


@pytest.mark.parametrize(
    "losses",
    [
        [6.7 + 0.02 * math.sin(k) for k in range(2000)],
        [10.0 if k < 30 else 6.75 + 0.3 * math.sin(1.3 * k) for k in range(2000)],
        [2.0 + 0.001 * math.sin(1.7 * k) for k in range(2000)],
    ],
    ids=["a plateau at the start", "a plateau after a first fall", "fine-tuning at its floor"],
)
def test_a_loss_that_stands_still_is_left_alone(losses):
    assert not lowered(walked(losses, Run(len(losses))))


def test_a_spike_is_left_alone():
    losses = power_law(3000)
    losses[700:730] = [30.0] * 30
    losses[1500] = 1e300
    assert not lowered(walked(losses, Run(3000)))


@pytest.mark.parametrize("trained", [False, True])
@pytest.mark.parametrize("noise", ["normal", "skewed"])
def test_noise_alone_hardly_ever_lowers_the_rate(noise, trained):
    """A loss that does not change at all, as in fine-tuning: at most one run in 25."""
    hits = 0
    for seed in range(200):
        draw = random.Random(seed)
        state = begin(Paced(), Run(1000, trained=trained))
        for _ in range(450):
            jump = draw.gauss(0.0, 1.0) if noise == "normal" else draw.expovariate(1.0) - 1.0
            state = step(state, 1.5 + 0.2 * jump)
        hits += state.lowered > 0
    assert hits <= 8


def test_a_trained_model_must_not_end_above_where_it_began():
    draw = random.Random(0)
    losses = [(2.5 if k < 8 else 3.1) + draw.gauss(0.0, 0.1) for k in range(300)]
    cuts = lowered(walked(losses, Run(600, trained=True)))
    assert 40 < cuts[0] < 70
    assert not lowered(walked(losses, Run(600)))  # a plateau, if nothing is known
    better = [(2.5 if k < 8 else 2.2) + draw.gauss(0.0, 0.1) for k in range(300)]
    assert not lowered(walked(better, Run(600, trained=True)))


@pytest.mark.parametrize("offset", [0.0, -50.0])
def test_a_loss_that_rises_lowers_the_rate(offset):
    """Losses may lie anywhere: no lower bound has to be known."""
    down = power_law(600)
    losses = [loss + offset for loss in down + [down[-1] + 0.002 * k for k in range(900)]]
    states = walked(losses, Run(3000))
    cuts = lowered(states)
    assert 600 < cuts[0] < 1100
    assert cuts
    assert states[cuts[0]].share == pytest.approx(0.5 * states[cuts[0] - 1].share)
    assert 0.02 < states[-1].share < 0.5


def test_a_rate_that_was_lowered_comes_back():
    """It doubles while the time becomes four times as long, also after warm-up."""
    down = power_law(300, noise=0.01)
    falling = [down[-1] * (k + 1) ** -0.1 for k in range(2000)]
    losses = down + [down[-1] + 0.01 * k for k in range(120)] + falling
    states = walked(losses, Run(10_000, decay="constant"), Paced(length=200))
    (cut,) = lowered(states)
    assert states[cut - 1].phase == "decay"
    assert states[cut].share == 0.5
    assert states[2 * cut].share == pytest.approx(0.5 * (1 + 1 / 3), rel=1e-2)
    assert states[4 * cut].share == pytest.approx(1.0, rel=1e-2)


def test_looking_ends():
    losses = power_law(800) + [9.0] * 1200
    assert not lowered(walked(losses, Run(2000, decay="constant"), Paced(cap=0.3)))


def test_looks_are_eight_to_an_octave():
    assert [look_at(k) for k in range(0, 40, 8)] == [32, 64, 128, 256, 512]


@given(
    losses=st.lists(
        st.one_of(st.none(), st.floats(), st.floats(-20, 20)), min_size=40, max_size=300
    ),
    total=st.integers(1, 300),
    length=st.one_of(st.none(), st.integers(1, 400)),
    cut=st.integers(0, 300),
)
def test_any_losses_give_shares_within_bounds_and_a_state_that_saves(losses, total, length, cut):
    rule = Paced(length=length, cap=1.0, sure=0.1, least=0.0)
    state = begin(rule, Run(total))
    for k, loss in enumerate(losses):
        if k == cut:
            state = WarmupState.from_dict(json.loads(json.dumps(state.to_dict())), rule_of)
        after = step(state, loss)
        assert 0.0 < after.share <= 1.0
        assert after.share >= min(state.share, rule.floor)
        assert WarmupState.from_dict(json.loads(json.dumps(after.to_dict())), rule_of) == after
        state = after


@pytest.mark.skipif(not LOGS.exists(), reason="the losses of published runs are not here")
@pytest.mark.parametrize("family", ["spectral", "other"])
def test_published_runs_reach_the_peak_rate(family):
    for run in json.loads(LOGS.read_text(encoding="utf-8"))["runs"]:
        states = walked(run["loss"], Run(len(run["loss"]), family=family))
        assert not lowered(states), run["name"]
        assert states[-1].share == 1.0
