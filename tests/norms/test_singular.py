"""Nuclear and spectral norms without an SVD, beside the SVD."""

from __future__ import annotations

import functools
import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from autowarmup.norms import MaxOverBlocks, Spectral, gram, nuclear_norm, spectral_norm

FAST = [(nuclear_norm, "gram"), (spectral_norm, "lanczos")]
EXACT = [(nuclear_norm, "svd"), (spectral_norm, "svd")]
# Both sides of FLOAT32_FROM; tall, wide, square; the last one long enough to be folded.
SHAPES = [(96, 96), (256, 96), (96, 256), (400, 400), (900, 400), (400, 1100), (3500, 400)]
COUNT = 400


@functools.cache
def orthonormal(m: int, n: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.linalg.qr(torch.randn(m, n, generator=generator, dtype=torch.float64))[0]


def matrix_of(values: torch.Tensor, m: int, n: int, dtype=torch.float32) -> torch.Tensor:
    """Return a matrix with these singular values and random singular vectors."""
    u, v = orthonormal(m, len(values), 1), orthonormal(n, len(values), 2)
    return ((u * values) @ v.mT).to(dtype)


def decades(below: float, count: int = COUNT) -> torch.Tensor:
    return torch.logspace(0, -below, count, dtype=torch.float64)


def gaussian(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def ones(count: int) -> torch.Tensor:
    return torch.ones(count, dtype=torch.float64)


SPECTRA = {
    "exponential to 1e-2": decades(2),
    "exponential to 1e-6": decades(6),
    "exponential to 1e-10": decades(10),
    "rank 1": ones(1),
    "rank 150": ones(150),
    "few huge, many tiny": torch.cat([1e4 * ones(5), ones(COUNT - 5)]),
    "40 huge, many tiny": torch.cat([1e6 * ones(40), ones(COUNT - 40)]),
    "one over i": 1 / torch.arange(1.0, COUNT + 1, dtype=torch.float64),
    "one over i squared": torch.arange(1.0, COUNT + 1, dtype=torch.float64) ** -2,
    "flat": ones(COUNT),
    "crowded at the top": torch.linspace(1, 0.9, COUNT, dtype=torch.float64),
    "two levels below": torch.cat([ones(20), 1e-2 * ones(100), 1e-4 * ones(COUNT - 120)]),
}


def singular_values(x: torch.Tensor) -> torch.Tensor:
    return torch.linalg.svdvals(x.double())


def check(x: torch.Tensor, values: torch.Tensor, rtol: float) -> None:
    """Compare both fast norms of a matrix with the singular values that it has."""
    for (function, method), truth in zip(FAST, (values.sum(), values.amax()), strict=True):
        assert function(x, method).double().item() == pytest.approx(truth.item(), rel=rtol), method


@pytest.mark.parametrize("shape", SHAPES)
def test_gaussian_matrices(shape: tuple[int, int]) -> None:
    x = gaussian(*shape)
    check(x, singular_values(x), 1e-4)  # measured: gram 6e-8, lanczos 4e-7


@pytest.mark.parametrize("shape", [(COUNT, COUNT), (COUNT, 3600)])
@pytest.mark.parametrize("name", SPECTRA)
def test_any_spectrum(shape: tuple[int, int], name: str) -> None:
    # Measured: gram 1.4e-4 (rank 150, 400 x 3600), lanczos 2e-5. Rounding the matrix to float32
    # moves the sum of its singular values by less than 1e-6.
    check(matrix_of(SPECTRA[name], *shape), SPECTRA[name], 1e-3)


@pytest.mark.parametrize("name", SPECTRA)
def test_any_spectrum_of_small_matrices(name: str) -> None:
    values = SPECTRA[name][torch.linspace(0, len(SPECTRA[name]) - 1, 96).long().unique()]
    x = matrix_of(values, 96, 256)
    check(x, singular_values(x), 1e-5)


def test_the_float64_road_is_taken_where_float32_is_not_enough(monkeypatch) -> None:
    roads = []
    slow = gram._nuclear_float64
    monkeypatch.setattr(gram, "_nuclear_float64", lambda x: roads.append(1) or slow(x))
    nuclear_norm(matrix_of(decades(10, 768), 768, 768))
    assert roads == [1]
    nuclear_norm(matrix_of(SPECTRA["one over i squared"], COUNT, COUNT))
    nuclear_norm(gaussian(COUNT, COUNT))
    assert roads == [1]


@pytest.mark.parametrize(("function", "method"), [*FAST, *EXACT])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
@pytest.mark.parametrize("shape", [(2, 3, 20, 48), (3, 48, 20), (400, 450), (1, 1), (7, 1)])
def test_stacks_and_dtypes(function, method: str, dtype: torch.dtype, shape) -> None:
    x = gaussian(*shape).to(dtype)
    before = x.clone()
    result = function(x, method)
    assert result.shape == shape[:-2]
    assert result.dtype == torch.promote_types(dtype, torch.float32)
    torch.testing.assert_close(
        result.double(), function(x.double(), "svd").double(), rtol=1e-4, atol=0
    )
    assert torch.equal(x, before)


@pytest.mark.parametrize(("function", "method"), [*FAST, *EXACT])
@pytest.mark.parametrize("side", [12, 400])
def test_zero_and_what_is_not_finite(function, method: str, side: int) -> None:
    good = gaussian(side, side + 5)
    bad = good.clone()
    bad[3, 4] = math.nan
    worse = good.clone()
    worse[0, 0] = -math.inf
    result = function(torch.stack([good, bad, torch.zeros_like(good), worse]), method)
    assert result[0] == function(good, method)
    assert result.isnan().tolist() == [False, True, False, True]
    assert result[2] == 0
    assert function(good[:0], method) == 0


@pytest.mark.parametrize(("function", "method"), FAST)
@pytest.mark.parametrize("side", [12, 400])
@pytest.mark.parametrize("size", [1e-35, 1e-13, 1e-6, 1e13, 1e33])
def test_any_size(function, method: str, side: int, size: float) -> None:
    x = gaussian(side, side)
    scaled = function(x * size, method).double() / size
    torch.testing.assert_close(scaled, function(x, method).double(), rtol=1e-5, atol=0)


def test_the_same_every_time_and_the_random_state_is_left_alone() -> None:
    x = matrix_of(SPECTRA["one over i"], COUNT, COUNT)
    state = torch.get_rng_state()
    first = nuclear_norm(x), spectral_norm(x)
    assert (nuclear_norm(x), spectral_norm(x)) == first
    assert torch.equal(torch.get_rng_state(), state)


def test_wrong_input_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a method among gram, svd, got 'lu'"):
        nuclear_norm(torch.ones(2, 2), "lu")
    with pytest.raises(ValueError, match=r"expected a matrix or .*, got shape \(3,\)"):
        spectral_norm(torch.ones(3))


@settings(max_examples=80)
@given(
    m=st.integers(1, 30),
    n=st.integers(1, 30),
    decay=st.floats(0, 8),
    power=st.integers(-20, 20),
    seed=st.integers(0, 10**6),
)
def test_fast_and_reference_agree(m: int, n: int, decay: float, power: int, seed: int) -> None:
    x = matrix_of(decades(decay, min(m, n)), m, n, torch.float64) * 10.0**power
    x = (x * (1 + gaussian(m, n, seed=seed))).float()
    for function, method in FAST:
        torch.testing.assert_close(function(x, method), function(x, "svd"), rtol=1e-5, atol=0)


@settings(max_examples=80)
@given(m=st.integers(1, 30), n=st.integers(1, 30), rank=st.integers(1, 30), seed=st.integers(0, 99))
def test_duality_and_order(m: int, n: int, rank: int, seed: int) -> None:
    x = gaussian(m, rank, seed=seed) @ gaussian(rank, n, seed=seed + 1)
    y = gaussian(m, n, seed=seed + 2)
    largest, total = spectral_norm(x), nuclear_norm(x)
    frobenius = torch.linalg.vector_norm(x)
    slack = 1 + 1e-5
    assert (x * y).sum().abs() <= nuclear_norm(x) * spectral_norm(y) * slack
    assert (x * y).sum().abs() <= nuclear_norm(y) * spectral_norm(x) * slack
    assert largest <= frobenius * slack
    assert frobenius <= total * slack
    assert total <= min(m, n, rank) * largest * slack


@pytest.mark.parametrize("large", [False, True])
def test_the_norm_of_muon_walks_beside_its_reference(large: bool) -> None:
    shapes = [(24, 24), (60, 24), (24, 60), (24, 24)] + [(400, 400), (400, 900)] * large
    x = [gaussian(*shape, seed=k) for k, shape in enumerate(shapes)]
    fast, exact = Spectral(), Spectral("exact")
    for _ in range(3 if large else 6):
        x = [(a - 0.5 * fast.lmo(a) * a.norm() / min(a.shape) ** 0.5) for a in x]
        for many, one in (("norm_many", "norm"), ("dual_many", "dual")):
            reference = getattr(exact, many)(x)
            assert reference.shape == (len(x),)
            torch.testing.assert_close(getattr(fast, many)(x), reference, rtol=1e-3, atol=0)
            singles = torch.stack([getattr(fast, one)(a) for a in x])
            torch.testing.assert_close(singles, reference, rtol=1e-3, atol=0)
        model = MaxOverBlocks([fast] * len(x))
        assert model.dual(x).item() == pytest.approx(exact.dual_many(x).sum().item(), rel=1e-4)
        assert model.norm(x).item() == pytest.approx(exact.norm_many(x).max().item(), rel=1e-3)


@pytest.fixture(scope="module")
def gradients() -> list[torch.Tensor]:
    """Gradients and gradient differences of a LLaMA: singular values fall by many decades."""
    pytest.importorskip("transformers")
    from autowarmup.lab.train.model import build_model, token_loss
    from autowarmup.lab.train.recipes import recipe

    found = []
    large = replace(recipe("llama-124m"), layers=1)
    # Of the large one a square, a tall and a wide matrix: an SVD of each takes 0.3 s.
    for size, names in ((recipe("tiny-cpu"), ("",)), (large, ("q_proj", "up_proj", "down_proj"))):
        model = build_model(size, vocabulary=256, sequence_length=32, seed=0)
        generator = torch.Generator().manual_seed(0)
        windows = torch.randint(0, 256, (4, 33), generator=generator)
        rounds = []
        for _ in range(2):
            model.zero_grad()
            token_loss(model, windows).backward()
            matrices = [
                p
                for name, p in model.named_parameters()
                if p.ndim == 2 and any(each in name for each in names)
            ]
            rounds.append([p.grad.clone() for p in matrices])
            with torch.no_grad():
                for p in matrices:
                    p.sub_(p.grad.sign(), alpha=1e-3)
        found += rounds[0]
        found += [b - a for a, b in zip(*rounds, strict=True)]
    return found


def test_gradients_each_and_their_sum(gradients: list[torch.Tensor]) -> None:
    values = [singular_values(g) for g in gradients]
    exact = torch.stack([v.sum() for v in values]).float()
    fast = Spectral().dual_many(gradients)
    # Measured: at most 2e-7 with these; 4e-5 with those of a model trained for 20 steps.
    torch.testing.assert_close(fast, exact, rtol=2e-4, atol=0)
    assert fast.sum().item() == pytest.approx(exact.sum().item(), rel=1e-5)
    largest = torch.stack([v.amax() for v in values]).float()
    torch.testing.assert_close(Spectral().norm_many(gradients), largest, rtol=1e-5, atol=0)
