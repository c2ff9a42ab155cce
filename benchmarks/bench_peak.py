"""Cost of the rules for the end of warm-up: `pytest benchmarks/bench_peak.py --benchmark-only`.

Groups: LLaMA-124M shapes under Muon, a sign optimizer and normalized SGD, at div 100 and a first
gap of 7.8 nats. `flat` and `accurate` are measured without their cache.
"""

from __future__ import annotations

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from autowarmup.rules.gap_law import peak

KAPPAS = {"muon": 6.528e4, "sign": 1.236e8, "normsgd": 85.0}
DIV, GAP0 = 100.0, 7.8


@pytest.mark.parametrize("optimizer", KAPPAS)
@pytest.mark.parametrize("rule", ["published", "accurate", "flat"])
def test_rule(benchmark: BenchmarkFixture, rule: str, optimizer: str) -> None:
    benchmark.group = f"peak rule, {optimizer}"
    kappa = KAPPAS[optimizer]
    if rule == "flat":
        r = benchmark(peak.flat.__wrapped__, DIV)
    elif rule == "accurate":
        r = benchmark(peak.accurate.__wrapped__, DIV, GAP0, kappa)
    else:
        r = benchmark.pedantic(peak.published, args=(DIV, GAP0, kappa), rounds=5)
    assert 0 < r < 1
    benchmark.extra_info["r"] = r
