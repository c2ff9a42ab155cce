"""A compiled step is compiled once for a whole warm-up and takes the rate from its tensor."""

from __future__ import annotations

import copy
import sys
from typing import Any

import pytest
import torch
import torch._dynamo
from torch import nn
from torch._dynamo.testing import CompileCounterWithBackend

from autowarmup import AdaptiveWarmup
from autowarmup.norms import Lion, Muon, NormalizedSGD, SignSGD, Signum

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="torch.compile was not tried on Windows"
)


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Embedding(9, 8), nn.Linear(8, 8), nn.Linear(8, 16), nn.Linear(16, 8), nn.Linear(8, 9)
    )


def walk(kind: Any, net: nn.Module, compiled: bool, rate: Any = 5e-3) -> tuple[list[float], int]:
    """Warm up for 30 steps; return the rates and the number of compilations."""
    optimizer = kind(net if kind is Muon else net.parameters(), lr=rate)
    scheduler = AdaptiveWarmup(optimizer, 60, rule="linear 20%")
    counter = CompileCounterWithBackend("aot_eager")
    step = torch.compile(optimizer.step, backend=counter) if compiled else optimizer.step
    rates = []
    for k in range(30):
        tokens = torch.randint(0, 9, (4, 5), generator=torch.Generator().manual_seed(k))
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(net(tokens).flatten(0, 1), tokens.flatten())
        loss.backward()
        rates.append(float(optimizer.param_groups[0]["lr"]))
        with torch._dynamo.config.patch(error_on_recompile=k > 1):  # the first two begin states
            step()
        scheduler.step(loss, updated=True)
    return rates, counter.frame_count


@pytest.mark.filterwarnings("ignore")  # dynamo's own, of other versions of torch too
@pytest.mark.parametrize("kind", [Lion, Muon, Signum, SignSGD, NormalizedSGD])
@pytest.mark.parametrize(
    ("dtype", "tensor"), [(torch.float32, True), (torch.bfloat16, True), (torch.float32, False)]
)
def test_one_graph_for_a_whole_warm_up(kind: Any, dtype: torch.dtype, tensor: bool) -> None:
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    ours = network().to(dtype)
    theirs = copy.deepcopy(ours)
    rates, frames = walk(kind, ours, True, torch.tensor(5e-3) if tensor else 5e-3)
    assert frames == 1
    breaks = torch._dynamo.utils.counters["graph_break"]
    assert not [reason for reason in breaks if "item()" in reason]
    assert len(set(rates)) > 20
    assert walk(kind, theirs, compiled=False) == (pytest.approx(rates), 0)
    # Rounding in another order, amplified by the training itself; measured 1e-4 and 8e-3.
    slack = 3e-2 if dtype == torch.bfloat16 else 1e-3
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=0, atol=slack)


@pytest.mark.filterwarnings("ignore")
def test_large_matrices_are_one_graph_too() -> None:
    torch._dynamo.reset()
    rates = [torch.tensor(0.0), torch.tensor(0.0)]
    ours = [nn.Parameter(torch.zeros(s)) for s in [(512, 800), (800, 512), (520, 520)]]
    theirs = [nn.Parameter(p.detach().clone()) for p in ours]
    one, two = (
        Muon([(f"layer.{k}", p) for k, p in enumerate(params)], lr=rate)
        for params, rate in zip((ours, theirs), rates, strict=True)
    )
    counter = CompileCounterWithBackend("aot_eager")
    step = torch.compile(one.step, backend=counter)
    for k in range(3):
        for rate in rates:
            rate.fill_(0.1 * (k + 1))
        generator = torch.Generator().manual_seed(k)
        for p, q in zip(ours, theirs, strict=True):
            p.grad = q.grad = torch.randn(p.shape, generator=generator)
        step()
        two.step()
    assert counter.frame_count == 1
    # Full products instead of symmetric ones: bfloat16 rounding of updates of length 0.3 to 1.
    for p, q in zip(ours, theirs, strict=True):
        assert ((p - q).norm() / q.norm()).item() < 0.02
