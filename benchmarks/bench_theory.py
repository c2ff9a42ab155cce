"""Runs side by side against a plain loop: `pytest benchmarks/bench_theory.py --benchmark-only`.

The same 200 random functions, 50 steps each: one after the other (the first row of a group), and as
one batch. The results agree to rounding, which is asserted.
"""

from __future__ import annotations

import functools
import os

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from autowarmup.lab.theory import rules
from autowarmup.lab.theory.geometry import Geometry
from autowarmup.lab.theory.objectives import Radial, Ridge
from autowarmup.lab.theory.profiles import COSH, TAN2
from autowarmup.lab.theory.runs import run

DRY = os.environ.get("AUTOWARMUP_BENCH_DRY")  # a directory: small sizes, results go there
INSTANCES, STEPS = (20, 5) if DRY else (200, 50)
KINDS = ["radial cosh, l2", "ridge tan2, linf", "ridge cosh, spectral"]


@functools.cache
def drawn(kind: str):
    """Return (objective of instances i to j, first points)."""
    rng = np.random.default_rng(0)
    c, h = np.exp(rng.uniform(-1, 1, (2, INSTANCES)))
    if kind.startswith("radial"):
        make = lambda part: Radial(COSH, c[part], h[part], 3)  # noqa: E731
    else:
        name, shape = ("linf", (4,)) if "linf" in kind else ("spectral", (2, 2))
        a = np.linalg.qr(rng.standard_normal((INSTANCES, 4, 4)))[0].reshape(INSTANCES, 4, *shape)
        profile = TAN2 if "tan2" in kind else COSH
        heights = np.repeat(c[:, None], 4, 1)
        geometry = Geometry(name, len(shape))
        make = lambda part: Ridge(profile, heights[part], a[part], geometry)  # noqa: E731
    return make, make(slice(None)).start(rng, 3 * c)


def steps_of(make, x0, part: slice):
    objective = make(part)
    return run(objective, x0[part], rules.slope_over_law(objective.law), steps=STEPS).gap[-1]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", ["one after the other", "side by side"])
def test_runs(benchmark: BenchmarkFixture, way: str, kind: str) -> None:
    benchmark.group = f"{INSTANCES} runs of {STEPS} steps, {kind}"
    make, x0 = drawn(kind)
    if way == "side by side":
        gaps = benchmark.pedantic(
            steps_of, args=(make, x0, slice(None)), rounds=10, warmup_rounds=1
        )
        alone = [
            steps_of(make, x0, slice(i, i + 1))[0] for i in range(0, INSTANCES, INSTANCES // 10)
        ]
        assert gaps[:: INSTANCES // 10] == pytest.approx(alone, rel=1e-9, abs=1e-12)
    else:
        benchmark.pedantic(
            lambda: [steps_of(make, x0, slice(i, i + 1)) for i in range(INSTANCES)], rounds=3
        )
