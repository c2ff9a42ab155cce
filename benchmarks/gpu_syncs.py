"""Does the scheduler ever make the host wait for the accelerator? Counted, on CUDA.

python benchmarks/gpu_syncs.py                 # results/benchmarks/gpu_syncs.json
python benchmarks/gpu_syncs.py --out file.json

Three loops of the same model: without a scheduler, with `AdaptiveWarmup` (float rate, then tensor
rate), and with the loss read at once (`lag=0`), which must be caught. Synchronisations are counted
in two ways: torch's own debug mode, which warns at every call that waits, and the profiler, which
sees the calls of the driver. Further: a compiled optimizer step is compiled once, and an optimizer
step captured in a CUDA graph follows a tensor rate: that of torch's SGD by the length of its moves,
and those of this package beside steps that are not captured. Without CUDA the script says so,
writes that down, and counts nothing.
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
from autowarmup.norms import Lion, Muon, NormalizedSGD, SignSGD, Signum
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


def captured_optimizers(device: str, *, graph: bool) -> dict[str, float]:
    """Return how far weights are apart after steps from a graph and steps without one.

    Both walk ten steps on the same gradients while a scheduler fills the rate. Without `graph` (on
    a CPU) the steps are taken instead of replayed.
    """
    apart = {}
    for kind in (Muon, Lion, Signum, SignSGD, NormalizedSGD):
        weights = []
        for replayed in (False, True):
            torch.manual_seed(0)
            shapes = [(16, 16), (16,)] if DRY else [(512, 512), (512, 1024), (64, 64), (512,)]
            params = [nn.Parameter(torch.randn(shape).to(device)) for shape in shapes]
            for p in params:
                p.grad = torch.randn(p.shape).to(device)
            given: Any = [(f"layer.{k}", p) for k, p in enumerate(params)]
            optimizer = kind(given if kind is Muon else params)
            for group in optimizer.param_groups:
                group["lr"] = torch.tensor(1e-3, device=device)
            scheduler = AdaptiveWarmup(optimizer, 50, rule="linear 40%")
            optimizer.step()  # states begin outside of the graph
            scheduler.skip()
            step = optimizer.step
            if graph and replayed:
                step = recorded(optimizer, params)
                scheduler.skip()
            for k in range(10):
                step()
                scheduler.step(torch.tensor(5.0 * 0.95**k, device=device), updated=True)
            weights.append(torch.cat([p.detach().flatten() for p in params]))
        apart[kind.__name__] = ((weights[0] - weights[1]).norm() / weights[0].norm()).item()
    return apart


def recorded(optimizer: torch.optim.Optimizer, params: list[nn.Parameter]) -> Any:
    """Return what replays one step; weights and state are as before."""
    tensors = [*params, *(x for state in optimizer.state.values() for x in state.values())]
    before = [x.detach().clone() for x in tensors]

    def set_back() -> None:
        with torch.no_grad():
            for x, value in zip(tensors, before, strict=True):
                x.copy_(value)

    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            optimizer.step()
    torch.cuda.current_stream().wait_stream(stream)
    set_back()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        optimizer.step()
    set_back()
    return graph.replay


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
        assert max(captured_optimizers("cpu", graph=False).values()) == 0.0
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
    record["captured_optimizers_apart"] = captured_optimizers("cuda", graph=True)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(json.dumps({key: record[key] for key in ("rows", "compiled", "captured")}, indent=1))
    print(json.dumps(record["captured_optimizers_apart"], indent=1))
    key = "warnings_of_sync_debug_mode_per_step"
    base = record["rows"]["no scheduler"][key]
    stalls = [name for name in ("float rate", "tensor rate") if record["rows"][name][key] > base]
    if stalls:
        sys.exit(f"expected no wait of the scheduler's own, got some with: {', '.join(stalls)}")
    far = [name for name, size in record["captured_optimizers_apart"].items() if not size < 1e-3]
    if far:
        sys.exit(
            f"expected captured steps to be those without a graph, got others: {', '.join(far)}"
        )


if __name__ == "__main__":
    main()
