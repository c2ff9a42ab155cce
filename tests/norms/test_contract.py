"""What every norm promises, one row per norm."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from autowarmup.norms import EuclideanOverBlocks, Frobenius, LInf, MaxOverBlocks, Norm, Spectral
from autowarmup.rules.gap_law.peak import kappa

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
    for many, one in ((norm.norm_many, norm.norm), (norm.dual_many, norm.dual)):
        singles = torch.stack([one(g) for g in blocks])
        torch.testing.assert_close(many(blocks), singles, rtol=1e-12, atol=0)
        assert many([]).shape == (0,)


@pytest.mark.parametrize("norm", [*NORMS, pytest.param(Spectral(), id="fast")])
def test_values_of_many_blocks_have_float32_at_least(norm: Norm) -> None:
    x = [block((4, 6), seed).bfloat16() for seed in range(3)]
    for many in (norm.norm_many, norm.dual_many):
        assert many(x).dtype == torch.float32
        torch.testing.assert_close(many(x), many([b.float() for b in x]), rtol=1e-5, atol=0)


@pytest.mark.parametrize("norm", [LInf(), Frobenius()])
def test_sums_over_a_large_float32_block_keep_their_digits(norm: Norm) -> None:
    x = torch.randn(3000, 1500, generator=torch.Generator().manual_seed(0))
    # Measured: 4e-8. One call of torch.linalg.vector_norm is off by 5e-5 and 8e-4.
    for value in (norm.dual(x), norm.dual_many([x, x[:2]])[0], norm.dual(x.mT)):
        torch.testing.assert_close(value, norm.dual(x.double()).float(), rtol=1e-6, atol=0)


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


def test_the_product_joins_equal_norms_and_no_others() -> None:
    x = [block((4, 6), seed) for seed in range(4)]
    assert Spectral() == Spectral()
    assert Spectral() != Spectral("exact")
    assert LInf() != Frobenius()
    mixed = MaxOverBlocks([Spectral("exact"), LInf(), Spectral("exact"), Frobenius()])
    duals = [norm.dual(b) for norm, b in zip(mixed.norms, x, strict=True)]
    assert mixed.dual(x).item() == pytest.approx(math.fsum(map(float, duals)))
    assert mixed.norm(x) == max(norm.norm(b) for norm, b in zip(mixed.norms, x, strict=True))


@settings(max_examples=60)
@given(seeds=st.lists(st.integers(0, 999), min_size=1, max_size=5), c=st.floats(-1e3, 1e3))
def test_euclidean_over_blocks_is_the_norm_of_one_vector(seeds: list[int], c: float) -> None:
    norm = EuclideanOverBlocks()
    x = [block((seed % 5 + 1, seed % 3 + 1), seed) for seed in seeds]
    y = [block(tuple(b.shape), seed + 1000) for b, seed in zip(x, seeds, strict=True)]
    whole = torch.cat([b.flatten() for b in x])
    assert norm.norm(x).item() == pytest.approx(whole.norm().item(), rel=1e-12)
    assert norm.dual(x) == norm.norm(x)
    assert norm.norm([c * b for b in x]).item() == pytest.approx(
        abs(c) * norm.norm(x).item(), rel=1e-9, abs=1e-12
    )
    cross = torch.stack([(a * b).sum() for a, b in zip(x, y, strict=True)]).sum()
    assert cross.abs() <= norm.norm(x) * norm.dual(y) * (1 + 1e-12)
    u = norm.lmo(x)
    reached = torch.stack([(a * b).sum() for a, b in zip(x, u, strict=True)]).sum()
    assert reached.item() == pytest.approx(norm.dual(x).item(), rel=1e-12)
    assert norm.norm(u) <= 1 + 1e-12


def test_euclidean_over_blocks_at_its_edges() -> None:
    norm = EuclideanOverBlocks()
    zeros = [torch.zeros(2, 3), torch.zeros(())]
    assert norm.norm(zeros) == 0
    assert all(torch.equal(u, x) for u, x in zip(norm.lmo(zeros), zeros, strict=True))
    mixed = [torch.full((4,), 3.0, dtype=torch.bfloat16), torch.full((16,), 2.0)]
    assert norm.norm(mixed).item() == pytest.approx(10.0)
    assert [u.dtype for u in norm.lmo(mixed)] == [torch.bfloat16, torch.float32]
    assert norm.kappa([(2, 3), (4, 5)]) == 1.0
    for function in (norm.norm, norm.dual, norm.lmo, norm.kappa):
        with pytest.raises(ValueError, match="expected at least one block, got none"):
            function([])
