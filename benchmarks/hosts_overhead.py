"""What `AdaptiveWarmup.step` adds to a training step, against the same loop with OneCycleLR.

python benchmarks/hosts_overhead.py            # results/benchmarks/hosts_overhead.json, 5 minutes

One and two processes (DDP, gloo), a LLaMA of the recipe tiny-cpu. Every round makes one step of
each loop in turn, in an order that changes, so that a busy moment of the machine hits all. Figures
per loop: the ratio of whole steps (of medians; median over rounds), and the time inside
`scheduler.step` (beyond that inside OneCycleLR's) as a share of the median step, which noise of the
rest does not touch. With two processes that contains the wait for the other one's loss.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
from torch.optim.lr_scheduler import OneCycleLR

from autowarmup import AdaptiveWarmup
from autowarmup.lab.environment import environment
from autowarmup.lab.train import RECIPES
from autowarmup.lab.train.model import build_model, token_loss

DRY = os.environ.get("AUTOWARMUP_BENCH_DRY")  # a directory: small sizes, results go there
RESULTS = Path(DRY or Path(__file__).resolve().parent.parent / "results" / "benchmarks")
RESULTS = RESULTS / "hosts_overhead.json"
ROUNDS, WARM, BATCH = (2, 1, 2) if DRY else (200, 10, 16)
BASE = "OneCycleLR"


class Loop:
    """One model, one optimizer, one scheduler."""

    def __init__(self, name: str, world: int) -> None:
        recipe = RECIPES["tiny-cpu"]
        length = recipe.sequence_length
        self.model: Any = build_model(recipe, vocabulary=256, sequence_length=length, seed=0)
        if world > 1:
            self.model = DistributedDataParallel(self.model)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-4)
        self.windows = torch.randint(0, 256, (BATCH, length + 1))
        self.fed = name != BASE
        total = 100 * ROUNDS  # all rounds lie in warm-up
        if name == BASE:
            self.scheduler: Any = OneCycleLR(self.optimizer, max_lr=1e-4, total_steps=total)
        elif name == "past warm-up":
            self.scheduler = AdaptiveWarmup(self.optimizer, total, rule="linear 1%")
            while self.scheduler.phase == "warmup":
                self.scheduler.step(updated=True)
        else:
            self.scheduler = AdaptiveWarmup(self.optimizer, total, lag=int(name[-1]))
        self.whole: list[float] = []
        self.inside: list[float] = []

    def step(self) -> None:
        began = time.perf_counter()
        loss = token_loss(self.model, self.windows)
        loss.backward()
        self.optimizer.step()
        before = time.perf_counter()
        self.scheduler.step(*([loss] if self.fed else []))
        after = time.perf_counter()
        self.optimizer.zero_grad()
        self.whole.append(time.perf_counter() - began)
        self.inside.append(after - before)


def measure() -> dict[str, dict[str, float]]:
    """Take all loops through the rounds; return one row each."""
    torch.set_num_threads(1)
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world > 1:
        dist.init_process_group("gloo")
    torch.manual_seed(world)
    names = [BASE, "AdaptiveWarmup, lag 0", "AdaptiveWarmup, lag 1", "past warm-up"]
    loops = {name: Loop(name, world) for name in names}
    for round_ in range(WARM + ROUNDS):
        if round_ == WARM:
            for loop in loops.values():
                loop.whole, loop.inside = [], []
        for k in range(len(names)):
            loops[names[(round_ + k) % len(names)]].step()
    rows = {}
    base_whole = statistics.median(loops[BASE].whole)
    base_inside = statistics.median(loops[BASE].inside)
    for name, loop in loops.items():
        whole, inside = statistics.median(loop.whole), statistics.median(loop.inside)
        rows[name] = {
            "step_seconds": whole,
            "step_over_one_cycle": whole / base_whole,
            "step_over_one_cycle_median_of_rounds": statistics.median(
                own / base for own, base in zip(loop.whole, loops[BASE].whole, strict=True)
            ),
            "scheduler_seconds": inside,
            "scheduler_beyond_one_cycle_over_step": (inside - base_inside) / base_whole,
            "rounds": len(loop.whole),
            "rule": None if name == BASE else loop.scheduler.rule.name,
        }
    return rows


def main() -> None:
    """Measure one process here and two under torchrun; write JSON."""
    if "RANK" in os.environ:
        rows = measure()
        if dist.get_rank() == 0:
            Path(sys.argv[1]).write_text(json.dumps(rows), encoding="utf-8")
        dist.barrier()
        dist.destroy_process_group()
        return
    record = {
        "command": "python benchmarks/hosts_overhead.py",
        "environment": environment(),
        "seeds": [1, 2],
        "load_average": list(os.getloadavg()),
        "ranks": {"1": measure()},
    }
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    aside = RESULTS.with_suffix(".two")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node",
               "2", __file__, str(aside)]  # fmt: skip
    subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    record["ranks"]["2"] = json.loads(aside.read_text(encoding="utf-8"))
    aside.unlink()
    RESULTS.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    for ranks, rows in record["ranks"].items():
        for name, row in rows.items():
            print(
                f"{ranks} rank(s), {name}: step {row['step_over_one_cycle']:.4f} "
                f"({row['step_over_one_cycle_median_of_rounds']:.4f} by rounds) of OneCycleLR's, "
                f"scheduler {100 * row['scheduler_beyond_one_cycle_over_step']:+.3f} % of it"
            )


if __name__ == "__main__":
    main()
