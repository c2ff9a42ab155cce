from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from autowarmup.lab.bench.sets import core, demo
from autowarmup.lab.bench.setups import Setup

Record = dict[str, Any]

KINDS = {
    "none": "fixed", "linear 1%": "fixed", "linear 2%": "fixed", "linear 5%": "fixed",
    "linear 10%": "fixed", "linear 20%": "fixed", "linear 40%": "fixed", "flat": "own",
    "by start": "own", "accurate": "literature", "published": "literature",
    "untuned": "literature", "h0h1": "literature", "autowu": "literature", "doubling": "literature",
    "paced": "own",
}  # fmt: skip
_LENGTHS = {"none": 0.0004, "untuned": 0.008, "doubling": 0.05, "flat": 0.15, "by start": 0.1,
            "accurate": 0.06, "published": 0.02, "h0h1": 0.25, "autowu": 0.3,
            "paced": 0.12}  # fmt: skip


def bench_record(
    rule: str,
    val_loss: float | None,
    seed: int = 0,
    *,
    setup: Setup | None = None,
    length: float = 0.05,
    **changes: Any,
) -> Record:
    """A run whose factor ramps up over `length` of the run; no loss means that it diverged."""
    setup = setup or Setup("muon", 1.2e-2)
    steps = setup.steps
    stretch = -(-steps // 100)
    at = [*range(0, steps, stretch)]
    end = 2.0 if val_loss is None else val_loss
    loss = [round(end + (5.5 - end) * math.exp(-8 * step / steps), 4) for step in at]
    factor = [
        min((step + 1) / max(1.0, length * steps), 1.0)
        * (1.0 if step < length * steps else 1.0 - (step / steps - length) / (1.0 - length))
        for step in at
    ]
    kept = len(at) if val_loss is not None else 10
    return {
        "setup": setup.to_dict(),
        "rule": rule,
        "options": {},
        "seed": seed,
        "status": "finished" if val_loss is not None else "diverged",
        "val_loss": val_loss,
        "updates": steps,
        "extra_forwards": 0.0,
        "overhead": 0.0,
        "start": 1.0,
        "warmup_end_step": round(length * steps) if val_loss is not None else None,
        "ended_by": "length",
        "diverged_at": None if val_loss is not None else 10 * stretch,
        "trace": {"stretch": stretch, "loss": loss[:kept], "factor": factor[:kept]},
        "val_curve": [] if val_loss is None else [[steps, val_loss]],
        "seconds": 12.5,
    } | changes


@pytest.fixture(scope="session")
def make_record() -> Callable[..., Record]:
    return bench_record


@pytest.fixture(scope="session")
def core_records() -> list[Record]:
    """The whole core set, two seeds: high rates want a long warm-up, and SGD may diverge."""
    noise = random.Random(0)
    records = []
    for setup in dict.fromkeys(plan.setup for plan in core()):
        high = math.log2(setup.lr / Setup(setup.optimizer, setup.lr).lr * 1.0 + 1.0)
        wanted = 0.02 * (1.0 + 4.0 * noise.random()) * (1.0 + high)
        for rule in KINDS:
            length = _LENGTHS.get(rule) or float(rule.split()[1][:-1]) / 100
            for seed in (0, 1):
                loss = 1.6 + 0.1 * seed + 0.012 * math.log(length / wanted) ** 2
                loss += noise.gauss(0.0, 0.006)
                wild = setup.optimizer == "sgd" and setup.lr == 1.0 and rule == "none"
                record = bench_record(
                    rule, None if wild else loss, seed, setup=setup, length=length
                )
                if KINDS[rule] != "fixed":
                    record |= {"start": 0.25, "overhead": 0.002}
                records.append(record)
    return records


@pytest.fixture(scope="session")
def demo_records() -> list[Record]:
    """The demo: Muon wants no warm-up, the others do."""
    noise = random.Random(1)
    best = {"muon": 0.002, "lion": 0.15, "normsgd": 0.08}
    records = []
    for plan in demo():
        length = {"paced": 0.15, "none": 0.0025}.get(plan.rule)
        length = length or float(plan.rule.split()[1][:-1]) / 100
        loss = 1.5 + 0.03 * math.log(length / best[plan.setup.optimizer]) ** 2
        loss += noise.gauss(0.0, 0.005)
        records.append(bench_record(plan.rule, loss, setup=plan.setup, length=length))
    return records


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setup]:
    """Six updates on a small text, with a cache of the tests' own."""
    path = tmp_path_factory.mktemp("corpus") / "text.txt"
    path.write_text("".join(f"line {n} of a text to learn from\n" for n in range(2000)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUTOWARMUP_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield Setup("lion", 1e-3, steps=6, batch=2, data=str(path))
