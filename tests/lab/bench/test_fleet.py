"""A replica of a fleet is the single model, trained by the ordinary loop."""

from __future__ import annotations

import pytest
import torch

from autowarmup.calibrate import measure_start
from autowarmup.lab.bench.directions import BETA, Direction
from autowarmup.lab.bench.fleet import Fleet, Replica
from autowarmup.lab.bench.plan import RunPlan
from autowarmup.lab.bench.setups import SIZES, Setup
from autowarmup.lab.bench.stacked import StackedLlama, stack_parameters
from autowarmup.lab.train.model import build_model, token_loss
from autowarmup.lab.train.optimizers import build_optimizer

LENGTH = 16


def model_of(seed: int) -> torch.nn.Module:
    return build_model(SIZES["micro"], vocabulary=256, sequence_length=LENGTH, seed=seed)


def windows(seed: int, batch: int = 4) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (batch, LENGTH + 1), generator=generator)


def fleet_of(optimizer: str, rule: str, lr: float, steps: int = 40) -> tuple[Fleet, list]:
    models = [model_of(0), model_of(1)]
    setup = Setup(optimizer, lr, steps=steps)
    replicas = [Replica(RunPlan(setup, k, rule), rate) for k, rate in enumerate((lr, lr / 2))]
    stacked = StackedLlama(models[0])
    return Fleet(replicas, optimizer, stack_parameters(models), stacked.losses), models


def test_the_stacked_model_is_the_llama_of_transformers():
    models = [model_of(0), model_of(1)]
    parameters = {k: p.requires_grad_() for k, p in stack_parameters(models).items()}
    batch = torch.stack([windows(0), windows(1)])
    losses = StackedLlama(models[0]).losses(parameters, batch)
    gradients = torch.autograd.grad(losses.sum(), list(parameters.values()))
    for k, model in enumerate(models):
        loss = token_loss(model, batch[k])
        assert losses[k].item() == pytest.approx(loss.item(), rel=1e-6)
        own = torch.autograd.grad(loss, list(model.parameters()))
        for (name, _), g, stacked in zip(model.named_parameters(), own, gradients, strict=True):
            assert torch.allclose(stacked[k], g, rtol=1e-4, atol=1e-6), name


@pytest.mark.parametrize("optimizer", sorted(BETA))
def test_a_direction_is_the_optimizer_of_the_same_name(optimizer):
    model = model_of(0)
    lr = 0.01
    theirs = build_optimizer(optimizer, model, lr=lr, weight_decay=0.1)
    parameters = stack_parameters([model])
    ours = Direction(optimizer, parameters, weight_decay=0.1)
    generator = torch.Generator().manual_seed(3)
    for _ in range(3):
        gradients = {}
        for name, p in model.named_parameters():
            p.grad = torch.randn(p.shape, generator=generator)
            gradients[name] = p.grad.unsqueeze(0).clone()
        theirs.step()
        updates = ours(gradients, parameters)
        for name, x in parameters.items():
            x.mul_(1 - lr * ours.decay(name, x)).sub_(lr * updates[name])
    # Muon's iteration runs in bfloat16 there and in float32 here.
    tolerance = 2e-3 if optimizer == "muon" else 1e-6
    for name, p in model.named_parameters():
        assert torch.allclose(parameters[name][0], p, atol=tolerance), name


@pytest.mark.parametrize("optimizer", ["lion", "adamw", "sgd", "normsgd"])
def test_a_run_of_the_fleet_is_the_run_of_the_ordinary_loop(optimizer):
    lr, steps = 0.01, 6
    fleet, models = fleet_of(optimizer, "linear 50%", lr, steps)
    for step in range(steps):
        fleet.update(torch.stack([windows(10 + step), windows(20 + step)]))
    model = models[1]
    single = build_optimizer(optimizer, model, lr=lr / 2, weight_decay=0.1)
    for step in range(steps):
        for group in single.param_groups:
            group["lr"] = lr / 2 * fleet.replicas[1].factors[step]
        loss = token_loss(model, windows(20 + step))
        assert fleet.replicas[1].losses[step] == pytest.approx(loss.item(), rel=1e-4)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        single.step()
        single.zero_grad()
    assert fleet.replicas[1].factors[:3] == pytest.approx([1 / 3, 2 / 3, 1.0])


@pytest.mark.parametrize(("optimizer", "lr"), [("lion", 0.05), ("adamw", 0.05), ("normsgd", 1.0)])
def test_the_measured_start_is_that_of_calibrate(optimizer, lr):
    fleet, models = fleet_of(optimizer, "flat", lr)
    batch = torch.stack([windows(0), windows(1)])
    fleet.update(batch)
    for k, (model, rate) in enumerate(zip(models, (lr, lr / 2), strict=True)):
        single = build_optimizer(optimizer, model, lr=rate, weight_decay=0.1)
        token_loss(model, batch[k]).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        start = measure_start([single], [[rate] * 2], lambda m=model, k=k: token_loss(m, batch[k]))
        assert fleet.replicas[k].start == pytest.approx(start.fraction, rel=0.02)
        assert fleet.replicas[k].start < 1


def test_extra_passes_are_paid_for_in_updates():
    fleet, _ = fleet_of("lion", "flat", 0.05, steps=40)
    batch = torch.stack([windows(0), windows(1)])
    while fleet.step < 40:
        fleet.update(batch)
    replica = fleet.replicas[0]
    # 11 probes and a backward pass with its forward make 14 forwards, which are 5 updates.
    assert (replica.extra_forwards, replica.updates, len(replica.losses)) == (14, 35, 35)


def test_a_replica_that_diverges_leaves_the_others_alone():
    fleet, _ = fleet_of("sgd", "none", 0.01, steps=12)
    alone, _ = fleet_of("sgd", "none", 0.01, steps=12)
    fleet.replicas[0].lr = 1e30
    batch = torch.stack([windows(0), windows(1)])
    for _ in range(12):
        fleet.update(batch)
        alone.update(batch)
    assert fleet.replicas[0].diverged_at is not None
    assert fleet.replicas[1].diverged_at is None
    assert fleet.replicas[1].losses == pytest.approx(alone.replicas[1].losses, rel=1e-6)
