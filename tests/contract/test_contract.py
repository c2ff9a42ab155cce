"""The contract of every host: the same losses give the same rates, whatever happens on the way."""

from __future__ import annotations

import io
import itertools
import json
import math
import warnings
from pathlib import Path

import pytest
import torch
from hosts import HOSTS as TORCH_LOOPS
from hosts import STEPS, Core, Host, falling_loss
from jax_frameworks import JAX_FRAMEWORKS
from torch_frameworks import TORCH_FRAMEWORKS

from autowarmup import GapLaw, Trace

HOSTS = [*TORCH_LOOPS, *TORCH_FRAMEWORKS, *JAX_FRAMEWORKS]
GOLDEN = Path(__file__).parent.parent / "golden"
RUNS = json.loads((GOLDEN / "runs.json").read_text())
# It visits the ramp of the cap, too.
LAW = {"rule": GapLaw(end=0.23, div=10.0, max_fraction=0.3)}
RULES = {"default": {}, "law": LAW}

# Losses that rise lower the rate, which is said; here only the rate is looked at.
pytestmark = pytest.mark.filterwarnings("ignore:update [0-9]+:UserWarning")

every_host = pytest.mark.parametrize("host", HOSTS, ids=lambda host: host.name)
every_rule = pytest.mark.parametrize("options", RULES.values(), ids=RULES)


def expected(host: Host | type[Host], losses: list, **options) -> list[list[float]]:
    """Return the rates of every update that the core gives for these losses, late by the lag."""
    core, rates = Core(len(losses), **options), []
    late = ([None] * host.lag + losses)[: len(losses)]
    for loss in late:
        rates.append([peak * core.state.factor for peak in host.peaks])
        core.update(loss)
    return rates


def drive(host: Host, losses: list) -> list[list[float]]:
    rates = []
    for loss in losses:
        rates.append(host.rates())
        host.update(loss)
    return rates


def same(host: Host | type[Host], got: list[list[float]], wanted: list[list[float]]) -> bool:
    return len(got) == len(wanted) and all(
        a == pytest.approx(b, rel=host.tolerance or 1e-300, abs=0.0)
        for a, b in zip(got, wanted, strict=True)
    )


@every_host
@every_rule
def test_the_rates_are_those_of_the_core(host, options):
    losses = [falling_loss(k) for k in range(STEPS)]
    assert same(host, drive(host(STEPS, **options), losses), expected(host, losses, **options))


@every_host
@pytest.mark.parametrize("name", RUNS)
def test_the_golden_trace(host, name):
    run, trace = RUNS[name], Trace.read(GOLDEN / f"{name}.jsonl")
    options = {"rule": run["rule"]}
    rates = drive(host(run["steps_done"], **options), trace.column("loss"))
    if host.lag:
        assert same(host, rates, expected(host, trace.column("loss"), **options))
        return
    for got, point in zip(rates, trace, strict=True):
        wanted = [peak * point.lr / run["lr"] for peak in host.peaks]
        assert got == pytest.approx(wanted, rel=max(host.tolerance, 1e-11))


@every_host
@every_rule
@pytest.mark.parametrize("cut", [1, 7, 17, 20, 28, 45])
def test_a_resumed_run_is_one_that_never_stopped(host, options, cut):
    """In warm-up, in the ramp of the cap and in the decay; through a file, without pickle."""
    losses = [falling_loss(k) for k in range(STEPS)]
    whole, first = host(STEPS, **options), host(STEPS, **options)
    rates = drive(whole, losses)
    before = drive(first, losses[:cut])
    file = io.BytesIO()
    torch.save(first.state_dict(), file)
    file.seek(0)
    second = host(STEPS, **options)
    second.load(torch.load(file, weights_only=True))
    assert second.rates() == first.rates()
    assert before + drive(second, losses[cut:]) == rates
    assert second.status() == whole.status()


@every_host
@every_rule
def test_a_skipped_update_leaves_no_trace(host, options):
    losses = [falling_loss(k) for k in range(STEPS)]
    if not host.skips:
        pytest.skip("this host has no mixed precision")
    undisturbed = drive(host(STEPS, **options), losses)
    run, rates = host(STEPS, **options), []
    for k, loss in enumerate(losses):
        if k in (0, 5, 6, 30):
            before = run.rates()
            run.skip(1e6)
            assert run.rates() == before
        rates.append(run.rates())
        run.update(loss)
    assert rates == undisturbed


@every_host
def test_a_call_without_an_update_changes_nothing(host):
    losses = [falling_loss(k) for k in range(STEPS)]
    undisturbed = drive(host(STEPS, **LAW), losses)
    run, rates = host(STEPS, **LAW), []
    for loss in losses:
        run.idle()
        rates.append(run.rates())
        run.update(loss)
        run.idle()
    assert rates == undisturbed


@every_host
@every_rule
def test_an_update_without_a_loss_counts_and_says_so(host, options):
    losses = [falling_loss(k) if k % 4 else None for k in range(STEPS)]
    run = host(STEPS, **options)
    assert same(host, drive(run, losses), expected(host, losses, **options))
    run = host(STEPS, **options)
    drive(run, [5.0, 4.9, None] + [4.8] * host.lag)
    assert run.status() == "NO_LOSS"


@every_host
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_no_number_gives_a_status_and_moves_no_rate(host, bad):
    run = host(STEPS, **LAW)
    drive(run, [5.0, 4.0, 4.5] + [4.0] * host.lag)
    before = run.rates()
    drive(run, [bad] * (1 + host.lag))
    assert run.status() == "NON_FINITE"
    if not host.lag:
        assert run.rates() == before


@every_host
def test_groups_keep_their_proportions(host):
    run = host(STEPS, **LAW)
    for got in drive(run, [falling_loss(k) for k in range(STEPS)]):
        shares = [rate / peak for rate, peak in zip(got, host.peaks, strict=True)]
        assert all(a == pytest.approx(b, rel=1e-6) for a, b in itertools.pairwise(shares))


@every_host
def test_a_tensor_rate_stays_the_same_object(host):
    run = host(STEPS, **LAW)
    if not hasattr(run, "rate"):
        pytest.skip("its rates are plain numbers")
    drive(run, [5.0, 4.0, 3.0])
    assert run.optimizers[0].param_groups[0]["lr"] is run.rate


@every_host
def test_reading_twice_changes_nothing(host):
    run = host(STEPS, **LAW)
    drive(run, [5.0, 4.0, 3.0])
    first = (str(run.state_dict()), run.rates(), run.status())
    assert first == (str(run.state_dict()), run.rates(), run.status())


LIVES = {
    "an end told late": (None, 20, "start_decay", 25),
    "a decay begun early": (STEPS, 20, "start_decay", 12),
    "a decay begun anew": (STEPS, 35, "start_decay", 10),
    "a longer end in warm-up": (30, 6, "extend", 45),
    "a longer end in the decay": (30, 25, "extend", 45),
    "a later ramp": (STEPS, 25, "rewarm", 6),
}


@every_host
@pytest.mark.parametrize("life", LIVES.values(), ids=LIVES)
def test_what_becomes_of_a_run_is_the_same_everywhere_and_resumes(host, life):
    total, at, call, steps = life
    if call not in host.calls:
        pytest.skip("this host has a fixed end")
    losses = [falling_loss(k) for k in range(45)]
    core, late = Core(total, rule="linear 9 steps"), ([None] * host.lag + losses)[:45]
    wanted = []
    for k, loss in enumerate(late):
        if k == at:
            core.ask(call, steps)
        wanted.append([peak * core.state.factor for peak in host.peaks])
        core.update(loss)
    run = host(total, rule="linear 9 steps")
    rates = drive(run, losses[:at])
    run.ask(call, steps)
    rates += drive(run, losses[at : at + 3])
    resumed = host(total, rule="linear 9 steps")
    with warnings.catch_warnings():  # where the end moved, that is said at loading
        warnings.filterwarnings("ignore", message="the saved state goes on as it was saved")
        resumed.load(run.state_dict())
    rates += drive(resumed, losses[at + 3 :])
    assert same(host, rates, wanted)
