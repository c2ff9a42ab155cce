"""The largest spectral norm of many matrices, found by bounds, beside that of each."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from autowarmup.norms import Frobenius, MaxOverBlocks, Spectral, spectral_norm
from autowarmup.norms import largest as module
from autowarmup.norms.largest import largest_spectral_norm


def gaussian(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def with_values(m: int, n: int, values: torch.Tensor, seed: int = 0) -> torch.Tensor:
    u = torch.linalg.qr(gaussian(m, len(values), seed=seed))[0]
    v = torch.linalg.qr(gaussian(n, len(values), seed=seed + 1))[0]
    return (u * values.double()) @ v.mT


def truth(matrices: list[torch.Tensor]) -> float:
    return max(torch.linalg.svdvals(x.double())[0].item() for x in matrices)


CROWDED = torch.linspace(1.0, 1.0 - 1e-3, 40)
SPECTRA = {
    "flat": torch.ones(40),
    "crowded": CROWDED,
    "a tiny gap": torch.cat([torch.ones(1), torch.full((39,), 1.0 - 1e-4)]),
    "rank 1": torch.ones(1),
    "zeros": torch.zeros(2),
    "by decades": torch.logspace(0, -12, 40),
}


@pytest.mark.parametrize("name", SPECTRA)
@pytest.mark.parametrize("other", SPECTRA)
def test_any_two_spectra_of_nearly_one_size(name: str, other: str) -> None:
    for factor in (0.9, 0.9995, 1.0, 1.0005, 3.0):
        x = [
            with_values(40, 50, SPECTRA[name]).float(),
            (factor * with_values(40, 50, SPECTRA[other], seed=5)).float(),
            (0.5 * with_values(48, 60, SPECTRA[other], seed=9)).float(),
        ]
        found = largest_spectral_norm(x)
        assert found == pytest.approx(truth(x), rel=1e-5)
        assert largest_spectral_norm(x, known=0.95) == max(0.95, found)


@settings(max_examples=60)
@given(
    shapes=st.lists(st.tuples(st.integers(1, 12), st.integers(0, 9)), min_size=1, max_size=8),
    power=st.integers(-18, 18),
    seed=st.integers(0, 10**6),
)
def test_any_matrices(shapes: list[tuple[int, int]], power: int, seed: int) -> None:
    x = [
        (gaussian(m, m + more, seed=seed + k) * 10.0**power).float()
        for k, (m, more) in enumerate(shapes)
    ]
    assert largest_spectral_norm(x) == pytest.approx(truth(x), rel=1e-5)


def test_large_and_small_ones_together() -> None:
    x = [gaussian(400, 420).float(), gaussian(64, 90).float(), gaussian(400, 400, seed=3).float()]
    each = torch.stack([spectral_norm(matrix) for matrix in x])
    assert largest_spectral_norm(x) == each.max().item()
    assert largest_spectral_norm([matrix / 1e3 for matrix in x[1:]] + x[:1]) == each[0].item()


def test_what_cannot_be_the_largest_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    measured = []
    function = module.spectral_norm
    monkeypatch.setattr(
        module, "spectral_norm", lambda x: measured.append(tuple(x.shape)) or function(x)
    )
    sign = gaussian(96, 256).sign().float()  # as an AdamW step beside Muon's
    steps = [torch.linalg.qr(gaussian(96, 96, seed=k))[0].float() for k in range(9)]
    assert largest_spectral_norm([*steps, sign]) == spectral_norm(sign).item()
    assert measured == [(1, 96, 256)]
    measured.clear()
    assert largest_spectral_norm(steps, known=30.0) == 30.0
    assert not measured


@pytest.mark.parametrize("side", [12, 400])
def test_zero_and_what_is_not_finite(side: int) -> None:
    x = gaussian(side, side).float()
    assert largest_spectral_norm([torch.zeros_like(x)]) == 0.0
    assert largest_spectral_norm([x * 1e30, x]) == pytest.approx(truth([x * 1e30]), rel=1e-5)
    x[2, 1] = math.inf
    assert math.isnan(largest_spectral_norm([torch.eye(side), x]))
    assert math.isnan(largest_spectral_norm([torch.eye(side)], known=math.nan))


def test_a_model_passes_on_what_is_known() -> None:
    blocks = [gaussian(6, 9), gaussian(9, 6, seed=1), gaussian(4, 4, seed=2)]
    model = MaxOverBlocks([Spectral(), Frobenius(), Spectral()])
    expected = max(truth(blocks[::2]), blocks[1].norm().item())
    assert model.norm(blocks).item() == pytest.approx(expected, rel=1e-9)
    assert model.norm(blocks).dtype == torch.float64
    assert model.norm(blocks, known=1e3).item() == 1e3
    exact = MaxOverBlocks([Spectral("exact")] * 3)
    assert exact.norm(blocks).item() == pytest.approx(truth(blocks), rel=1e-9)
