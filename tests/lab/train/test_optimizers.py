from __future__ import annotations

import pytest
import torch

from autowarmup.lab.train import OPTIMIZERS, RECIPES
from autowarmup.lab.train.model import build_model, token_loss
from autowarmup.lab.train.optimizers import build_optimizer


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_learns_one_batch(name):
    size = RECIPES["tiny-cpu"]
    model = build_model(size, vocabulary=256, sequence_length=16, seed=0)
    lr = size.rates[name] / 3
    optimizer = build_optimizer(name, model, lr=lr, weight_decay=0.1)
    held = [p for group in optimizer.param_groups for p in group["params"]]
    assert {id(p) for p in held} == {id(p) for p in model.parameters()}
    assert len(held) == len(list(model.parameters()))
    assert optimizer.param_groups[0]["lr"] == lr
    windows = torch.randint(0, 256, (4, 17), generator=torch.Generator().manual_seed(0))
    losses = []
    for _ in range(6):
        loss = token_loss(model, windows)
        losses.append(loss.item())
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_only_matrices_decay(name):
    model = build_model(RECIPES["tiny-cpu"], vocabulary=256, sequence_length=16, seed=0)
    optimizer = build_optimizer(name, model, lr=1e-2, weight_decay=0.1)
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            if parameter.ndim == 1 and name != "muon":
                assert group["weight_decay"] == 0.0
            if parameter.ndim == 2:
                assert group["weight_decay"] == 0.1


def test_unknown_optimizer():
    with pytest.raises(ValueError, match="optimizer: expected one of muon, lion"):
        build_optimizer("adam", torch.nn.Linear(2, 2), lr=1.0, weight_decay=0.0)
