from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from autowarmup.lab.bench import noise_scale as module
from autowarmup.lab.bench.noise_scale import noise_scale, simple_noise_scale
from autowarmup.lab.bench.setups import Setup
from autowarmup.lab.bench.stacked import stack_parameters
from autowarmup.lab.bench.tasks import Digits


def gradients(batches: int, batch: int, noise: float, seed: int = 0) -> torch.Tensor:
    """Of f(x) = |x|^2 / 2 at (3, 4, 0, ...), each example with noise of this deviation."""
    draw = torch.Generator().manual_seed(seed)
    mean = torch.zeros(50, dtype=torch.float64)
    mean[:2] = torch.tensor([3.0, 4.0])
    examples = torch.randn(batches, batch, 50, generator=draw, dtype=torch.float64)
    return mean + noise * examples.mean(1)


@pytest.mark.parametrize("batch", [1, 8])
def test_a_quadratic_with_known_noise(batch):
    found = simple_noise_scale(gradients(400, batch, noise=2.0), batch)
    assert found["gradient_squared"] == pytest.approx(25.0, rel=0.05)
    assert found["trace"] == pytest.approx(50 * 4.0, rel=0.05)
    assert found["scale"] == pytest.approx(8.0, abs=4 * 8.0 * found["relative_error"])
    assert 0 < found["relative_error"] < 0.1


def test_no_bias_where_noise_dominates():
    """The plain square of the mean would be 25 + 200 / 20, half as large again."""
    found = [simple_noise_scale(gradients(5, 4, 2.0, seed), 4) for seed in range(400)]
    mean = sum(each["gradient_squared"] for each in found) / len(found)
    assert mean == pytest.approx(25.0, rel=0.03)
    assert sum(each["trace"] for each in found) / len(found) == pytest.approx(200.0, rel=0.03)


def test_the_error_is_the_spread_of_the_estimate():
    found = [simple_noise_scale(gradients(60, 2, 2.0, seed), 2) for seed in range(200)]
    logs = torch.tensor([each["scale"] for each in found]).log()
    said = sum(each["relative_error"] for each in found) / len(found)
    assert said == pytest.approx(float(logs.std()), rel=0.25)


def test_a_signal_that_drowns_has_no_scale():
    found = simple_noise_scale(torch.tensor([[1.0], [-1.0]]), 1)
    assert found["gradient_squared"] == -1.0
    assert (found["scale"], found["relative_error"]) == (None, None)


def test_gradients_are_those_of_the_batches_after_training(monkeypatch):
    monkeypatch.setattr(module, "BATCHES", 32)
    task = Digits(Setup("lion", 0.0, model="digits", batch=4, steps=20))
    model = task.model(0)
    found, loss = module.gradients_at(stack_parameters([model]), task, 3, 20)
    assert found.shape == (32, sum(p.numel() for p in model.parameters()))
    parameters = {key: p.requires_grad_() for key, p in stack_parameters([model]).items()}
    losses = [task.losses(parameters, task.batch(3, 20 + k).unsqueeze(0)) for k in range(32)]
    own = torch.autograd.grad(losses[17].sum(), list(parameters.values()))
    assert torch.allclose(found[17], torch.cat([g.flatten() for g in own]), atol=1e-6)
    assert loss == pytest.approx(torch.cat(losses).mean().item(), rel=1e-5)


def test_a_run_is_measured_at_three_points(monkeypatch, tiny):
    monkeypatch.setattr(module, "BATCHES", 32)
    setup = replace(tiny, steps=20, lr=3e-3)
    found = noise_scale(setup)
    assert found == noise_scale(setup)
    assert (found["setup"], found["tokens_per_example"]) == (setup.to_dict(), 32)
    assert [point["step"] for point in found["points"]] == [2, 10, 20]
    losses = [point["loss"] for point in found["points"]]
    assert losses == sorted(losses, reverse=True)
    for point in found["points"]:
        assert point["examples"] == pytest.approx(point["trace"] / point["gradient_squared"])
        assert point["tokens"] == pytest.approx(32 * point["examples"])
        assert point["batch_over_scale"] == pytest.approx(setup.batch / point["examples"])
    pictures = noise_scale(replace(setup, model="digits"))
    assert pictures["tokens_per_example"] == 1
