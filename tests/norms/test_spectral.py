"""The fast polar factor beside the exact one and beside torch's."""

from __future__ import annotations

import sys
import types

import pytest
import torch
from torch.optim import _muon

from autowarmup.norms import Muon, Spectral, newton_schulz, polar_exact
from autowarmup.norms.polar import KELLER_JORDAN

# The name of the function hides that of its file.
norms_kernels = sys.modules["autowarmup.norms.kernels"]

# Small ones, and large ones: symmetric products go by block rows (with a ragged last block), and of
# the long ones the Gram matrix is iterated.
SHAPES = [(8, 8), (32, 48), (48, 32), (40, 200), (200, 40), (640, 640), (600, 1100), (1100, 600)]


def gradient(shape: tuple[int, ...], decay: float = 0.0, seed: int = 0) -> torch.Tensor:
    """Return a Gaussian matrix, or one with singular values 1, 2^-decay, 3^-decay, ..."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(shape, generator=generator)
    if decay:
        u, _, vh = torch.linalg.svd(x, full_matrices=False)
        x = u @ torch.diag(torch.arange(1, min(shape) + 1.0) ** -decay) @ vh
    return x


def exact_polynomial(x: torch.Tensor, triples, eps: float = 1e-7) -> torch.Tensor:
    """Apply the iteration to the singular values, in float64."""
    x = x.double()
    u, s, vh = torch.linalg.svd(x / x.norm().clamp(min=eps), full_matrices=False)
    for a, b, c in triples:
        s = a * s + b * s**3 + c * s**5
    return u @ torch.diag(s) @ vh


def distance(x: torch.Tensor, y: torch.Tensor) -> float:
    return ((x.double() - y.double()).norm() / y.double().norm()).item()


@pytest.mark.parametrize("shape", SHAPES)
def test_in_float64_it_is_the_polynomial(shape: tuple[int, int]) -> None:
    x = gradient(shape)
    fast = newton_schulz(x.double(), dtype=torch.float64)
    assert distance(fast, exact_polynomial(x, [KELLER_JORDAN] * 5)) < 1e-9


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("shape", [(24, 24), (20, 90), (512, 820)])
def test_any_number_of_steps(shape: tuple[int, int], steps: int) -> None:
    x, cubic = gradient(shape).double(), (1.5, -0.5, 0.0)
    fast = newton_schulz(x, steps=steps, coefficients=cubic, dtype=torch.float64)
    assert distance(fast, exact_polynomial(x, [cubic] * steps)) < 1e-9


@pytest.mark.parametrize("decay", [0.0, 1.0, 2.0])
@pytest.mark.parametrize("shape", SHAPES)
def test_in_bfloat16_it_is_as_good_as_torch(shape: tuple[int, int], decay: float) -> None:
    # Relative Frobenius distance to the exact polynomial. One step at a time the roundings are
    # those of torch: 0.01 to 0.03 at decay 0 and 1, up to 0.22 at decay 2. Where the Gram matrix is
    # iterated (600 x 1100) it is 0.033, 0.037, 0.214 for decay 0, 1, 2 against torch's
    # 0.011, 0.037, 0.225. What matters is the distance to the polar factor, and that is equal or
    # less: 0.155, 0.216, 0.955 against 0.162, 0.217, 0.955.
    x = gradient(shape, decay)
    exact = exact_polynomial(x, [KELLER_JORDAN] * 5)
    torch_says = _muon._zeropower_via_newtonschulz(x, KELLER_JORDAN, 5, 1e-7)
    ours = newton_schulz(x)
    assert ours.dtype == torch_says.dtype == torch.bfloat16
    assert distance(ours, exact) < max(1.05 * distance(torch_says, exact), 0.04)
    polar = polar_exact(x.double())
    assert distance(ours, polar) < 1.05 * distance(torch_says, polar)
    mine, peer = (torch.linalg.svdvals(y.double()) for y in (ours, torch_says))
    assert mine.max() < max(1.02 * peer.max(), 1.205)
    assert mine.min() > 0.7 * peer.min()


@pytest.mark.parametrize("shape", [(64, 64), (30, 80), (80, 30)])
def test_against_the_svd(shape: tuple[int, int]) -> None:
    # The coefficients leave singular values anywhere in 0.68 to 1.21; measured distance to the
    # polar factor: 0.18 to 0.25.
    x = gradient(shape, decay=0.5)
    polar = polar_exact(x)
    s = torch.linalg.svdvals(newton_schulz(x).double())
    assert s.min() > 0.65
    assert s.max() < 1.22
    assert distance(newton_schulz(x), polar) < 0.27
    # Newton's cubic converges to it: what is left is rounding, measured 0.005.
    assert distance(newton_schulz(x, coefficients=(1.5, -0.5, 0.0), steps=12), polar) < 0.02


@pytest.mark.parametrize("shape", [(3, 6, 6), (2, 3, 5, 12), (2, 12, 5)])
def test_a_stack_is_its_matrices(shape: tuple[int, ...]) -> None:
    x = gradient(shape).double()
    stacked = newton_schulz(x, dtype=torch.float64)
    assert stacked.shape == x.shape
    flat, parts = x.reshape(-1, *shape[-2:]), stacked.reshape(-1, *shape[-2:])
    for matrix, part in zip(flat, parts, strict=True):
        torch.testing.assert_close(part, newton_schulz(matrix, dtype=torch.float64))
    u = polar_exact(x)
    torch.testing.assert_close(u[0], polar_exact(x[0]))


def test_many_matrices_of_mixed_shapes_keep_their_places() -> None:
    blocks = [gradient(s, seed=k) for k, s in enumerate([(6, 6), (4, 9), (6, 6), (9, 4), (6, 6)])]
    for many, x in zip(Spectral().lmo_many(blocks), blocks, strict=True):
        assert many.shape == x.shape
        assert distance(many, newton_schulz(x)) < 0.02


@pytest.mark.parametrize("rank", [1, 100, 400])
def test_null_directions_of_a_long_matrix_stay_small(rank: int) -> None:
    # The rounded Gram matrix has negative eigenvalues there, which steps multiply. Measured:
    # largest singular value 0.72 to 1.21, as torch's.
    draw = torch.Generator().manual_seed(rank)
    x = torch.randn(512, rank, generator=draw) @ torch.randn(rank, 1400, generator=draw)
    ours, torch_says = (
        newton_schulz(x),
        _muon._zeropower_via_newtonschulz(x, KELLER_JORDAN, 5, 1e-7),
    )
    mine, peer = (torch.linalg.svdvals(y.double()) for y in (ours, torch_says))
    assert mine.max() < max(1.05 * peer.max(), 1.22)
    assert mine[rank:].max() < max(1.5 * peer[rank:].max(), 0.1)
    polar = polar_exact(x.double())
    assert distance(ours, polar) < 1.02 * distance(torch_says, polar)


def test_stacks_are_bounded_by_a_tenth_of_all() -> None:
    shapes = [*[(768, 768)] * 48, *[(2048, 768)] * 24, *[(768, 2048)] * 12]
    blocks = [torch.empty(shape, device="meta") for shape in shapes]
    stacks = Spectral().batches(blocks)
    assert sorted(index for stack in stacks for index in stack) == list(range(84))
    assert all(len({blocks[index].shape for index in stack}) == 1 for stack in stacks)
    entries = [sum(blocks[index].numel() for index in stack) for stack in stacks]
    assert max(entries) <= sum(entries) / 10
    assert len(stacks) <= 14  # and not one by one
    small = [torch.empty(64, 64, device="meta")] * 100
    assert len(Spectral().batches(small)) == 1
    alone = Spectral().batches([torch.empty(768, 768)] * 3)
    assert alone == [[0], [1], [2]]  # a CPU has nothing of a stack


def test_the_orthogonalizer_can_be_another() -> None:
    seen: list[tuple[int, ...]] = []

    def mine(x: torch.Tensor) -> torch.Tensor:
        seen.append(tuple(x.shape))
        return polar_exact(x)

    params = [
        torch.nn.Parameter(gradient(s, seed=k)) for k, s in enumerate([(6, 6), (6, 6), (4, 9)])
    ]
    exact = [torch.nn.Parameter(p.detach().clone()) for p in params]
    one = Muon([(f"layer.{k}", p) for k, p in enumerate(params)], orthogonalize=mine)
    two = Muon([(f"layer.{k}", p) for k, p in enumerate(exact)], method="exact")
    for p, q in zip(params, exact, strict=True):
        p.grad = q.grad = gradient(tuple(p.shape), seed=9)
    one.step()
    two.step()
    assert seen == [(2, 6, 6), (4, 9)]
    assert all(torch.equal(p, q) for p, q in zip(params, exact, strict=True))


def test_kernels_are_used_where_they_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for the package, which needs a GPU."""
    made: list[dict] = []

    class GramNewtonSchulz:
        # As in version 0.1.6 of the package.
        def __init__(
            self,
            ns_epsilon: float = 1e-7,
            ns_use_kernels: bool = True,
            ns_coefficients: list[list[float]] | None = None,
            use_gram_newton_schulz: bool = True,
            gram_newton_schulz_reset_iterations: list[int] | None = None,
            compile_kwargs: dict | None = None,
        ) -> None:
            assert (ns_epsilon, ns_use_kernels, use_gram_newton_schulz) == (1e-7, True, True)
            assert compile_kwargs == {"fullgraph": True}
            made.append(
                {
                    "ns_coefficients": ns_coefficients,
                    "gram_newton_schulz_reset_iterations": gram_newton_schulz_reset_iterations,
                }
            )

        def __call__(self, x: torch.Tensor) -> torch.Tensor:
            return x + 1

    x = gradient((4, 6))
    assert torch.equal(norms_kernels.kernels()(x), newton_schulz(x))  # a CPU
    stand_in = types.SimpleNamespace(GramNewtonSchulz=GramNewtonSchulz)
    monkeypatch.setitem(sys.modules, "gram_newton_schulz", stand_in)
    monkeypatch.setattr(norms_kernels, "_has_kernels", lambda device: True)
    assert torch.equal(norms_kernels.kernels()(x), x + 1)
    norms_kernels._compiled.cache_clear()
    (settings,) = made
    assert settings["ns_coefficients"] == [list(KELLER_JORDAN)] * 5
    assert settings["gram_newton_schulz_reset_iterations"] == [3]


def test_without_the_package_plain_torch_runs_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    norms_kernels._has_kernels.cache_clear()
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    monkeypatch.setattr(norms_kernels, "find_spec", lambda name: None)
    with pytest.warns(UserWarning, match=r"pip install 'autowarmup\[kernels\]'"):
        assert not norms_kernels._has_kernels(torch.device("cuda", 0))
    norms_kernels._has_kernels.cache_clear()


def test_zero_and_tiny_matrices() -> None:
    assert torch.equal(newton_schulz(torch.zeros(4, 6)).float(), torch.zeros(4, 6))
    stack = torch.stack([torch.zeros(5, 5), torch.eye(5)])
    u = newton_schulz(stack).float()
    assert torch.equal(u[0], torch.zeros(5, 5))
    assert u[1].trace() > 3
    assert newton_schulz(torch.full((3, 3), 1e-20)).isfinite().all()


def test_exact_polar_factor_leaves_out_null_directions() -> None:
    x = torch.outer(torch.tensor([3.0, 4.0]), torch.tensor([1.0, 0.0, 0.0]))
    torch.testing.assert_close(polar_exact(x), x / 5)
    assert torch.equal(polar_exact(torch.zeros(2, 3)), torch.zeros(2, 3))


@pytest.mark.parametrize("shape", [(6, 4), (520, 800)])
def test_a_parameter_is_as_good_as_a_gradient(shape: tuple[int, int]) -> None:
    x = gradient(shape)
    u = newton_schulz(torch.nn.Parameter(x))
    assert torch.equal(u, newton_schulz(x))
    assert not u.requires_grad


def test_the_input_is_left_alone_and_vectors_are_refused() -> None:
    x = gradient((6, 4))
    before = x.clone()
    newton_schulz(x)
    newton_schulz(x, dtype=x.dtype)
    assert torch.equal(x, before)
    with pytest.raises(ValueError, match=r"expected a matrix .*, got shape \(3,\)"):
        newton_schulz(torch.ones(3))
