"""The one optimizer: momentum styles, state, rates, refusals."""

from __future__ import annotations

import copy
import io
from typing import Any

import pytest
import torch
from torch import nn

from autowarmup.norms import Lion, LMOOptimizer, Muon, moves

STYLES = ["none", "heavy_ball", "ema", "nesterov", "lion"]


def matrices(seed: int = 0) -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(seed)
    shapes = [(6, 6), (6, 6), (5, 12), (12, 5)]
    return [nn.Parameter(torch.randn(s, generator=generator)) for s in shapes]


def set_gradients(params: list[nn.Parameter], step: int) -> None:
    generator = torch.Generator().manual_seed(1000 + step)
    for p in params:
        p.grad = torch.randn(p.shape, generator=generator).to(p.dtype)


def mixed(params: list[nn.Parameter], **settings: Any) -> LMOOptimizer:
    """Build one optimizer with all four norms in it."""
    norms = ["spectral", "linf", "frobenius", "adamw"]
    groups = [{"params": [p], "norm": n} for p, n in zip(params, norms, strict=True)]
    return LMOOptimizer(groups, lr=0.02, weight_decay=0.1, **settings)


@pytest.mark.parametrize("style", STYLES)
def test_momentum_styles_by_their_formulas(style: str) -> None:
    x = nn.Parameter(torch.zeros(3, dtype=torch.float64))
    optimizer = LMOOptimizer(
        [x], lr=1.0, norm="frobenius", momentum=0.9, momentum_style=style, betas=(0.8, 0.95)
    )
    m = torch.zeros(3, dtype=torch.float64)
    for step in range(6):
        g = torch.randn(3, generator=torch.Generator().manual_seed(step), dtype=torch.float64)
        if style == "none":
            d = g
        elif style == "heavy_ball":
            m = 0.9 * m + g
            d = m
        elif style == "ema":
            m = 0.9 * m + 0.1 * g
            d = m
        elif style == "nesterov":
            m = 0.9 * m + 0.1 * g
            d = 0.9 * m + 0.1 * g
        else:
            d = 0.8 * m + 0.2 * g
            m = 0.95 * m + 0.05 * g
        before, x.grad = x.detach().clone(), g
        optimizer.step()
        torch.testing.assert_close(x.detach(), before - d / d.norm())


@pytest.mark.parametrize(
    ("scale", "shape", "factor"),
    [
        ("none", (8, 2), 1.0),
        ("match_rms_adamw", (8, 2), 0.2 * 8**0.5),
        ("match_rms_adamw", (2, 8), 0.2 * 8**0.5),
        ("original", (8, 2), 2.0),
        ("original", (2, 8), 1.0),
    ],
)
def test_scales(scale: str, shape: tuple[int, int], factor: float) -> None:
    x = nn.Parameter(torch.zeros(shape))
    x.grad = torch.eye(*shape)
    optimizer = LMOOptimizer(
        [x], lr=0.5, norm="spectral", scale=scale, method="exact", momentum_style="none"
    )
    optimizer.step()
    torch.testing.assert_close(x.detach(), -0.5 * factor * torch.eye(*shape))


@pytest.mark.parametrize("norm", ["spectral", "linf", "frobenius"])
def test_a_zero_gradient_only_decays(norm: str) -> None:
    x = nn.Parameter(torch.ones(4, 3))
    x.grad = torch.zeros(4, 3)
    LMOOptimizer([x], lr=0.5, norm=norm, weight_decay=0.2).step()
    torch.testing.assert_close(x.detach(), torch.full((4, 3), 0.9))


@pytest.mark.parametrize("style", STYLES)
def test_stopping_and_resuming_changes_no_bit(style: str) -> None:
    straight, stopped = matrices(), matrices()
    one, two = (mixed(p, momentum_style=style) for p in (straight, stopped))
    for step in range(8):
        if step == 4:
            file = io.BytesIO()
            torch.save(two.state_dict(), file)
            file.seek(0)
            saved = torch.load(file, weights_only=True)
            kept = copy.deepcopy(saved)
            two = mixed(stopped, momentum_style=style)
            two.load_state_dict(saved)
            assert str(saved) == str(kept)
        for params, optimizer in ((straight, one), (stopped, two)):
            set_gradients(params, step)
            optimizer.step()
    assert all(torch.equal(p, q) for p, q in zip(straight, stopped, strict=True))
    for state in one.state_dict()["state"].values():
        assert all(isinstance(value, torch.Tensor) for value in state.values())


def test_a_tensor_rate_is_read_and_kept() -> None:
    lr = torch.tensor(0.25)
    x = nn.Parameter(torch.zeros(2))
    optimizer = Lion([x], lr=lr, weight_decay=0.0)
    x.grad = torch.ones(2)
    optimizer.step()
    lr.fill_(0.5)
    optimizer.step()
    assert x.tolist() == [-0.75, -0.75]
    assert optimizer.param_groups[0]["lr"] is lr


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_rate_that_stays_on_its_device_moves_as_far(
    dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a step does with a rate on an accelerator, here on the CPU."""
    ends = []
    for on_device in (False, True):
        params = [nn.Parameter(p.detach().to(dtype)) for p in matrices()]
        optimizer = mixed(params)
        if on_device:
            monkeypatch.setattr(moves, "rate_of", lambda group, rows: torch.tensor(group["lr"]))
        for step in range(3):
            set_gradients(params, step)
            optimizer.step()
        ends.append(params)
    for p, q in zip(*ends, strict=True):
        torch.testing.assert_close(p, q, rtol=0, atol=1e-6 if dtype == torch.float32 else 1e-2)


def test_the_closure_runs_with_gradients_and_its_loss_comes_back() -> None:
    x = nn.Parameter(torch.tensor([3.0]))
    optimizer = Lion([x], lr=1.0, weight_decay=0.0)

    def closure() -> float:
        optimizer.zero_grad()
        loss = (x**2).sum()
        loss.backward()
        return loss.item()

    assert optimizer.step(closure) == 9.0
    assert x.item() == 2.0


def test_parameters_without_gradient_are_left_alone() -> None:
    params = matrices()
    before = [p.detach().clone() for p in params]
    optimizer = mixed(params)
    optimizer.step()
    assert all(torch.equal(p, q) for p, q in zip(params, before, strict=True))
    assert not optimizer.state


@pytest.mark.parametrize("norm", ["spectral", "linf", "frobenius", "adamw"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_parameters_with_nothing_in_them(norm: str, dtype: torch.dtype) -> None:
    params = [nn.Parameter(torch.zeros(s, dtype=dtype)) for s in [(0, 3), (3, 0), (2, 3)]]
    for p in params:
        p.grad = torch.ones_like(p)
    LMOOptimizer(params, lr=0.1, norm=norm).step()
    assert bool((params[2] != 0).all())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_other_dtypes(dtype: torch.dtype) -> None:
    params = [nn.Parameter(p.detach().to(dtype)) for p in matrices()]
    before = [p.detach().clone() for p in params]
    optimizer = mixed(params)
    set_gradients(params, 0)
    optimizer.step()
    for p, q in zip(params, before, strict=True):
        assert p.dtype == dtype
        assert p.isfinite().all()
        assert not torch.equal(p, q)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lr": -1.0}, "lr: expected a finite number >= 0, got -1.0"),
        ({"lr": float("nan")}, "lr: expected a finite number >= 0, got nan"),
        ({"lr": "fast"}, "lr: expected a finite number >= 0, got 'fast'"),
        ({"lr": torch.ones(2)}, r"lr: expected a 1-element tensor, got shape \(2,\)"),
        ({"weight_decay": -0.1}, "weight_decay: expected a finite number >= 0, got -0.1"),
        ({"momentum": 1.0}, r"momentum: expected a number in \[0, 1\), got 1.0"),
        ({"betas": (0.9, 1.5)}, r"betas: expected a number in \[0, 1\), got 1.5"),
        ({"betas": 0.9}, "betas: expected two numbers, got 0.9"),
        ({"eps": -1e-8}, "eps: expected a finite number >= 0, got -1e-08"),
        ({"norm": "l2"}, "norm: expected one of spectral, .*, got 'l2'"),
        ({"momentum_style": "fast"}, "momentum_style: expected one of none, .*, got 'fast'"),
        ({"scale": "big"}, "scale: expected one of none, .*, got 'big'"),
        (
            {"method": "qr"},
            "method: expected one of newton_schulz, polar_express, three_steps, exact, got .qr.",
        ),
        ({"ns_steps": 0}, "ns_steps: expected a whole number from 1 to 99, got 0"),
        ({"ns_steps": 2.5}, "ns_steps: expected a whole number from 1 to 99, got 2.5"),
        ({"scale": "original", "norm": "linf"}, "scale: expected 'none' with norm 'linf'"),
    ],
)
def test_bad_settings(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LMOOptimizer([nn.Parameter(torch.ones(2, 2))], **settings)


def test_bad_parameters_and_gradients() -> None:
    vector = nn.Parameter(torch.ones(3))
    with pytest.raises(ValueError, match=r"expected 2-D, got number 0 of shape \(3,\)"):
        LMOOptimizer([vector], norm="spectral")
    with pytest.raises(ValueError, match=r"expected 2-D, got bias of shape \(3,\)"):
        LMOOptimizer([("bias", vector)], norm="spectral")
    with pytest.raises(ValueError, match="expected real parameters, got number 0 of dtype"):
        Lion([nn.Parameter(torch.ones(2, dtype=torch.complex64))])
    embedding = nn.Embedding(5, 2, sparse=True)
    embedding(torch.tensor([1])).sum().backward()
    for optimizer in (Lion(embedding.parameters()), Muon(embedding)):
        with pytest.raises(ValueError, match=r"expected dense gradients, got a sparse one .*5, 2"):
            optimizer.step()


def test_a_refused_group_leaves_no_trace() -> None:
    optimizer = LMOOptimizer([nn.Parameter(torch.ones(2, 2))], norm="spectral")
    vector = nn.Parameter(torch.ones(3))
    with pytest.raises(ValueError, match="expected 2-D"):
        optimizer.add_param_group({"params": [vector]})
    optimizer.add_param_group({"params": [vector], "norm": "linf"})
    assert [group["norm"] for group in optimizer.param_groups] == ["spectral", "linf"]
