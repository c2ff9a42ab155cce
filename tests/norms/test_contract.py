"""What every norm promises, one row per norm; the last one is that of docs/add-a-norm.md."""

from __future__ import annotations

import copy
import io
import math
import pickle
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from autowarmup import CurvatureObserver, Muon
from autowarmup.norms import (
    NORMS,
    EuclideanOverBlocks,
    Frobenius,
    LInf,
    LMOOptimizer,
    MaxOverBlocks,
    Norm,
    Spectral,
    norm_of,
)
from autowarmup.norms.norm import BATCH

PAGE = Path(__file__).parents[2] / "docs" / "add-a-norm.md"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
OUTSIDE: dict[str, Any] = {"__name__": "page"}
exec(compile(BLOCKS[0], PAGE.name, "exec", dont_inherit=True), OUTSIDE)
RowNorm: Any = OUTSIDE["RowNorm"]


@dataclass(frozen=True)
class Row:
    """A norm, a block of any 2-D shape whose dual / norm is kappa, and what being fast costs.

    Attributes:
        value: largest relative error of norm and dual.
        lmo: how far <g, lmo(g)> / dual(g) and norm(lmo(g)) may be from 1.
    """

    norm: Norm
    extreme: Callable[..., torch.Tensor] = torch.ones
    value: float = 1e-12
    lmo: float = 1e-12
    kappa: dict[tuple[int, ...], float] = field(default_factory=dict)


ROWS = {
    "linf": Row(LInf(), kappa={(6, 6): 36, (9, 4): 36, (3, 8): 24}),
    "frobenius": Row(Frobenius(), kappa={(6, 6): 1, (9, 4): 1, (3, 8): 1}),
    "spectral": Row(Spectral("exact"), torch.eye, kappa={(6, 6): 6, (9, 4): 4, (3, 8): 3}),
    # Five steps of Newton-Schulz leave singular values between 0.68 and 1.21. The fast norm and
    # dual of float64 blocks of this size: measured 1e-8.
    "fast spectral": Row(Spectral(dtype=torch.float64), torch.eye, 1e-6, 0.33),
    "outside": Row(RowNorm(), kappa={(6, 6): 6, (9, 4): 9, (3, 8): 3}),
}
SHAPES = [(6, 6), (9, 4), (3, 8), (1, 5), (5, 1), (1, 1)]
every_row = pytest.mark.parametrize("row", ROWS.values(), ids=list(ROWS))
every_shape = pytest.mark.parametrize("shape", SHAPES)


def block(shape: tuple[int, ...], seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def test_every_norm_by_name_has_a_row() -> None:
    assert {row.norm.name for row in ROWS.values()} == {*NORMS, "rows"}


@every_row
@every_shape
def test_lmo_reaches_the_dual_inside_the_ball(row: Row, shape: tuple[int, int]) -> None:
    g = block(shape)
    before, u = g.clone(), row.norm.lmo(g)
    assert (u.shape, u.dtype) == (g.shape, g.dtype)
    assert torch.equal(g, before)
    assert (g * u).sum().item() == pytest.approx(row.norm.dual(g).item(), rel=row.lmo)
    assert row.norm.norm(u).item() <= 1 + row.lmo


@every_row
@every_shape
def test_zero_gradient_gives_zero_update(row: Row, shape: tuple[int, int]) -> None:
    g = torch.zeros(shape)
    assert row.norm.norm(g) == 0
    assert row.norm.dual(g) == 0
    assert torch.equal(row.norm.lmo(g), g)
    assert all(torch.equal(u.float(), g) for u in row.norm.lmo_many([g, g]))


@every_row
@settings(max_examples=60)
@given(m=st.integers(1, 7), n=st.integers(1, 7), seed=st.integers(0, 999), c=st.floats(-1e3, 1e3))
def test_homogeneity_duality_triangle(row: Row, m: int, n: int, seed: int, c: float) -> None:
    norm, slack = row.norm, 1 + 3 * row.value
    x, y = block((m, n), seed), block((m, n), seed + 1000)
    for size in (norm.norm, norm.dual):
        assert size(c * x).item() == pytest.approx(
            abs(c) * size(x).item(), rel=max(1e-9, row.value), abs=1e-12
        )
        assert size(x + y) <= (size(x) + size(y)) * slack
    assert (x * y).sum().abs() <= norm.norm(x) * norm.dual(y) * slack
    assert norm.dual(x) <= norm.kappa((m, n)) * norm.norm(x) * slack
    if abs(c) > 1e-3:
        sign = math.copysign(1.0, c)
        torch.testing.assert_close(norm.lmo(c * x), sign * norm.lmo(x), rtol=1e-6, atol=1e-6)


@every_row
@every_shape
def test_kappa_is_attained(row: Row, shape: tuple[int, int]) -> None:
    v = row.extreme(*shape, dtype=torch.float64)
    expected = row.norm.kappa(shape)
    assert row.norm.dual(v).item() / row.norm.norm(v).item() == pytest.approx(
        expected, rel=row.value
    )
    assert expected == row.kappa.get(shape, expected)


@every_row
def test_many_blocks_at_once_are_the_single_ones(row: Row) -> None:
    norm = row.norm
    blocks = [block(shape, seed) for seed, shape in enumerate([*SHAPES, *SHAPES[:3]])]
    for many, g in zip(norm.lmo_many(blocks), blocks, strict=True):
        torch.testing.assert_close(many, norm.lmo(g), rtol=1e-9, atol=1e-9)
    assert norm.lmo_many([]) == []
    for many, one in ((norm.norm_many, norm.norm), (norm.dual_many, norm.dual)):
        singles = torch.stack([one(g) for g in blocks])
        torch.testing.assert_close(many(blocks), singles, rtol=row.value, atol=0)
        assert many([]).shape == (0,)
    indices = [index for batch in norm.batches(blocks) for index in batch]
    assert sorted(indices) == list(range(len(blocks)))


def test_blocks_are_handled_in_bounded_batches() -> None:
    sizes = [0, BATCH // 2, BATCH // 2, 1, 0, 3 * BATCH, 5]
    blocks = [torch.empty(size, device="meta") for size in sizes]
    assert LInf().batches(blocks) == [[0, 1, 2], [3, 4], [5], [6]]
    assert LInf().batches([]) == []


@every_row
def test_values_of_many_blocks_have_float32_at_least(row: Row) -> None:
    x = [block((4, 6), seed).bfloat16() for seed in range(3)]
    # One norm of a bfloat16 block may be rounded to its dtype; many together are added up.
    for many in (row.norm.norm_many, row.norm.dual_many):
        assert many(x).dtype == torch.float32
        rtol = 2.0**-7 if row.norm.name not in NORMS else 1e-5
        torch.testing.assert_close(many(x), many([b.float() for b in x]), rtol=rtol, atol=0)


@every_row
def test_an_optimizer_of_the_norm_moves_by_its_lmo(row: Row) -> None:
    x = nn.Parameter(block((6, 4)))
    start, x.grad = x.detach().clone(), block((6, 4), 1)
    optimizer = LMOOptimizer([x], lr=0.5, norm=row.norm, momentum_style="none", weight_decay=0.2)
    assert norm_of(optimizer, optimizer.param_groups[0]) == row.norm
    optimizer.step()
    torch.testing.assert_close(x.detach(), 0.9 * start - 0.5 * row.norm.lmo(x.grad))


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


@pytest.mark.parametrize("method", ["three_steps", "exact"])
def test_a_number_of_steps_is_refused_where_nothing_reads_it(method):
    with pytest.raises(ValueError, match=f"'{method}' takes no number of steps: .* 5, got 7"):
        Spectral(method, steps=7)
    with pytest.raises(ValueError, match="takes no number of steps"):
        Muon([("layer", torch.nn.Parameter(torch.ones(2, 2)))], method=method, ns_steps=7)


def test_the_product_is_a_norm_too() -> None:
    norms = [LInf(), Spectral("exact"), Frobenius()]
    shapes = [(4, 3), (3, 5), (2, 2)]
    product = MaxOverBlocks(norms)
    x = [block(shape, seed) for seed, shape in enumerate(shapes)]
    y = [block(shape, seed + 9) for seed, shape in enumerate(shapes)]
    u = [n.lmo(b) for n, b in zip(norms, x, strict=True)]
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


def test_euclidean_over_blocks_at_its_edges() -> None:
    norm = EuclideanOverBlocks()
    zeros = [torch.zeros(2, 3), torch.zeros(())]
    assert norm.norm(zeros) == 0
    mixed = [torch.full((4,), 3.0, dtype=torch.bfloat16), torch.full((16,), 2.0)]
    assert norm.norm(mixed).item() == pytest.approx(10.0)
    for function in (norm.norm, norm.dual):
        with pytest.raises(ValueError, match="expected at least one block, got none"):
            function([])


class Classifier(nn.Module):
    """Returns its own loss."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(10, 16)
        self.mix = nn.Linear(16, 12)
        self.head = nn.Linear(12, 10)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        return nn.functional.cross_entropy(self.head(self.mix(self.embed(batch)).tanh()), batch)


def train_as_on_the_page() -> dict[str, Any]:
    torch.manual_seed(0)
    model, loader = Classifier(), [torch.randint(0, 10, (32,)) for _ in range(60)]
    names = OUTSIDE | {"model": model, "loader": loader, "total_steps": 60}
    names["before"] = model(loader[0]).item()
    exec(compile(BLOCKS[1], PAGE.name, "exec", dont_inherit=True), names)
    return names


def test_the_norm_of_the_page_trains_and_gives_its_kappa() -> None:
    page = train_as_on_the_page()
    assert page["loss"].item() < 0.7 * page["before"]
    assert page["scheduler"].phase == "done"
    assert page["scheduler"].state.run.kappa == 10 + 12 + 10  # rows of embedding, mix and head
    spectral, rest = page["optimizer"].param_groups
    assert (spectral["norm"], spectral["param_names"]) == ("rows", ["mix.weight"])
    assert rest["norm"] == "adamw"


def test_curvature_is_measured_in_a_norm_of_ones_own() -> None:
    weight = nn.Parameter(block((6, 4)).float())
    optimizer = LMOOptimizer([weight], lr=0.1, norm=RowNorm(), momentum_style="none")

    def loss() -> torch.Tensor:
        return 0.5 * weight.square().sum()

    observer = CurvatureObserver(nn.ParameterList([weight]), optimizer, loss, every=1)
    for _ in range(3):
        optimizer.zero_grad()
        loss().backward()
        before = weight.detach().clone()
        optimizer.step()
    moved = weight.detach() - before
    K = RowNorm().dual(moved) / RowNorm().norm(moved)  # the gradient is the weight itself
    assert pytest.approx(K.item(), rel=1e-4) == observer.trace[-1].K


def test_a_norm_of_ones_own_is_saved_by_name_and_survives_copying() -> None:
    optimizer: LMOOptimizer = train_as_on_the_page()["optimizer"]
    file = io.BytesIO()
    torch.save(optimizer.state_dict(), file)
    file.seek(0)
    saved = torch.load(file, weights_only=True)
    for twin in (copy.deepcopy(optimizer), train_as_on_the_page()["optimizer"]):
        twin.load_state_dict(saved)
        assert twin.norm_of(twin.param_groups[0]) == RowNorm()
    assert pickle.loads(
        pickle.dumps(LMOOptimizer([nn.Parameter(torch.ones(2))], norm=LInf()))
    ).norms
    (weight,) = optimizer.param_groups[0]["params"]
    stranger = LMOOptimizer([{"params": group["params"]} for group in optimizer.param_groups])
    stranger.load_state_dict(saved)
    weight.grad = torch.ones_like(weight)
    with pytest.raises(ValueError, match="needs an optimizer with the norm 'rows'"):
        stranger.step()


def test_norms_that_an_optimizer_cannot_take() -> None:
    with pytest.raises(ValueError, match="the rows norm is one of matrices: expected 2-D, got"):
        LMOOptimizer([nn.Parameter(torch.ones(3))], norm=RowNorm())
    weights = [nn.Parameter(torch.ones(2, 2)) for _ in range(2)]
    norms = [Spectral(), Spectral(steps=3)]
    with pytest.raises(ValueError, match="expected one norm of the name 'spectral', got two"):
        LMOOptimizer([{"params": [p], "norm": n} for p, n in zip(weights, norms, strict=True)])
    for taken in ("linf", "adamw"):
        impostor = type("Impostor", (RowNorm,), {"name": taken})()
        with pytest.raises(ValueError, match=f"expected one norm of the name {taken!r}, got two"):
            LMOOptimizer(weights, norm=impostor)
