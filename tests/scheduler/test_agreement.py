"""What many losses become: weights, reductions, what is refused, and the format before."""

from __future__ import annotations

import math
import subprocess
import sys

import pytest
import torch
from hypothesis import given, strategies
from torch import nn

from autowarmup import AdaptiveWarmup, GapLaw
from autowarmup.agreement import REDUCTIONS, Agreement, LossSum, group


def make(**options) -> AdaptiveWarmup:
    optimizer = torch.optim.SGD([nn.Parameter(torch.ones(3))], lr=0.5)
    return AdaptiveWarmup(optimizer, 60, **{"rule": "flat(smoothing=0)", **options})


sizes = strategies.lists(
    strategies.tuples(strategies.floats(-100, 100), strategies.integers(0, 50)), min_size=1
)


@given(sizes, strategies.booleans(), strategies.booleans(), strategies.integers(0, 1))
def test_the_mean_is_over_samples_however_they_are_cut(parts, as_tensor, weight_tensor, lag):
    agreement = Agreement(process_group=False, lag=lag)
    for loss, size in parts:
        agreement.buffer.add(
            torch.tensor(loss, dtype=torch.float64) if as_tensor else loss,
            torch.tensor(size) if weight_tensor else size,
        )
    seen = agreement.end_update()
    if lag:
        seen = agreement.end_update()
    total = sum(size for _, size in parts)
    if total == 0:
        assert seen.loss is None
    else:
        mean = sum(loss * size for loss, size in parts) / total
        assert seen.loss == pytest.approx(mean, rel=1e-12, abs=1e-10)


@pytest.mark.parametrize(
    ("reduce", "expected"),
    [
        ("mean", 4.0),
        ("sum", 8.0),
        ("mean_of_sums", 8.0),
        (lambda parts: max(part.total for part in parts), 8.0),
    ],
)
@pytest.mark.parametrize("lag", [0, 1])
def test_reductions_of_two_micro_batches(reduce, expected, lag):
    scheduler = make(reduce=reduce, lag=lag)
    scheduler.observe(3.0)
    scheduler.observe(torch.tensor(5.0))
    for _ in range(1 + lag):
        scheduler.step(updated=True)
    assert scheduler.state.gap == expected


def test_reductions_over_processes():
    parts = [LossSum(6.0, 3.0, 2), LossSum(4.0, 1.0, 1)]
    assert {name: reduce(parts) for name, reduce in REDUCTIONS.items()} == {
        "mean": 2.5,
        "sum": 10.0,
        "mean_of_sums": 5.0,
    }


def test_a_single_loss_has_a_weight_too():
    scheduler = make()
    scheduler.observe(3.0, weight=3)
    scheduler.step(7.0, weight=1, updated=True)
    assert scheduler.state.gap == 4.0


def test_skip_forgets_the_losses_and_the_update():
    scheduler = make()
    scheduler.observe(900.0)
    scheduler.optimizers[0].step()
    scheduler.skip()
    scheduler.step()
    assert scheduler.state.step == 0
    scheduler.step(3.0, updated=True)
    assert scheduler.state.gap == 3.0


@pytest.mark.parametrize("weight", [-1.0, math.nan, math.inf])
def test_bad_weights_are_refused(weight):
    with pytest.raises(ValueError, match=r"weight to be a finite number >= 0, got"):
        make().observe(3.0, weight=weight)


def test_bad_options_are_refused():
    with pytest.raises(ValueError, match="reduce: expected one of mean, sum, mean_of_sums"):
        make(reduce="median")
    for bad in (True, "gloo", 3):
        with pytest.raises(ValueError, match=r"process_group: expected None .* got"):
            make(process_group=bad)


def test_the_default_rule_says_when_a_loss_is_no_number_or_missing():
    scheduler = make(rule="watched")
    for loss, name in ((3.0, "WARMING"), (math.nan, "NON_FINITE"), (None, "NO_LOSS")):
        scheduler.step(loss, updated=True)
        assert scheduler.status.name == name
    other = make(rule="watched")
    other.load_state_dict(scheduler.state_dict())
    assert other.status.name == "NO_LOSS"
    assert scheduler.trace.column("status") == ["WARMING", "NON_FINITE", "NO_LOSS"]


OLDEST = {
    "format": "autowarmup-scheduler-2", "rule": "flat", "peak_lrs": [[0.5]], "calibration": [],
    "losses": {"sum": 2.5, "count": 1}, "updated": False, "fed": True,
    "history": {"stride": 1, "rows": [[0, 5.0, 5.0, 0.05, 0.1, "warmup", "WARMING"],
                                      [1, 4.0, 5.0, 0.05, 0.1, "warmup", "WARMING"],
                                      [2, 3.0, 4.0, 0.05, 0.1, "warmup", "WARMING"]]},
    "schedule": {
        "config": {"total_steps": 60, "div": 10.0, "peak": "flat", "kappa": None, "beta": 0.0,
                   "decay": "cosine", "final_fraction": 0.0, "lower_bound": 0.0,
                   "max_fraction": 0.25, "smoothing": 0.0},
        "step": 3, "factor": 0.15048355284679976, "phase": "warmup", "status": "WARMING",
        "tracker": {"gap": 4.0, "weight": 1.0, "before": 4.0, "last": 3.0},
        "gap0": 5.0, "gap_peak": 1.5709024412222314, "cap_step": None, "cap_factor": None,
        "warmup_end_step": None, "ended_by": "", "non_finite": 0, "spikes": 0, "below_bound": 0,
    },
}  # fmt: skip
"""Saved by version 0.1 in format 2, after the losses 5, 4, 3 and a micro-batch of 2.5."""


def test_a_state_without_weights_and_lag_is_still_read():
    scheduler = make(rule=GapLaw(div=10, smoothing=0.0))
    for loss in (5.0, 4.0, 3.0):
        scheduler.step(loss, updated=True)
    scheduler.observe(2.5)
    other = make()
    with pytest.warns(UserWarning, match=r"div=10\.0"):
        other.load_state_dict(OLDEST)
    assert other.state_dict()["agreement"] == scheduler.state_dict()["agreement"]
    for each in (scheduler, other):
        each.observe(1.5)
        each.step(updated=True)
    assert other.get_last_lr() == scheduler.get_last_lr()


def test_importing_the_package_stays_cheap():
    code = "import sys, autowarmup; print([m for m in ('torch', 'numpy') if m in sys.modules])"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(("present", "device"), [(True, "cuda:0"), (False, "cpu")])
def test_losses_are_gathered_on_a_device_that_is_there(monkeypatch, present, device):
    """A build of torch for GPUs names one on machines without, too."""
    built = torch.device("cuda")
    monkeypatch.setattr(
        torch.accelerator,
        "current_accelerator",
        lambda check_available=False: built if present or not check_available else None,
    )
    monkeypatch.setattr(torch.accelerator, "current_device_index", lambda: 0)
    monkeypatch.setattr(group.dist, "get_backend_config", lambda handle: "cpu:mpi,cuda:nccl")
    assert group._device_of(None) == torch.device(device)
