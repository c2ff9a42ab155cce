"""Each preset, step by step, beside an implementation that people trust."""

from __future__ import annotations

import copy
from collections.abc import Callable

import lion_pytorch
import pytest
import torch
from torch import nn

from autowarmup.norms import Lion, Muon, NormalizedSGD, SignSGD, Signum, assign

STEPS = 25


class Net(nn.Module):
    """An embedding, square, tall and wide matrices, vectors and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(11, 16)
        self.square = nn.Linear(16, 16)
        self.twin = nn.Linear(16, 16)
        self.up = nn.Linear(16, 40, bias=False)
        self.norm = nn.LayerNorm(40)
        self.down = nn.Linear(40, 16, bias=False)
        self.head = nn.Linear(16, 11)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.embed(tokens)
        x = x + torch.tanh(self.twin(self.square(x)))
        x = x + self.down(self.norm(self.up(x)).relu())
        return self.head(x)


def pair() -> tuple[Net, Net]:
    torch.manual_seed(0)
    net = Net()
    return net, copy.deepcopy(net)


def loss_of(net: nn.Module, step: int) -> torch.Tensor:
    tokens = torch.randint(0, 11, (8, 6), generator=torch.Generator().manual_seed(step))
    return nn.functional.cross_entropy(net(tokens).flatten(0, 1), tokens.roll(1, 1).flatten())


def walk(
    ours: nn.Module, theirs: nn.Module, step_ours: Callable, step_theirs: Callable, tolerance: float
) -> float:
    """Step both on their own gradients; return how far they moved; fail where they part."""
    start = [p.detach().clone() for p in ours.parameters()]
    for step in range(STEPS):
        for net, move in ((ours, step_ours), (theirs, step_theirs)):
            net.zero_grad()
            loss_of(net, step).backward()
            move(step)
        for (name, p), q in zip(ours.named_parameters(), theirs.parameters(), strict=True):
            torch.testing.assert_close(
                p, q, rtol=0, atol=tolerance, msg=lambda m, n=name, s=step: f"{n}, step {s}: {m}"
            )
    return max((p - q).abs().max().item() for p, q in zip(ours.parameters(), start, strict=True))


@pytest.mark.parametrize("nesterov", [True, False])
@pytest.mark.parametrize("scale", ["match_rms_adamw", "original"])
def test_muon_is_torch_muon_and_torch_adamw(nesterov: bool, scale: str) -> None:
    ours, theirs = pair()
    mine = Muon(
        ours, lr=2e-3, adamw_lr=1e-3, nesterov=nesterov, scale=scale, adamw_betas=(0.8, 0.99)
    )
    groups = assign(theirs)
    muon = torch.optim.Muon(
        [p for _, p in groups["spectral"]], lr=2e-3, nesterov=nesterov, adjust_lr_fn=scale
    )
    adamw = torch.optim.AdamW(
        [p for _, p in groups["adamw"]], lr=1e-3, betas=(0.8, 0.99), weight_decay=0.1
    )
    # Measured: the two part by at most 4e-4 (rounding, amplified by the training itself) while the
    # weights move by 0.013 to 0.033.
    moved = walk(ours, theirs, lambda _: mine.step(), lambda _: (muon.step(), adamw.step()), 1e-3)
    assert moved > 0.015


def test_muon_on_the_same_gradients_stays_within_bfloat16_of_torch() -> None:
    generator = torch.Generator().manual_seed(0)
    shapes = [(24, 24), (24, 24), (60, 24), (24, 60)]
    ours = [nn.Parameter(torch.randn(s, generator=generator)) for s in shapes]
    theirs = [nn.Parameter(p.detach().clone()) for p in ours]
    mine = Muon([(f"layer.{k}", p) for k, p in enumerate(ours)], lr=0.01, scale="original")
    muon = torch.optim.Muon(theirs, lr=0.01, adjust_lr_fn="original")
    for _ in range(STEPS):
        for p, q in zip(ours, theirs, strict=True):
            p.grad = torch.randn(p.shape, generator=generator)
            q.grad = p.grad.clone()
        mine.step()
        muon.step()
    for p, q in zip(ours, theirs, strict=True):
        # Measured: no difference at all (with bfloat16 instructions). What other hardware may add:
        # each step moves an entry by about 0.01 / sqrt(24), 25 times a rounding of 2 ** -8 of it.
        torch.testing.assert_close(p, q, rtol=0, atol=5e-4)


def test_training_with_long_matrices_goes_as_with_torch_muon() -> None:
    torch.manual_seed(0)
    ours = nn.Sequential(
        nn.Linear(32, 512), nn.Tanh(), nn.Linear(512, 800), nn.Tanh(), nn.Linear(800, 512),
        nn.Tanh(), nn.Linear(512, 10),
    )  # fmt: skip
    theirs = copy.deepcopy(ours)
    x, y = torch.randn(256, 32), torch.randint(0, 10, (256,))
    mine = Muon(ours, lr=4e-3)
    groups = assign(theirs)
    assert [name for name, _ in groups["spectral"]] == ["0.weight", "2.weight", "4.weight"]
    muon = torch.optim.Muon(
        [p for _, p in groups["spectral"]], lr=4e-3, adjust_lr_fn="match_rms_adamw"
    )
    adamw = torch.optim.AdamW(
        [p for _, p in groups["adamw"]], lr=4e-3, betas=(0.8, 0.999), weight_decay=0.1
    )
    curves: list[list[float]] = [[], []]
    for _ in range(16):
        for net, optimizers, curve in (
            (ours, [mine], curves[0]),
            (theirs, [muon, adamw], curves[1]),
        ):
            net.zero_grad()
            loss = nn.functional.cross_entropy(net(x), y)
            loss.backward()
            curve.append(loss.item())
            for optimizer in optimizers:
                optimizer.step()
    assert curves[0][0] == curves[1][0] > 2.2
    assert curves[1][-1] < 1.6
    # Single steps differ by up to 5 % of their length; the curves, measured, by 1.2 % at most.
    assert curves[0] == pytest.approx(curves[1], rel=0.04)


def test_the_adamw_part_is_torch_adamw_bit_for_bit() -> None:
    ours, theirs = pair()
    mine = Muon([(f"{n}.embed.weight", p) for n, p in ours.named_parameters()], lr=3e-3)
    assert [group["norm"] for group in mine.param_groups] == ["adamw"]
    adamw = torch.optim.AdamW(
        theirs.parameters(), lr=3e-3, betas=(0.8, 0.999), weight_decay=0.1, fused=True
    )
    walk(ours, theirs, lambda _: mine.step(), lambda _: adamw.step(), 0.0)


def test_lion_is_lion_pytorch_bit_for_bit() -> None:
    ours, theirs = pair()
    mine = Lion(ours.parameters(), lr=1e-3)
    lion = lion_pytorch.Lion(theirs.parameters(), lr=1e-3, betas=(0.9, 0.99), weight_decay=0.1)
    walk(ours, theirs, lambda _: mine.step(), lambda _: lion.step(), 0.0)


def test_lion_on_a_parameter_of_many_pieces() -> None:
    torch.manual_seed(0)
    x = nn.Parameter(torch.randn(700, 451))
    y = nn.Parameter(x.detach().clone())
    odd = nn.Parameter(torch.randn(451, 700).t())  # not contiguous: goes in one piece
    twin = nn.Parameter(odd.detach().clone(memory_format=torch.preserve_format))
    mine = Lion([x, odd], lr=0.01)
    lion = lion_pytorch.Lion([y, twin], lr=0.01, betas=(0.9, 0.99), weight_decay=0.1)
    for _ in range(3):
        x.grad, odd.grad = torch.randn_like(x), torch.randn_like(odd)
        y.grad, twin.grad = x.grad.clone(), odd.grad.clone()
        mine.step()
        lion.step()
    assert torch.equal(x, y)
    assert torch.equal(odd, twin)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_signum_is_the_sign_of_torch_sgd(momentum: float) -> None:
    ours, theirs = pair()
    if momentum:
        mine = Signum(ours.parameters(), lr=1e-3, momentum=momentum, weight_decay=0.1)
    else:
        mine = SignSGD(ours.parameters(), lr=1e-3, weight_decay=0.1)
    # SGD with rate -1 on a shadow at zero writes its momentum there.
    shadow = [nn.Parameter(torch.zeros_like(p)) for p in theirs.parameters()]
    sgd = torch.optim.SGD(shadow, lr=1.0, momentum=momentum)

    def step_theirs(_: int) -> None:
        for s, p in zip(shadow, theirs.parameters(), strict=True):
            s.data.zero_()
            s.grad = p.grad
        sgd.step()
        with torch.no_grad():
            for s, p in zip(shadow, theirs.parameters(), strict=True):
                p.mul_(1 - 1e-3 * 0.1).add_(s.sign(), alpha=1e-3)  # s = -momentum

    walk(ours, theirs, lambda _: mine.step(), step_theirs, 0.0)


def test_normalized_sgd_is_torch_sgd_on_normalised_averages() -> None:
    ours, theirs = pair()
    mine = NormalizedSGD(ours.parameters(), lr=0.02, momentum=0.95, weight_decay=0.1)
    averages = [torch.zeros_like(p) for p in theirs.parameters()]
    sgd = torch.optim.SGD(theirs.parameters(), lr=0.02)

    def step_theirs(_: int) -> None:
        for m, p in zip(averages, theirs.parameters(), strict=True):
            assert p.grad is not None
            m.mul_(0.95).add_(p.grad, alpha=0.05)
            p.grad = nn.functional.normalize(m.flatten(), dim=0).view_as(m) + 0.1 * p.detach()
        sgd.step()

    # Measured: 3e-7, the different order of a few float32 operations.
    moved = walk(ours, theirs, lambda _: mine.step(), step_theirs, 5e-6)
    assert moved > 0.05


@pytest.mark.parametrize("preset", [Lion, Signum, SignSGD, NormalizedSGD, Muon])
def test_every_preset_lowers_the_loss_and_says_its_norm(preset: Callable) -> None:
    net, _ = pair()
    optimizer = preset(net if preset is Muon else net.parameters(), lr=0.01)
    before = loss_of(net, 0).item()
    for step in range(STEPS):
        optimizer.zero_grad()
        loss_of(net, step).backward()
        optimizer.step()
    assert loss_of(net, 0).item() < before - 0.1
    norms = {group["norm"] for group in optimizer.param_groups}
    assert norms <= {"spectral", "linf", "frobenius", "adamw"}


def test_muon_groups_own_their_rates() -> None:
    net, _ = pair()
    rates = [g["lr"] for g in Muon(net, lr=2e-3, adamw_lr=1e-4).param_groups]
    assert rates == [2e-3, 1e-4]
    shared = torch.tensor(2e-3)
    first, second = (g["lr"] for g in Muon(net, lr=shared).param_groups)
    assert first is shared
    assert second is not shared
    assert torch.equal(first, second)
