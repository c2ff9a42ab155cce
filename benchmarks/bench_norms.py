"""Norms of the matrices of llama-124m and of the small models, against torch's.

    pytest benchmarks/bench_norms.py --benchmark-only

Two kinds of matrices per shape: Gaussian ones, and ones whose singular values fall as those of
measured gradients do (a few large ones, then a power of the index). The first row of a group is
torch on the same float32 matrix; every row says in its `extra_info` how far it is from the SVD in
float64. The number of threads is the one torch chooses.
"""

from __future__ import annotations

import functools
import os

import pytest
import torch

from autowarmup.norms import Spectral, nuclear_norm, spectral_norm

DRY = os.environ.get("AUTOWARMUP_BENCH_DRY")  # a directory: small sizes, results go there
SHAPES = [(768, 768), (2048, 768), (768, 2048), (50304, 768)]
if DRY:
    SHAPES = [(24, 24), (64, 24)]
# tiny-cpu: 3 layers of width 96 and the embedding; a probe takes the dual norms of one such list.
TINY = [*[(96, 96)] * 4, (256, 96), (256, 96), (96, 256)] * (1 if DRY else 3) + [(256, 96)]


@functools.cache
def matrix(kind: str, shape: tuple[int, int]) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(shape, generator=generator)
    if kind == "gaussian":
        return x
    # The columns of x are nearly orthogonal; scaled, their sizes are about the singular values.
    # Gradients of a LLaMA of width 768: value number i is about 1 / i^1.2 of the first.
    columns = torch.arange(1.0, shape[1] + 1) ** -1.2
    turn = torch.linalg.qr(torch.randn(shape[1], shape[1], generator=generator))[0]
    return 1e-3 * (x * columns) @ turn


@functools.cache
def truth(kind: str, shape: tuple[int, int]) -> tuple[float, float]:
    """Return the nuclear and the spectral norm by SVD in float64."""
    x = matrix(kind, shape)
    return nuclear_norm(x, "svd").item(), spectral_norm(x, "svd").item()


def torch_nuclear(x: torch.Tensor) -> torch.Tensor:
    return torch.linalg.norm(x, ord="nuc")


def torch_spectral(x: torch.Tensor) -> torch.Tensor:
    return torch.linalg.norm(x, ord=2)


def group(what: str, kind: str, shape: tuple[int, int]):
    return pytest.mark.benchmark(group=f"{what} norm, {kind} {shape[0]} x {shape[1]}")


def rows(what: str, functions: list) -> list:
    return [
        pytest.param(
            function,
            kind,
            shape,
            marks=group(what, kind, shape),
            id=f"{name} {kind} {shape[0]}x{shape[1]}",
        )
        for shape in SHAPES
        for kind in ("gaussian", "gradient-like")
        for name, function in functions
    ]


def measure(benchmark, function, kind: str, shape: tuple[int, int], which: int) -> None:
    expected = truth(kind, shape)[which]
    x = matrix(kind, shape)
    rounds = 3 if shape[0] > 10_000 else 9
    value = benchmark.pedantic(function, args=(x,), rounds=rounds, warmup_rounds=1)
    error = abs(value.item() / expected - 1)
    benchmark.extra_info["relative_error"] = error
    assert error < 1e-3


NUCLEAR = [("torch.linalg.norm", torch_nuclear), ("autowarmup", nuclear_norm)]
SPECTRAL = [("torch.linalg.norm", torch_spectral), ("autowarmup", spectral_norm)]


@pytest.mark.parametrize(("function", "kind", "shape"), rows("nuclear", NUCLEAR))
def test_nuclear(benchmark, function, kind: str, shape: tuple[int, int]) -> None:
    measure(benchmark, function, kind, shape, 0)


@pytest.mark.parametrize(("function", "kind", "shape"), rows("spectral", SPECTRAL))
def test_spectral(benchmark, function, kind: str, shape: tuple[int, int]) -> None:
    measure(benchmark, function, kind, shape, 1)


def tiny_torch_dual(blocks: list[torch.Tensor]) -> torch.Tensor:
    return torch.stack([torch_nuclear(x) for x in blocks])


def tiny_torch_norm(blocks: list[torch.Tensor]) -> torch.Tensor:
    return torch.stack([torch_spectral(x) for x in blocks])


def measure_tiny(benchmark, function, exact) -> None:
    blocks = [matrix("gradient-like", shape) for shape in TINY]
    expected = exact(blocks)
    value = benchmark.pedantic(function, args=(blocks,), rounds=30, warmup_rounds=3)
    error = (value / expected - 1).abs().max().item()
    benchmark.extra_info["relative_error"] = error
    assert error < 1e-3


@pytest.mark.benchmark(group=f"nuclear norms of the {len(TINY)} matrices of tiny-cpu")
@pytest.mark.parametrize(
    "function", [tiny_torch_dual, Spectral().dual_many], ids=["torch.linalg.norm", "autowarmup"]
)
def test_tiny_dual(benchmark, function) -> None:
    measure_tiny(benchmark, function, Spectral("exact").dual_many)


@pytest.mark.benchmark(group=f"spectral norms of the {len(TINY)} matrices of tiny-cpu")
@pytest.mark.parametrize(
    "function", [tiny_torch_norm, Spectral().norm_many], ids=["torch.linalg.norm", "autowarmup"]
)
def test_tiny_norm(benchmark, function) -> None:
    measure_tiny(benchmark, function, Spectral("exact").norm_many)
