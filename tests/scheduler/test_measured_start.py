"""The measured start against closed forms, and that it leaves no trace behind."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from lion_pytorch import Lion
from torch import nn

from autowarmup import AdaptiveWarmup, GapLaw
from autowarmup.calibrate import BISECTIONS, SMALLEST_FRACTION, largest_fractions


@pytest.mark.parametrize("curvature", [0.5, 2.0, 10.0, 80.0])
@pytest.mark.parametrize("c", [0.5, 0.7, 0.9])
def test_gradient_descent_on_a_parabola(curvature, c):
    """f = h x^2 / 2, step f lr g: ratio = 1 - f lr h / 2, so f = 2 (1 - c) / (lr h), at most 1."""
    weight = nn.Parameter(torch.tensor([3.0], dtype=torch.float64))
    scheduler = AdaptiveWarmup(torch.optim.SGD([weight], lr=1.0), 100, rule="flat")
    div = scheduler.calibrate(lambda: (0.5 * curvature * weight**2).sum(), c=c)
    assert div == pytest.approx(max(1.0, curvature / (2 * (1 - c))), rel=0.01)
    assert scheduler.div == div
    assert scheduler.get_last_lr()[0] == pytest.approx(1.0 / div)


def test_the_sign_step_on_a_quadratic():
    """u = sign(g), step f lr u: ratio = 1 - f lr <u, H u> / (2 ||g||_1)."""
    torch.manual_seed(0)
    root = torch.randn(6, 6, dtype=torch.float64)
    hessian = root @ root.T
    weight = nn.Parameter(torch.randn(6, dtype=torch.float64))
    optimizer = Lion([weight], lr=2.0, weight_decay=0.0)
    gradient = (hessian @ weight).detach()
    sign = gradient.sign()
    full = float(2.0 * sign @ hessian @ sign / (2 * gradient.abs().sum()))
    div = AdaptiveWarmup(optimizer, 100, rule="flat").calibrate(
        lambda: 0.5 * weight @ hessian @ weight
    )
    assert full > 0.3
    assert div == pytest.approx(full / 0.3, rel=0.01)


def test_no_warmup_where_none_is_needed():
    weight = nn.Parameter(torch.tensor([1.0]))
    optimizer = torch.optim.SGD([weight], lr=1e-3)
    scheduler = AdaptiveWarmup(optimizer, 100, rule="flat")
    assert scheduler.calibrate(lambda: (weight**2).sum()) == 1.0
    assert scheduler.phase == "decay"
    assert optimizer.param_groups[0]["lr"] == 1e-3
    assert len(scheduler.calibration) == 1


OPTIMIZERS = {
    "sgd": lambda ps: torch.optim.SGD(ps, lr=1.0, momentum=0.9, nesterov=True),
    "adamw": lambda ps: torch.optim.AdamW(ps, lr=0.5),
    "adamw tensor lr": lambda ps: torch.optim.AdamW(ps, lr=torch.tensor(0.5), foreach=False),
    "adagrad": lambda ps: torch.optim.Adagrad(ps, lr=0.5),
    "rmsprop": lambda ps: torch.optim.RMSprop(ps, lr=0.5, momentum=0.9),
    "lion": lambda ps: Lion(ps, lr=0.5),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("own_gradient", [False, True])
def test_everything_is_restored_bit_for_bit(name, own_gradient):
    """A run that calibrated and one that was only told its div stay the same to the last bit."""

    def run(div: float | None) -> tuple[float, list[torch.Tensor], dict]:
        torch.manual_seed(1)
        model = nn.Sequential(
            nn.Linear(5, 16), nn.BatchNorm1d(16), nn.Tanh(), nn.Dropout(0.3), nn.Linear(16, 1)
        )
        data, target = torch.randn(32, 5), torch.randn(32, 1)
        optimizer = OPTIMIZERS[name](model.parameters())
        scheduler = AdaptiveWarmup(optimizer, 20, rule=GapLaw(div=div or 100.0))

        def loss():
            return nn.functional.mse_loss(model(data), target)

        for k in range(6):
            if k == 0 and div is None and not own_gradient:
                scheduler.calibrate(loss, model=model)
                assert all(p.grad is None for p in model.parameters())
            value = loss()
            value.backward()
            if k == 0 and div is None and own_gradient:
                gradients = [copy.deepcopy(p.grad) for p in model.parameters()]
                scheduler.calibrate(loss, model=model)
                for p, g in zip(model.parameters(), gradients, strict=True):
                    assert torch.equal(p.grad, g)
            optimizer.step()
            scheduler.step(value)
            optimizer.zero_grad()
        return scheduler.div, [*model.parameters(), *model.buffers()], optimizer.state_dict()

    div, tensors, state = run(None)
    _, expected, expected_state = run(div)
    assert div > 1.0
    assert all(torch.equal(a, b) for a, b in zip(tensors, expected, strict=True))
    assert str(state) == str(expected_state)


def test_a_clipped_gradient_sets_the_step_and_the_true_gradient_the_promise():
    """With the gradient clipped to a tenth the step is ten times shorter, and so is div."""
    weight = nn.Parameter(torch.tensor([3.0], dtype=torch.float64))
    scheduler = AdaptiveWarmup(torch.optim.SGD([weight], lr=1.0), 100, rule="flat")

    def loss():
        return (40.0 * weight**2).sum()

    loss().backward()
    weight.grad *= 0.1
    assert scheduler.calibrate(loss) == pytest.approx(80 * 0.1 / 0.6, rel=0.01)


def test_a_group_added_before_calibrating_takes_part():
    first, second = (nn.Parameter(torch.tensor([3.0], dtype=torch.float64)) for _ in range(2))
    optimizer = torch.optim.SGD([first], lr=1.0)
    scheduler = AdaptiveWarmup(optimizer, 100, rule="flat")
    optimizer.add_param_group({"params": [second], "lr": 1.0})
    div = scheduler.calibrate(lambda: (5.0 * first**2 + 5.0 * second**2).sum())
    assert div == pytest.approx(10 / 0.6, rel=0.01)
    assert second.item() == 3.0


def test_dropout_noise_does_not_reach_the_ratio():
    """Every probe sees the random state of the first forward, so the ratio is a smooth number."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 64), nn.Dropout(0.5), nn.Linear(64, 1))
    data = torch.randn(16, 8)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4)
    scheduler = AdaptiveWarmup(optimizer, 10, rule="flat")
    before = torch.get_rng_state()
    scheduler.calibrate(lambda: model(data).square().mean())
    assert torch.equal(before, torch.get_rng_state())
    assert scheduler.calibration[0][1] == pytest.approx(1.0, abs=0.02)


def test_uphill_optimizers_keep_their_div_and_say_so():
    weight = nn.Parameter(torch.tensor([1.0]))
    scheduler = AdaptiveWarmup(
        torch.optim.SGD([weight], lr=0.1, maximize=True), 100, rule=GapLaw(div=7)
    )
    with pytest.warns(UserWarning, match="div stays 7"):
        assert scheduler.calibrate(lambda: (weight**2).sum()) == 7
    assert scheduler.get_last_lr()[0] == pytest.approx(0.1 / 7)


def test_a_trial_that_explodes_counts_as_too_large():
    weight = nn.Parameter(torch.tensor([1.0]))
    scheduler = AdaptiveWarmup(torch.optim.SGD([weight], lr=200.0), 100, rule="flat")
    div = scheduler.calibrate(lambda: torch.exp(weight**2).sum())
    assert scheduler.calibration[0] == (1.0, -math.inf)
    assert div > 100
    assert weight.item() == 1.0


def test_misuse_is_refused_and_nothing_moves():
    weight = nn.Parameter(torch.tensor([1.0]))
    optimizer = torch.optim.SGD([weight], lr=0.1)
    scheduler = AdaptiveWarmup(optimizer, 100, lower_bound=3.0, rule="flat")
    with pytest.raises(ValueError, match="lower_bound must lie below the first loss"):
        scheduler.calibrate(lambda: (weight**2).sum())
    with pytest.raises(ValueError, match="before backward"):
        scheduler.calibrate(lambda: 1.0)  # type: ignore[arg-type, return-value]
    with pytest.raises(ValueError, match="must be finite"):
        scheduler.calibrate(lambda: weight.sum() * math.nan)
    with pytest.raises(ValueError, match="0 <= c < 1"):
        scheduler.calibrate(lambda: (weight**2).sum(), c=1.0)
    assert weight.item() == 1.0
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.1 / 100)
    weight.grad = torch.ones(1)
    optimizer.step()
    with pytest.raises(ValueError, match="before it"):
        scheduler.calibrate(lambda: (weight**2).sum())


def test_many_runs_bisect_side_by_side_as_each_alone():
    limits = [2.0, 1.0, 0.4, 0.013, 1e-3, 1e-5]
    calls = []

    def small_enough(fractions):
        calls.append(fractions)
        return [f <= limit for f, limit in zip(fractions, limits, strict=True)]

    found = largest_fractions(small_enough, len(limits))
    assert len(calls) == 1 + BISECTIONS
    for limit, fraction in zip(limits, found, strict=True):
        assert largest_fractions(lambda tried, limit=limit: [tried[0] <= limit]) == [fraction]
        assert fraction == pytest.approx(min(1.0, max(limit, SMALLEST_FRACTION)), rel=0.007)
    assert found[:2] == [1.0, 1.0]
    assert largest_fractions(lambda tried: calls.clear() or [True] * len(tried), 3) == [1.0] * 3
    assert calls == []
