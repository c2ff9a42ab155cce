"""Recorded shares: the default on a loss that rises first, then what version 0.1 gave."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from autowarmup import AdaptiveWarmup
from autowarmup.integrations.jax import SUPPORTED
from autowarmup.integrations.optax import AdaptiveWarmupSchedule
from autowarmup.rules import DEFAULT_RULE, Linear, Run, begin, rule_of, step

HERE = Path(__file__).parent
GOLDEN = json.loads((HERE / "rules.json").read_text())
STATES = json.loads((HERE / "states.json").read_text())["saved"]
LOSSES = {
    kind: [math.nan if loss == "nan" else loss for loss in losses]
    for kind, losses in GOLDEN["losses"].items()
}
# Losses that rise lower the rate, which is said; here only the rate is looked at.
pytestmark = pytest.mark.filterwarnings("ignore:update [0-9]+:UserWarning")
every_run = pytest.mark.parametrize(
    "run", GOLDEN["runs"], ids=lambda run: f"{run['rule']}, {run['losses']}"
)


def tolerance(run: dict[str, Any]) -> float:
    """Bit for bit, but for a linear ramp, which is (k + 1) / W without a rounded slope now."""
    return 1e-14 if isinstance(rule_of(run["rule"]), Linear) else 0.0


def test_the_default_comes_first_and_a_rising_loss_lowers_the_rate():
    first = GOLDEN["runs"][0]
    assert first["rule"] == DEFAULT_RULE
    ratios = [b / a for a, b in itertools.pairwise(first["factors"])]
    assert sum(ratio == pytest.approx(0.5, rel=0.05) for ratio in ratios) == 1


@every_run
def test_the_rules_give_the_recorded_shares(run):
    state = begin(rule_of(run["rule"]), Run(len(run["factors"]), **run["run"]))
    for loss, factor in zip(LOSSES[run["losses"]], run["factors"], strict=True):
        assert state.factor == pytest.approx(factor, rel=tolerance(run), abs=0.0)
        state = step(state, loss)
    assert state.end == run["end"]


@every_run
def test_so_does_the_torch_scheduler(run):
    settings = dict(run["run"])
    beta, kappa, div = settings.pop("beta"), settings.pop("kappa"), settings.pop("div", None)
    name = run["rule"]
    if div is not None:
        inside = f"div={div}" + (f", kappa={kappa}" if name == "accurate" else "")
        name = f"{name[:-1]}, {inside})" if name.endswith(")") else f"{name}({inside})"
    weight = torch.nn.Parameter(torch.zeros(2))
    optimizer = torch.optim.SGD([weight], lr=0.5, momentum=beta)
    if not rule_of(name).needs_bound or not rule_of(name).reads_loss:
        del settings["lower_bound"]
    scheduler = AdaptiveWarmup(optimizer, len(run["factors"]), rule=name, **settings)
    for loss, factor in zip(LOSSES[run["losses"]], run["factors"], strict=True):
        rate = 0.5 * factor
        assert optimizer.param_groups[0]["lr"] == pytest.approx(rate, rel=tolerance(run), abs=0.0)
        optimizer.step()
        scheduler.step(loss)


@every_run
def test_so_does_jax(run):
    name, settings = run["rule"], dict(run["run"])
    if name not in SUPPORTED and "gap law" not in name:
        pytest.skip("this rule cannot run under jit")
    del settings["kappa"]
    if not rule_of(name).needs_bound or not rule_of(name).reads_loss:
        del settings["lower_bound"]
    div = settings.pop("div", None)
    if div is not None:
        name = f"{name[:-1]}, div={div})" if name.endswith(")") else f"{name}(div={div})"
    losses = [math.nan if loss is None else loss for loss in LOSSES[run["losses"]]]
    with jax.enable_x64(True):
        schedule = AdaptiveWarmupSchedule(
            1.0, len(losses), rule=name, dtype=jnp.float64, **settings
        )

        def one(state, loss):
            return schedule.update(state, value=loss), state.factor

        _, factors = jax.lax.scan(one, schedule.init(), jnp.asarray(losses))
    np.testing.assert_allclose(np.asarray(factors), run["factors"], rtol=1e-12)


@pytest.mark.parametrize(
    "saved", STATES, ids=lambda saved: f"{saved['state']['rule']} at {saved['cut']}"
)
@pytest.mark.parametrize("form", [3, 2])
def test_states_of_earlier_versions_go_on(saved, form):
    state = json.loads(json.dumps(saved["state"]))
    if form == 2:  # it knew no weights, no lag and no event
        state = {key: x for key, x in state.items() if key not in ("agreement", "status")}
        state |= {"format": "autowarmup-scheduler-2", "losses": {"sum": 0.0, "count": 0}}
    before = json.dumps(state)
    weight = torch.nn.Parameter(torch.zeros(2))
    optimizer = torch.optim.SGD([weight], lr=0.5, momentum=0.9)
    scheduler = AdaptiveWarmup(optimizer, 9, rule="none")  # the saved settings win
    with pytest.warns(UserWarning, match="goes on as it was saved"):
        scheduler.load_state_dict(state)
    assert json.dumps(state) == before
    rates, losses = [optimizer.param_groups[0]["lr"]], LOSSES["stalls"][saved["cut"] : 60]
    assert scheduler.state.step == saved["cut"]
    for loss in losses:
        optimizer.step()
        scheduler.step(loss)
        rates.append(optimizer.param_groups[0]["lr"])
    assert scheduler.phase == "done"
    assert scheduler.warmup_end_step == saved["end"]
    if saved["rates"] is None:  # "autowu" went above the peak rate, which no rule does now
        assert state["rule"] == "autowu"
        assert all(0.0 < rate <= 0.5 for rate in rates)
        return
    exact = 1e-14 if "linear" in state["rule"] else 0.0
    assert len(saved["rates"]) >= max(1, len(losses))
    for rate, wanted in zip(rates, saved["rates"], strict=False):
        assert rate == pytest.approx(wanted, rel=exact, abs=0.0)
