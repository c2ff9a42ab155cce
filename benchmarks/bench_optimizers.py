"""One step of our optimizers against the usual ones, on the shapes of llama-124m.

    pytest benchmarks/bench_optimizers.py --benchmark-only

Set AUTOWARMUP_BENCH_LAYERS to measure fewer than the model's 12 layers. Both sides of a pair get
the same gradients and the number of threads torch chooses; a round is one step, and the median is
the number to compare.
"""

from __future__ import annotations

import os

import lion_pytorch
import pytest
import torch
from torch import nn

from autowarmup.norms import Lion, Muon

LAYERS = int(os.environ.get("AUTOWARMUP_BENCH_LAYERS", "12"))
# Attention q, k, v, o; gate and up; down (hidden size 768, intermediate size 2048).
HIDDEN = [*[(768, 768)] * 4, (2048, 768), (2048, 768), (768, 2048)] * LAYERS
DRY = os.environ.get("AUTOWARMUP_BENCH_DRY")  # a directory: small sizes, results go there
if DRY:
    HIDDEN = [(24, 24), (64, 24), (24, 64)]
# The tied embedding and two normalisation vectors per layer and one at the end.
OTHER = [(96 if DRY else 50304, 768), *[(768,)] * (2 * LAYERS + 1)]


def parameters(shapes: list[tuple[int, ...]]) -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(0)
    params = [nn.Parameter(0.02 * torch.randn(s, generator=generator)) for s in shapes]
    for p in params:
        p.grad = 1e-3 * torch.randn(p.shape, generator=generator)
    return params


def muon_ours() -> torch.optim.Optimizer:
    return Muon([(f"layer.{k}", p) for k, p in enumerate(parameters(HIDDEN))], lr=1e-3)


def muon_torch() -> torch.optim.Optimizer:
    return torch.optim.Muon(parameters(HIDDEN), lr=1e-3, adjust_lr_fn="match_rms_adamw")


def lion_ours() -> torch.optim.Optimizer:
    return Lion(parameters(HIDDEN + OTHER), lr=1e-4)


def lion_peer() -> torch.optim.Optimizer:
    params = parameters(HIDDEN + OTHER)
    return lion_pytorch.Lion(params, lr=1e-4, betas=(0.9, 0.99), weight_decay=0.1)


@pytest.mark.benchmark(group="one Muon step, hidden matrices of llama-124m")
@pytest.mark.parametrize("make", [muon_torch, muon_ours], ids=["torch.optim.Muon", "autowarmup"])
def test_muon_step(benchmark, make) -> None:
    benchmark.pedantic(make().step, rounds=7, warmup_rounds=1)


@pytest.mark.benchmark(group="one Lion step, all parameters of llama-124m")
@pytest.mark.parametrize("make", [lion_peer, lion_ours], ids=["lion_pytorch.Lion", "autowarmup"])
def test_lion_step(benchmark, make) -> None:
    benchmark.pedantic(make().step, rounds=15, warmup_rounds=2)
