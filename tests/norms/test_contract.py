"""What every norm promises, one row per norm."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from autowarmup.core.peak import kappa
from autowarmup.norms import Frobenius, LInf, MaxOverBlocks, Norm, Spectral

# The norm, and a block of a given 2-D shape whose dual / norm is kappa.
ROWS = [
    pytest.param(LInf(), torch.ones, id="linf"),
    pytest.param(Frobenius(), torch.ones, id="frobenius"),
    pytest.param(Spectral("exact"), torch.eye, id="spectral"),
]
NORMS = [pytest.param(row.values[0], id=row.id) for row in ROWS]
SHAPES = [(6, 6), (9, 4), (3, 8), (1, 5), (5, 1), (1, 1)]


def block(shape: tuple[int, ...], seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("shape", SHAPES)
def test_lmo_reaches_the_dual_inside_the_ball(norm: Norm, shape: tuple[int, int]) -> None:
    g = block(shape)
    u = norm.lmo(g)
    assert u.shape == g.shape
    assert u.dtype == g.dtype
    assert (g * u).sum().item() == pytest.approx(norm.dual(g).item(), rel=1e-12)
    assert norm.norm(u).item() <= 1 + 1e-12


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("shape", SHAPES)
def test_zero_gradient_gives_zero_update(norm: Norm, shape: tuple[int, int]) -> None:
    g = torch.zeros(shape)
    assert norm.norm(g) == 0
    assert norm.dual(g) == 0
    assert torch.equal(norm.lmo(g), g)
    assert all(torch.equal(u.float(), g) for u in norm.lmo_many([g, g]))


@pytest.mark.parametrize("norm", NORMS)
@settings(max_examples=60)
@given(m=st.integers(1, 7), n=st.integers(1, 7), seed=st.integers(0, 999), c=st.floats(-1e3, 1e3))
def test_homogeneity_duality_triangle(norm: Norm, m: int, n: int, seed: int, c: float) -> None:
    x, y = block((m, n), seed), block((m, n), seed + 1000)
    for size in (norm.norm, norm.dual):
        assert size(c * x).item() == pytest.approx(abs(c) * size(x).item(), rel=1e-9, abs=1e-12)
        assert size(x + y) <= (size(x) + size(y)) * (1 + 1e-12)
    assert (x * y).sum().abs() <= norm.norm(x) * norm.dual(y) * (1 + 1e-12)
    assert norm.dual(x) <= norm.kappa((m, n)) * norm.norm(x) * (1 + 1e-12)


@pytest.mark.parametrize(("norm", "extreme"), ROWS)
@pytest.mark.parametrize("shape", SHAPES)
def test_kappa_is_attained(norm: Norm, extreme, shape: tuple[int, int]) -> None:
    v = extreme(*shape, dtype=torch.float64)
    expected = norm.kappa(shape)
    assert norm.dual(v).item() / norm.norm(v).item() == pytest.approx(expected, rel=1e-12)
    assert expected == kappa(norm.name, [shape])


@pytest.mark.parametrize("norm", NORMS)
def test_many_blocks_at_once_are_the_single_ones(norm: Norm) -> None:
    blocks = [block(shape, seed) for seed, shape in enumerate([*SHAPES, *SHAPES[:3]])]
    for many, g in zip(norm.lmo_many(blocks), blocks, strict=True):
        torch.testing.assert_close(many, norm.lmo(g), rtol=1e-12, atol=1e-12)
    assert norm.lmo_many([]) == []


@pytest.mark.parametrize("norm", [LInf(), Frobenius()])
@pytest.mark.parametrize("shape", [(), (7,), (2, 3, 4), (2, 1, 3, 3)])
def test_elementwise_norms_take_any_shape(norm: Norm, shape: tuple[int, ...]) -> None:
    g = block(shape)
    u = norm.lmo(g)
    assert (g * u).sum().item() == pytest.approx(norm.dual(g).item())
    assert norm.norm(u).item() <= 1 + 1e-12


def test_normalising_a_gradient_whose_squares_underflow_does_not_blow_up() -> None:
    g = torch.full((4, 4), 1e-30)
    assert Frobenius().norm(Frobenius().lmo(g)) <= 1


@pytest.mark.parametrize("shape", [(3,), (2, 3, 4)])
def test_spectral_refuses_what_is_not_a_matrix(shape: tuple[int, ...]) -> None:
    for function in (Spectral().norm, Spectral().dual, Spectral().lmo):
        with pytest.raises(ValueError, match="expected 2-D, got shape"):
            function(torch.ones(shape))
    with pytest.raises(ValueError, match="expected"):
        Spectral().kappa(shape)


def test_spectral_refuses_an_unknown_method() -> None:
    with pytest.raises(ValueError, match=r"expected a method among .*, got 'newton'"):
        Spectral("newton")


def test_the_product_is_a_norm_too() -> None:
    norms = [LInf(), Spectral("exact"), Frobenius()]
    shapes = [(4, 3), (3, 5), (2, 2)]
    product = MaxOverBlocks(norms)
    x = [block(shape, seed) for seed, shape in enumerate(shapes)]
    y = [block(shape, seed + 9) for seed, shape in enumerate(shapes)]
    u = product.lmo(x)
    inner = sum((a * b).sum() for a, b in zip(x, u, strict=True))
    assert torch.as_tensor(inner).item() == pytest.approx(product.dual(x).item())
    assert product.norm(u).item() <= 1 + 1e-12
    assert product.norm(x) == max(n.norm(b) for n, b in zip(norms, x, strict=True))
    cross = sum((a * b).sum() for a, b in zip(x, y, strict=True))
    assert abs(torch.as_tensor(cross)) <= product.norm(x) * product.dual(y)
    assert product.kappa(shapes) == 12 + 3 + 1


def test_the_product_counts_its_blocks() -> None:
    with pytest.raises(ValueError, match="expected at least one block, got none"):
        MaxOverBlocks([])
    with pytest.raises(ValueError, match="expected 2 blocks, got 1"):
        MaxOverBlocks([LInf(), LInf()]).norm([torch.ones(2)])
