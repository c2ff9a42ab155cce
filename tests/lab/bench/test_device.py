"""A fleet on a device: everything that it makes lies there, and memory bounds its size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from autowarmup.lab.bench import engine, fleet_runs
from autowarmup.lab.bench.device import checked_device
from autowarmup.lab.bench.engine import run_plans
from autowarmup.lab.bench.fleet_runs import fleet_of, train_fleet
from autowarmup.lab.bench.plan import RunPlan, planned
from autowarmup.lab.bench.ray_pool import RayOptions
from autowarmup.lab.bench.setups import Setup
from autowarmup.lab.bench.tasks import task_of

PAIRS = [
    *(("micro", optimizer) for optimizer in ("lion", "signum", "normsgd", "adamw", "sgd")),
    *((model, "muon") for model in ("micro", "lstm", "digits", "glyph-resnet", "glyph-vit")),
]


@pytest.mark.parametrize(("model", "optimizer"), PAIRS)
def test_all_tensors_of_a_fleet_lie_where_its_runs_do(
    tiny: Setup, optimizer: str, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On `meta`, which has shapes without numbers and refuses what lies elsewhere."""
    setup = replace(tiny, optimizer=optimizer, model=model)
    plans = planned([setup], ("none", "flat"), (0, 1))
    monkeypatch.setattr(
        torch.Tensor, "tolist", lambda x: [1.0] * x.numel() if x.is_meta else list(x.numpy())
    )
    task = task_of(setup.family)
    order = torch.tensor([0, 0, 1, 1], device="meta")
    fleet = fleet_of(plans, setup.family, task, [0, 1], order)
    for step in range(2):
        batches = torch.stack([task.batch(seed, step) for seed in (0, 1)]).to("meta")
        fleet.update(batches[order])
    assert fleet.evaluate([task.evaluation(full=True)[0].to("meta")]) == [1.0] * 4
    held = [*fleet.parameters.values(), *fleet.direction.first.values()]
    assert {x.device.type for x in held} == {"meta"}
    assert [r.losses for r in fleet.replicas] == [[1.0, 1.0]] * 4


def test_naming_the_cpu_changes_nothing(tiny: Setup) -> None:
    plans = planned([replace(tiny, trained=2)], ("none", "flat"), (0, 1))
    plain, named = train_fleet(plans), train_fleet(plans, device="cpu")
    for records in (plain, named):
        for record in records:
            del record["seconds"]
    assert named == plain


def test_where_memory_ends_halves_train_one_after_the_other(
    tiny: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    real = fleet_runs._trained_together

    def bounded(plans: Sequence[RunPlan], device: str) -> Any:
        sizes.append(len(plans))
        if len(plans) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(plans, device)

    monkeypatch.setattr(fleet_runs, "_trained_together", bounded)
    plans = planned([tiny], ("none", "flat", "linear 5%"), (0, 1))
    records = train_fleet(plans)
    assert [RunPlan.of(record) for record in records] == plans
    assert sizes == [6, 3, 1, 2, 3, 1, 2]
    monkeypatch.setattr(
        fleet_runs, "_trained_together", lambda plans, device: bounded(plans * 3, device)
    )
    with pytest.raises(torch.OutOfMemoryError):
        train_fleet(plans[:1])


def test_on_a_device_a_family_is_one_fleet_in_one_process(
    tiny: Setup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []

    class Nowhere:
        def __init__(self, size: int, threads: int) -> None:
            seen.append(size)

        def run(self, jobs: Any) -> Any:
            seen.extend((len(job.plans), job.options) for job in jobs)
            return iter(())

        def close(self) -> None: ...

    monkeypatch.setattr(engine, "Pool", Nowhere)
    monkeypatch.setattr(engine, "checked_device", str)
    muon = replace(tiny, optimizer="muon")
    plans = planned([tiny, replace(tiny, lr=0.1), muon], ("none", "flat"), range(20))
    run_plans(plans, tmp_path / "device", device="cuda", progress=False)
    assert seen == [1, (80, {"device": "cuda"}), (40, {"device": "cuda"})]
    seen.clear()
    run_plans(plans, tmp_path / "cpu", progress=False, workers=2)
    assert seen[0] == 2
    assert all(size <= engine.FLEET and options == {} for size, options in seen[1:])


def test_a_device_that_is_not_there_is_said(
    tiny: Setup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    sentence = "device: expected a machine that has cuda, got one without CUDA"
    with pytest.raises(ValueError, match=sentence):
        run_plans(planned([tiny], ("none",), (0,)), tmp_path / "out", device="cuda")
    assert not (tmp_path / "out").exists()
    for wrong in ("gpu", "cpu:0", "cuda:x", ""):
        with pytest.raises(ValueError, match=f"expected cpu, cuda or cuda:NUMBER, got '{wrong}'"):
            checked_device(wrong)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert (checked_device("cuda"), checked_device("cuda:1")) == ("cuda", "cuda:1")
    with pytest.raises(ValueError, match="expected a machine that has cuda:2, got one with 2"):
        checked_device("cuda:2")
    with pytest.raises(ValueError, match="expected GPUs for each run to train on cuda, got none"):
        run_plans([], tmp_path / "out", device="cuda", ray=RayOptions())
