"""The schedule under the names that factories of other libraries have."""

from __future__ import annotations

import sys

import pytest
import torch
from torch import nn

from autowarmup import AdaptiveWarmup, Point, Trace, get_adaptive_schedule


def adamw() -> torch.optim.AdamW:
    return torch.optim.AdamW([nn.Parameter(torch.ones(2))], lr=0.5)


def rates(scheduler: AdaptiveWarmup, updates: int) -> list[float]:
    found = []
    for _ in range(updates):
        found.append(scheduler.get_last_lr()[0])
        scheduler.optimizer.step()
        scheduler.step()
    return found


def test_it_is_the_scheduler_of_that_length():
    with pytest.warns(UserWarning, match="warm-up goes by the number of steps instead"):
        ours = rates(get_adaptive_schedule(adamw(), num_training_steps=100), 100)
    with pytest.warns(UserWarning, match="no finite loss reached"):
        assert ours == rates(AdaptiveWarmup(adamw(), 100), 100)


def test_a_length_of_warm_up_is_kept_and_a_run_goes_on():
    whole = rates(get_adaptive_schedule(adamw(), 30, num_warmup_steps=6, decay="linear"), 30)
    assert whole[:6] == pytest.approx([0.5 * (k + 1) / 6 for k in range(6)])
    rest = get_adaptive_schedule(adamw(), 30, 9, num_warmup_steps=6, decay="linear")
    assert rates(rest, 20) == whole[10:]
    assert rates(get_adaptive_schedule(adamw(), 30, num_warmup_steps=0), 1) == [0.5]
    with pytest.raises(ValueError, match="expected num_warmup_steps or rule, got both"):
        get_adaptive_schedule(adamw(), 30, num_warmup_steps=6, rule="none")


def test_a_trace_as_a_table(monkeypatch):
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    trace = Trace([Point(0, 3.0, lr=0.1), Point(1, 2.0, gap=2.0)])
    table = trace.to_pandas()
    assert list(table.columns) == ["step", "loss", "lr", "gap"]
    assert table["loss"].tolist() == [3.0, 2.0]
    assert pandas.isna(table["gap"][0])
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ModuleNotFoundError, match="expected pip install pandas"):
        trace.to_pandas()
