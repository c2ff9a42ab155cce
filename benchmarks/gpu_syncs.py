"""Does the scheduler ever make the host wait for the accelerator? Counted, on CUDA.

python benchmarks/gpu_syncs.py                 # results/benchmarks/gpu_syncs.json
python benchmarks/gpu_syncs.py --out file.json

Three loops of the same model: without a scheduler, with `AdaptiveWarmup` (float rate, then tensor
rate), and with the loss read at once (`lag=0`), which must be caught. Synchronisations are counted
in two ways: torch's own debug mode, which warns at every call that waits, and the profiler, which
sees the calls of the driver. Further: a compiled optimizer step is compiled once, and an optimizer
step captured in a CUDA graph follows a tensor rate. Without CUDA the script says so, writes that
down, and counts nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import nn

from autowarmup import AdaptiveWarmup
from autowarmup.lab.environment import environment
from autowarmup.rules import DEFAULT_RULE

DRY = os.environ.get("AUTOWARMUP_BENCH_DRY")  # a directory: small sizes, results go there
RESULTS = Path(DRY or Path(__file__).resolve().parent.parent / "results" / "benchmarks")
STEPS, WARM = 60, 10
DEVICE, WIDTH, BATCH = ("cpu", 8, 4) if DRY else ("cuda", 2048, 4096)
WAITS = ("cudaStreamSynchronize", "cudaDeviceSynchronize", "cudaEventSynchronize")


class Loop:
    """A model that keeps a GPU busy for a few milliseconds a step, and its optimizer."""

    def __init__(
        self, *, tensor_rate: bool = False, lag: int | None = None, scheduled: bool = True
    ):
        torch.manual_seed(0)
        self.model = nn.Sequential(*[nn.Linear(WIDTH, WIDTH) for _ in range(8)]).to(DEVICE)
        lr: Any = torch.tensor(1e-4, device=DEVICE) if tensor_rate else 1e-4
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=lr, fused=True, capturable=tensor_rate and not DRY
        )
        self.scheduler = AdaptiveWarmup(self.optimizer, 100 * STEPS, lag=lag) if scheduled else None
        self.data = torch.randn(BATCH, WIDTH, device=DEVICE)

    def step(self) -> None:
        loss = self.model(self.data).square().mean() + 1.0
        loss.backward()
        self.optimizer.step()
        if self.scheduler is not None:
            self.scheduler.step(loss)
        self.optimizer.zero_grad()


def counts(loop: Loop) -> dict[str, Any]:
    """Count waits per step, after the first steps have set everything up."""
    for _ in range(WARM):
        loop.step()
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("warn")
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        for _ in range(STEPS):
            loop.step()
    torch.cuda.set_sync_debug_mode("default")
    activities = [torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=activities) as profile:
        for _ in range(STEPS):
            loop.step()
    waits = {e.key: e.count for e in profile.key_averages() if e.key in WAITS}
    torch.cuda.synchronize()
    began = time.perf_counter()
    for _ in range(STEPS):
        loop.step()
    torch.cuda.synchronize()
    row = {
        "warnings_of_sync_debug_mode_per_step": sum("synchronizing" in str(w.message) for w in said)
        / STEPS,
        "driver_waits_per_step": {key: n / STEPS for key, n in waits.items()},
        "seconds_per_step": (time.perf_counter() - began) / STEPS,
    }
    if loop.scheduler is not None:
        row["waits_for_a_late_copy"] = loop.scheduler.agreement.waits
        row["updates"] = loop.scheduler.state.step
    return row


def compiled() -> dict[str, int]:
    """Compile the optimizer step and let the rate change."""
    from torch._dynamo.testing import CompileCounterWithBackend

    counter = CompileCounterWithBackend("inductor")
    loop = Loop(tensor_rate=True)
    step = torch.compile(loop.optimizer.step, backend=counter)
    frames = []
    for _ in range(10):
        loss = loop.model(loop.data).square().mean() + 1.0
        loss.backward()
        step()
        loop.scheduler.step(loss)
        loop.optimizer.zero_grad()
        frames.append(counter.frame_count)
    return {"compiled_by_step_2": frames[1], "compiled_by_step_10": frames[-1]}


def captured() -> dict[str, Any]:
    """Replay one captured optimizer step while the scheduler fills the rate."""
    weight = nn.Parameter(torch.zeros(1024, device="cuda"))
    weight.grad = torch.ones_like(weight)
    rate = torch.tensor(0.5, device="cuda")
    optimizer = torch.optim.SGD([weight], lr=rate, fused=True)
    scheduler = AdaptiveWarmup(optimizer, 50)
    optimizer.step()  # warm up outside the graph
    scheduler.skip()
    weight.data.zero_()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        optimizer.step()
    scheduler.skip()
    worst = 0.0
    for k in range(20):
        expected = scheduler.get_last_lr()[0]
        before = weight.detach().clone()
        graph.replay()
        moved = (before - weight.detach()).mean().item()
        worst = max(worst, abs(moved / expected - 1))
        scheduler.step(torch.tensor(5.0 * 0.95**k, device="cuda"), updated=True)
    return {"worst_relative_error_of_the_rate_in_the_graph": worst, "updates": scheduler.state.step}


def main() -> None:
    """Measure, write JSON, fail if the scheduler waits."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=RESULTS / "gpu_syncs.json")
    out = parser.parse_args().out
    record: dict[str, Any] = {
        "command": "python benchmarks/gpu_syncs.py",
        "environment": environment(),
        "cuda": torch.cuda.is_available(),
    }
    loops = {
        "no scheduler": {"scheduled": False},
        "float rate": {},
        "tensor rate": {"tensor_rate": True},
        "loss read at once": {"lag": 0},
    }
    if DRY:
        for options in loops.values():
            Loop(**options).step()
    if DRY or not torch.cuda.is_available():
        record["measured"] = "nothing: this machine has no CUDA device"
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        print(f"no CUDA device here: nothing was counted ({out} says so)")
        return
    record["device"] = torch.cuda.get_device_name()
    record["rule"] = DEFAULT_RULE
    record["rows"] = {name: counts(Loop(**options)) for name, options in loops.items()}
    record["compiled"], record["captured"] = compiled(), captured()
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(json.dumps({key: record[key] for key in ("rows", "compiled", "captured")}, indent=1))
    key = "warnings_of_sync_debug_mode_per_step"
    base = record["rows"]["no scheduler"][key]
    stalls = [name for name in ("float rate", "tensor rate") if record["rows"][name][key] > base]
    if stalls:
        sys.exit(f"expected no wait of the scheduler's own, got some with: {', '.join(stalls)}")


if __name__ == "__main__":
    main()
