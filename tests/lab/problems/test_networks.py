"""The networks where something is known of them in closed form, and their data."""

from __future__ import annotations

import sys
from itertools import pairwise

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from autowarmup.lab.problems.data import Examples, digits, linear_teacher, one_hot, text_windows
from autowarmup.lab.problems.lower_bounds import squared_error
from autowarmup.lab.problems.networks import (
    BalancedNet,
    OneLayerTransformer,
    TwoLayerNet,
    vision_transformer,
)
from autowarmup.measure.hessian import hessian_extremes


def white_inputs(count: int, inputs: int) -> torch.Tensor:
    """Return x with x^T x / count = 1."""
    draw = torch.Generator().manual_seed(0)
    gaussian = torch.randn(count, inputs, generator=draw, dtype=torch.float64)
    return torch.linalg.qr(gaussian)[0] * count**0.5


@pytest.mark.parametrize("scale", [0.5, 1.0, 1.7])
@pytest.mark.parametrize("widths", [(4, 6, 3), (4, 6, 6, 3), (5, 5, 5, 5, 5)])
def test_the_hessian_of_a_balanced_linear_net_at_its_minimum(widths, scale: float) -> None:
    """White inputs, no residual, all singular values s: the norm is L s^(2 (L - 1))."""
    net = BalancedNet(widths, slope=1.0, scale=scale, seed=0)
    x = white_inputs(40, widths[0])
    y = net(x).detach()
    found = hessian_extremes(lambda: squared_error(net(x), y), net.parameters())
    layers = len(widths) - 1
    assert found.norm == pytest.approx(layers * scale ** (2 * (layers - 1)), rel=1e-4)


@pytest.mark.parametrize("t", [1.0, 10.0, 100.0])
def test_inputs_without_full_rank_have_no_gap_and_any_curvature(t: float) -> None:
    """The counterexample to the printed statement: X = diag(1, 0), Y = 0, W1 = W2 = diag(0, t).

    The sum of squares has Hessian norm 2 t^2 there; half its mean over two examples t^2 / 2.
    """
    net = BalancedNet((2, 2, 2), slope=1.0, scale=1.0, seed=0)
    with torch.no_grad():
        for weight in net.layers:
            weight.copy_(torch.diag(torch.tensor([0.0, t])))
    x, y = torch.diag(torch.tensor([1.0, 0.0])).double(), torch.zeros(2, 2).double()
    assert squared_error(net(x), y).item() == 0.0
    found = hessian_extremes(lambda: squared_error(net(x), y), net.parameters())
    assert found.norm == pytest.approx(t**2 / 2, rel=1e-6)


@pytest.mark.parametrize("slope", [1.0, 0.1])
def test_weights_are_balanced_and_depend_on_the_seed_alone(slope: float) -> None:
    net, again, other = (
        BalancedNet((7, 9, 8, 4), slope=slope, scale=1.3, seed=s) for s in (0, 0, 1)
    )
    for before, after in pairwise(net.layers):
        torch.testing.assert_close(after.T @ after, before @ before.T)
    for weight in net.layers:
        values = torch.linalg.svdvals(weight)
        torch.testing.assert_close(values[:4], torch.full((4,), 1.3, dtype=torch.float64))
        assert values[4:].abs().sum() < 1e-12
    assert all(map(torch.equal, net.parameters(), again.parameters()))
    assert not any(map(torch.equal, net.parameters(), other.parameters()))


def test_a_slope_makes_it_leaky() -> None:
    net = BalancedNet((3, 5, 2), slope=0.25, scale=1.0, seed=0)
    x = white_inputs(6, 3)
    first, second = net.layers
    hidden = x @ first.T
    expected = torch.where(hidden > 0, hidden, hidden / 4) @ second.T
    torch.testing.assert_close(net(x), expected)


def test_the_transformer_looks_back_only() -> None:
    model = OneLayerTransformer(11, 6, width=8, heads=2, seed=0)
    tokens = torch.tensor([[1, 2, 3, 4, 5, 6]])
    changed = torch.tensor([[1, 2, 3, 9, 9, 9]])
    before, after = model(tokens), model(changed)
    assert before.shape == (1, 6, 11)
    torch.testing.assert_close(before[:, :3], after[:, :3])
    assert not torch.allclose(before[:, 3:], after[:, 3:])


@pytest.mark.parametrize(
    "build",
    [
        lambda seed: TwoLayerNet((4, 5, 3), scale=1.0, seed=seed),
        lambda seed: OneLayerTransformer(11, 6, width=8, heads=2, seed=seed),
        lambda seed: vision_transformer(width=8, layers=1, heads=2, seed=seed),
    ],
)
def test_a_seed_draws_the_weights_and_nothing_else(build) -> None:
    random = torch.get_rng_state()
    model, again, other = build(0), build(0), build(1)
    assert torch.equal(torch.get_rng_state(), random)
    assert all(map(torch.equal, model.parameters(), again.parameters()))
    assert not all(map(torch.equal, model.parameters(), other.parameters()))


def test_the_vision_transformer_reads_digits_without_dropout() -> None:
    model = vision_transformer(width=8, layers=1, heads=2, seed=0)
    images = torch.randn(3, 1, 8, 8)
    logits = model(pixel_values=images).logits
    assert logits.shape == (3, 10)
    torch.testing.assert_close(logits, model(pixel_values=images).logits)
    assert not any(isinstance(m, nn.Dropout) and m.p > 0 for m in model.modules())
    loss = F.cross_entropy(logits, torch.tensor([1, 2, 3]))
    assert loss.isfinite()


def test_digits_are_centred_and_come_in_a_fixed_order() -> None:
    examples = digits()
    assert examples.x.shape == (1797, 64)
    assert examples.x.dtype == torch.float64
    assert examples.x.mean(0).abs().max() < 1e-12
    assert examples.x.std().item() == pytest.approx(1)
    assert sorted(set(examples.y.tolist())) == list(range(10))
    few = digits(40)
    assert torch.equal(few.x, examples.x[:40])
    targets = one_hot(few).y
    assert targets.shape == (40, 10)
    assert torch.equal(targets.argmax(1), few.y)
    assert torch.equal(targets.sum(1), torch.ones(40).double())


def test_the_linear_teacher_has_full_rank_and_the_noise_it_says() -> None:
    clean = linear_teacher(50, 8, 3, noise=0.0, seed=0)
    assert torch.linalg.matrix_rank(clean.x) == 8
    best = torch.linalg.lstsq(clean.x, clean.y).solution
    torch.testing.assert_close(clean.x @ best, clean.y)
    noisy = linear_teacher(5000, 8, 3, noise=0.5, seed=0)
    same = linear_teacher(5000, 8, 3, noise=0.0, seed=0)
    assert (noisy.y - same.y).std().item() == pytest.approx(0.5, rel=0.03)
    assert isinstance(noisy, Examples)


def test_text_is_bytes_of_the_standard_library() -> None:
    windows = text_windows(4, 10)
    assert windows.shape == (4, 11)
    assert windows.dtype == torch.int64
    assert 0 <= windows.min() <= windows.max() < 256
    assert torch.equal(windows, text_windows(4, 10))


@pytest.mark.parametrize(
    ("module", "call", "sentence"),
    [
        ("sklearn.datasets", digits, "scikit-learn, which is not installed; run: pip install"),
        (
            "transformers",
            lambda: vision_transformer(width=8, layers=1, heads=2, seed=0),
            "transformers, which is not installed; run: pip install",
        ),
    ],
)
def test_a_missing_package_is_one_sentence(monkeypatch, module: str, call, sentence: str) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ValueError, match=sentence):
        call()
