"""Where weight, gradient and state lie in memory changes no number."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from autowarmup.norms import Lion, LMOOptimizer, Muon, NormalizedSGD, SignSGD, Signum

# A vector, matrices of all proportions, a kernel, one of several cache-sized pieces.
SHAPES = [(7,), (6, 6), (5, 12), (12, 5), (4, 3, 2, 2), (370, 410)]
UNTOUCHED = 7.0
OPTIMIZERS: dict[str, Callable[[list[nn.Parameter]], LMOOptimizer]] = {
    "lion": lambda params: Lion(params, lr=0.02),
    "signum": lambda params: Signum(params, lr=0.02),
    "signsgd": lambda params: SignSGD(params, lr=0.02),
    "normalized": lambda params: NormalizedSGD(params, lr=0.02),
    "muon": lambda params: Muon([(f"layer.{k}", p) for k, p in enumerate(params)], lr=0.02),
    "adamw": lambda params: LMOOptimizer(params, lr=0.02, norm="adamw", weight_decay=0.1),
}


def contiguous(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
    return x.clone(memory_format=torch.contiguous_format), None


def transposed(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
    order = list(reversed(range(x.ndim)))
    return x.permute(order).contiguous().permute(order), None


def channels_last(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
    return (x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x.clone()), None


def column(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Every second number of a larger tensor; the others must stay as they are."""
    base = torch.full((*x.shape, 2), UNTOUCHED, dtype=x.dtype)
    base[..., 0].copy_(x)
    return base[..., 0], base[..., 1]


def flat_buffer(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
    base = torch.full((x.numel() + 5,), UNTOUCHED, dtype=x.dtype)
    inside = base[3 : 3 + x.numel()].view(x.shape)
    inside.copy_(x)
    return inside, torch.cat([base[:3], base[-2:]])


LAYOUTS = [contiguous, transposed, channels_last, column, flat_buffer]


def draw(shape: tuple[int, ...], seed: int, dtype: torch.dtype) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def run(name: str, dtype: torch.dtype, weight, grad, state) -> list[torch.Tensor]:
    """Take four steps, with the state loaded in another layout in the middle of them."""
    laid = [weight(draw(shape, k, dtype)) for k, shape in enumerate(SHAPES)]
    params = [nn.Parameter(x) for x, _ in laid]
    optimizer = OPTIMIZERS[name](params)
    for step in range(4):
        for k, p in enumerate(params):
            p.grad = grad(draw(tuple(p.shape), 100 * step + k + 50, dtype))[0]
        optimizer.step()
        if step == 1:
            saved = copy.deepcopy(optimizer.state_dict())
            for held in saved["state"].values():
                for key, value in held.items():
                    held[key] = value if key == "step" else state(value)[0]
            optimizer.load_state_dict(saved)
    for p, (_, rest) in zip(params, laid, strict=True):
        assert not p.grad_fn
        assert rest is None or bool((rest == UNTOUCHED).all())
    return [p.detach().contiguous() for p in params]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", OPTIMIZERS)
@settings(max_examples=12)
@given(layouts=st.tuples(*[st.sampled_from(LAYOUTS)] * 3))
def test_no_layout_changes_a_number(name: str, dtype: torch.dtype, layouts: tuple) -> None:
    plain = run(name, dtype, contiguous, contiguous, contiguous)
    for x, y in zip(run(name, dtype, *layouts), plain, strict=True):
        assert torch.equal(x, y)


@pytest.mark.parametrize("name", ["lion", "signum", "normalized", "muon", "adamw"])
def test_a_state_and_a_gradient_that_are_one_number_expanded(name: str) -> None:
    ends = []
    for expand in (True, False):
        params = [nn.Parameter(draw(shape, k, torch.float32)) for k, shape in enumerate(SHAPES)]
        optimizer = OPTIMIZERS[name](params)
        for p in params:
            ones = torch.full((1,) * p.ndim, 0.5).expand(p.shape)
            p.grad = ones if expand else ones.contiguous()
        optimizer.step()
        saved = copy.deepcopy(optimizer.state_dict())
        for held in saved["state"].values():
            for key in held.keys() - {"step"}:
                ones = torch.full((1,) * held[key].ndim, 0.25).expand(held[key].shape)
                held[key] = ones if expand else ones.contiguous()
        optimizer.load_state_dict(saved)
        optimizer.step()
        ends.append([p.detach() for p in params])
    assert all(torch.equal(p, q) for p, q in zip(*ends, strict=True))


def test_adamw_on_a_column_moves_that_column() -> None:
    base = torch.zeros(4, 2)
    p = nn.Parameter(base[:, 0])
    p.grad = torch.ones(4)
    Muon([("b", p)], lr=0.1, weight_decay=0.0).step()
    torch.testing.assert_close(base, torch.tensor([[-0.1, 0.0]] * 4))


def test_an_expanded_weight_is_refused() -> None:
    weight = nn.Parameter(torch.zeros(1).expand(4))
    with pytest.raises(ValueError, match="entries with memory of their own, got number 0 expanded"):
        Lion([weight])
