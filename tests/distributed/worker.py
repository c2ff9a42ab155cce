"""What every process of `test_distributed.py` does: train together, write down what it saw.

`python tests/distributed/worker.py OUT 2 4` forks two processes and then four, as under torchrun.
They write the facts to OUT/2/rank0.json and so on, and a checkpoint of a sharded run to
OUT/2/shards; the next number of processes resumes that of the one before, too.
"""

from __future__ import annotations

import json
import math
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import torch._dynamo  # before the fork: the first optimizer of each process would import it
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from torch import nn
from torch.distributed.checkpoint.state_dict import get_state_dict, set_state_dict
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel

from autowarmup import AdaptiveWarmup, GapLaw
from autowarmup.agreement import Group

STEPS, CUT, LAST, SAMPLES = 24, 4, 16, 16  # runs that are resumed end after LAST, in the decay


def build() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 4)).double()


def batch(step: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The global batch; its rows differ in difficulty, so that processes see different losses."""
    generator = torch.Generator().manual_seed(step)
    inputs = torch.randn(SAMPLES, 6, generator=generator, dtype=torch.float64)
    return inputs * torch.linspace(0.1, 4.0, SAMPLES)[:, None], inputs[:, :4].argmax(-1)


class Run:
    """A model in one of three wrappings, AdamW, and the scheduler."""

    def __init__(self, kind: str, **options: Any) -> None:
        self.alone = kind == "alone"
        self.model: Any = build()
        if kind == "ddp":
            self.model = DistributedDataParallel(self.model)
        if kind == "fsdp2":
            for layer in self.model:
                if isinstance(layer, nn.Linear):
                    fully_shard(layer)
            fully_shard(self.model)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=0.05)
        self.scheduler = AdaptiveWarmup(self.optimizer, STEPS, **options)
        self.rates: list[float] = []

    def train(self, first: int, last: int) -> Run:
        rank, world = (0, 1) if self.alone else (dist.get_rank(), dist.get_world_size())
        for step in range(first, last):
            inputs, targets = (each[rank::world] for each in batch(step))
            for micro in range(2):  # two micro-batches
                out = self.model(inputs[micro::2])
                loss = nn.functional.cross_entropy(out, targets[micro::2])
                (loss / 2).backward()
                self.scheduler.observe(loss)
            self.rates.append(self.optimizer.param_groups[0]["lr"])
            self.optimizer.step()
            self.scheduler.step()
            self.optimizer.zero_grad()
        return self

    @property
    def weights(self) -> list[float]:
        whole = [p.full_tensor() if hasattr(p, "full_tensor") else p for p in self.parameters]
        return torch.cat([p.detach().ravel() for p in whole]).tolist()

    @property
    def parameters(self) -> list[Any]:
        return list(self.model.parameters())

    def facts(self) -> dict[str, Any]:
        return {
            "rates": [rate.hex() for rate in self.rates],
            "weights": [weight.hex() for weight in self.weights],
            "state": str(self.scheduler.state_dict()),
            "phases": self.scheduler.trace.column("phase"),
        }


@contextmanager
def counted():
    """Count the collectives that gather losses, step by step."""
    calls, original = [0], Group.gather

    def count(*args: Any, **kwargs: Any) -> Any:
        calls[0] += 1
        return original(*args, **kwargs)

    Group.gather = count
    try:
        yield calls
    finally:
        Group.gather = original


def agreements() -> dict[str, Any]:
    """One update after another with losses that differ from process to process."""
    rank, world = dist.get_rank(), dist.get_world_size()
    optimizer = torch.optim.SGD([nn.Parameter(torch.ones(1))], lr=1.0)

    def one(losses: list[float | None], weights: list[float] | None = None, **options: Any):
        scheduler = AdaptiveWarmup(optimizer, 40, rule=GapLaw(smoothing=0.0), **options)
        own = losses[rank]
        if own is not None:
            scheduler.observe(own, weight=weights[rank] if weights else 1.0)
        scheduler.step(updated=True)
        if scheduler.agreement.lag:
            scheduler.step(updated=True)
        return [scheduler.state.gap, scheduler.status.name]

    ranks = list(range(world))
    first = dist.new_group([0])
    return {
        "mean": one([1.0 + r for r in ranks]),
        "late": one([1.0 + r for r in ranks], lag=1),
        "weighted": one([1.0 + r for r in ranks], [1.0 + r for r in ranks]),
        "sum": one([1.0 + r for r in ranks], reduce="sum"),
        "callable": one([1.0 + r for r in ranks], reduce=lambda parts: max(p.total for p in parts)),
        "nan": one([1.0 if r else math.nan for r in ranks]),
        "inf": one([math.inf if r == world - 1 else 1.0 for r in ranks]),
        "one without": one([None if r == 0 else 3.0 for r in ranks]),
        "all without": one([None for _ in ranks]),
        "empty": one([math.nan if r == 0 else 3.0 for r in ranks], [float(r) for r in ranks]),
        "own": one([1.0 + r for r in ranks], process_group=False),
        "group": one([1.0 + r for r in ranks], process_group=dist.group.WORLD),
        "mesh": one(
            [1.0 + r for r in ranks],
            process_group=dist.device_mesh.init_device_mesh("cpu", (world,)),
        ),
        **({"group of one": one([7.0, *ranks[1:]], process_group=first)} if rank == 0 else {}),
    }


def calibrated(lr: float) -> list[Any]:
    """Measure the first rate together; also with gradients that nobody has averaged yet."""
    model, rank, world = build(), dist.get_rank(), dist.get_world_size()
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    scheduler = AdaptiveWarmup(optimizer, STEPS, rule="flat")
    inputs, targets = (each[rank::world] for each in batch(0))
    scheduler.calibrate(lambda: nn.functional.cross_entropy(model(inputs), targets))
    return [scheduler.div, scheduler.calibration, scheduler.get_last_lr()]


def stops() -> dict[str, Any]:
    """When is anything gathered?"""
    seen: dict[str, Any] = {}
    for name, options in {"default": {}, "linear": {"rule": "linear 10%"}}.items():
        run = Run("ddp", **options)
        with counted() as calls:
            per_step = []
            for step in range(STEPS):
                before = calls[0]
                run.train(step, step + 1)
                per_step.append(calls[0] - before)
        seen[name] = {"gathers": per_step, "warmup": run.scheduler.warmup_end_step}
    return seen


def save(run: Run, path: Path) -> None:
    model, optimizer = get_state_dict(run.model, run.optimizer)
    dcp.save(
        {"model": model, "optimizer": optimizer, "scheduler": run.scheduler}, checkpoint_id=path
    )


def load(path: Path, *, first: str) -> Run:
    """Resume a sharded run; in either order of scheduler and optimizer."""
    run = Run("fsdp2", rule=GapLaw(end=0.3))
    states = {"scheduler": run.scheduler}
    if first == "scheduler":
        dcp.load(states, checkpoint_id=path)
    model, optimizer = get_state_dict(run.model, run.optimizer)
    dcp.load({"model": model, "optimizer": optimizer}, checkpoint_id=path)
    set_state_dict(run.model, run.optimizer, model_state_dict=model, optim_state_dict=optimizer)
    if first == "optimizer":
        dcp.load(states, checkpoint_id=path)
    return run


def main(out: Path, other: Path | None) -> None:
    dist.init_process_group("gloo")
    facts: dict[str, Any] = {}
    for kind in ("alone", "ddp", "fsdp2"):
        facts[kind] = Run(kind, **({"process_group": False} if kind == "alone" else {}))
        facts[kind] = facts[kind].train(0, STEPS).facts()
    facts["late"] = Run("ddp", lag=1).train(0, STEPS).facts()
    facts["drift"] = Run("ddp", process_group=False, rule="watched").train(0, STEPS).facts()
    facts["agreements"], facts["stops"] = agreements(), stops()
    facts["calibrated"] = [calibrated(3.0), calibrated(30.0)]
    run = Run("fsdp2", rule=GapLaw(end=0.3)).train(0, CUT)
    save(run, out / "shards")
    facts["never stopped"] = run.train(CUT, LAST).facts()
    for first in ("scheduler", "optimizer"):
        facts[f"resumed, {first} first"] = (
            load(out / "shards", first=first).train(CUT, LAST).facts()
        )
    if other is not None:
        facts["of others"] = load(other / "shards", first="optimizer").train(CUT, LAST).facts()
    (out / f"rank{dist.get_rank()}.json").write_text(json.dumps(facts))
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from ranks import fork_ranks

    base, others = Path(sys.argv[1]), [None]
    for world in sys.argv[2:]:
        (base / world).mkdir(parents=True)
        codes = fork_ranks(int(world), lambda _: main(base / world, others[-1]))  # noqa: B023
        if any(codes):
            raise SystemExit(max(map(abs, codes)))
        others.append(base / world)
