"""Optimizers of others: the scheduler's rate is the one that their steps use."""

from __future__ import annotations

import importlib
import warnings

import pytest
import torch
from torch import nn
from torch.optim import Optimizer

from autowarmup import AdaptiveWarmup

TORCH = ("SGD", "AdamW", "Adam", "NAdam", "RAdam", "RMSprop", "Muon", "Adafactor")
OTHERS = {
    "lion_pytorch": ("Lion",),
    "pytorch_optimizer": ("Lion", "AdamP", "Adan", "Muon"),
    "heavyball": ("AdamW", "Muon", "SGD"),
}
EVERY = [("torch.optim", name) for name in TORCH] + [
    (library, name) for library, names in OTHERS.items() for name in names
]


def library(name: str):
    """Import a peer; their own deprecations are not ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = importlib.import_module(name)
    if name == "heavyball":
        found.utils.compile_mode = None
    return found


def weight() -> nn.Parameter:
    """A matrix with a gradient, both the same each time."""
    generator = torch.Generator().manual_seed(0)
    made = nn.Parameter(torch.randn(6, 4, generator=generator))
    made.grad = torch.randn(6, 4, generator=generator)
    return made


def built(place: str, name: str, parameter: nn.Parameter, lr: float) -> Optimizer:
    group = {"params": [parameter]}
    if (place, name) == ("pytorch_optimizer", "Muon"):
        group["use_muon"] = True
    return getattr(library(place), name)([group], lr=lr)


@pytest.mark.parametrize(("place", "name"), EVERY, ids=[".".join(pair) for pair in EVERY])
def test_the_first_step_is_that_of_the_first_rate(place, name):
    scheduled, plain = weight(), weight()
    optimizer = built(place, name, scheduled, 0.1)
    scheduler = AdaptiveWarmup(optimizer, 20)
    torch.manual_seed(0)  # some round at random
    built(place, name, plain, 0.1 * scheduler.factor).step()
    torch.manual_seed(0)
    optimizer.step()
    assert torch.equal(scheduled, plain)
    assert not torch.equal(plain, weight())
    scheduler.step(5.0)
    assert scheduler.state.step == 1
    assert optimizer.param_groups[0]["lr"] == scheduler.get_last_lr()[0]


class KeepsTensor(Optimizer):
    """Signs of the gradient with a rate that stays one tensor, as optimizers of dion's make do."""

    def __init__(self, params, lr: float) -> None:
        self.rate = torch.tensor(lr)
        super().__init__(params, {"lr": self.rate})

    @torch.no_grad()
    def step(self, closure=None):
        for parameter in self.param_groups[0]["params"]:
            parameter -= self.rate * parameter.grad.sign()


def test_a_rate_that_the_optimizer_keeps_as_a_tensor_is_filled():
    parameter = weight()
    optimizer = KeepsTensor([parameter], lr=0.5)
    scheduler = AdaptiveWarmup(optimizer, 20)
    before = parameter.detach().clone()
    for loss in (5.0, 4.0, 3.0):
        rate = scheduler.get_last_lr()[0]
        optimizer.step()
        moved = (parameter.detach() - before).abs()
        assert torch.allclose(moved, torch.full_like(moved, rate), atol=1e-6)
        before = parameter.detach().clone()
        scheduler.step(loss)
    assert optimizer.param_groups[0]["lr"] is optimizer.rate


def test_an_optimizer_that_owns_its_rates_is_refused_and_what_is_inside_it_works():
    heavyball = library("heavyball")
    matrix, other = weight(), weight()
    split = heavyball.SplitOpt(
        [
            {"params": [matrix], "optimizer": heavyball.Muon, "lr": 0.1},
            {"params": [other], "optimizer": heavyball.AdamW, "lr": 0.01},
        ]
    )
    with pytest.raises(ValueError, match=r"expected an 'lr'.*got none in group 0 of SplitOpt"):
        AdaptiveWarmup(split, 20)
    scheduler = AdaptiveWarmup(split.optimizers, 20)
    split.step()
    scheduler.step(5.0)
    assert scheduler.state.step == 1
    muon, adamw = (o.param_groups[0]["lr"] for o in split.optimizers)
    assert muon == pytest.approx(10 * adamw)


def test_muon_and_adamw_as_one_object_and_as_two_have_the_same_rates():
    from autowarmup import Muon

    model = nn.ModuleDict({"hidden": nn.Linear(8, 8), "head": nn.Linear(8, 2)})
    one = Muon(model, lr=0.02)
    peaks = [group["lr"] for group in one.param_groups]
    two = [
        torch.optim.Muon([model["hidden"].weight], lr=peaks[0]),
        torch.optim.AdamW([model["head"].weight], lr=peaks[-1]),
    ]
    together, apart = AdaptiveWarmup(one, 30), AdaptiveWarmup(two, 30)
    for k in range(20):
        for parameter in model.parameters():
            parameter.grad = torch.ones_like(parameter)
        for optimizer in (one, *two):
            optimizer.step()
        for scheduler in (together, apart):
            scheduler.step(5.0 * 0.9**k)
        assert together.get_last_lr()[0] == apart.get_last_lr()[0]
        assert together.get_last_lr()[-1] == apart.get_last_lr()[-1]


def test_a_wrapper_that_calls_no_hooks_is_looked_through():
    accelerate = pytest.importorskip("accelerate")
    parameter = weight()
    inner = torch.optim.SGD([parameter], lr=0.1)
    wrapped = accelerate.Accelerator(cpu=True).prepare(inner)
    assert wrapped is not inner
    scheduler = AdaptiveWarmup(wrapped, 20)
    wrapped.step()
    scheduler.step(5.0)
    assert scheduler.state.step == 1
    assert inner.param_groups[0]["lr"] == scheduler.get_last_lr()[0]
