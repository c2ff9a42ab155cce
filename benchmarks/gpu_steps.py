"""One step of Muon and of Lion beside those of other packages, on a GPU, in turns.

python benchmarks/gpu_steps.py                      # results/gpu/gpu_steps.json
python benchmarks/gpu_steps.py --device cpu         # the same on a CPU

All take their steps on the same gradients: Muon on the hidden matrices of llama-124m, Lion on all
its parameters. In every round each optimizer steps once, so that a ratio of a round meets one state
of the machine; ratios are medians over the rounds. What is not installed, or does not run here, is
in the result with the reason. Peaks of memory are what a step needs beyond what was there before.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import torch
from bench_optimizers import DRY, HIDDEN, LAYERS, OTHER, parameters
from torch import nn

from autowarmup.lab.bench.device import checked_device
from autowarmup.lab.environment import environment
from autowarmup.norms import Lion, Muon, kernels

ROOT = Path(__file__).resolve().parent.parent
RESULTS = Path(DRY) if DRY else ROOT / "results" / "gpu"
Params = list[nn.Parameter]
Make = Callable[[Params], torch.optim.Optimizer]


def named(params: Params) -> list[tuple[str, nn.Parameter]]:
    return [(f"layer.{k}", p) for k, p in enumerate(params)]


def compiled(params: Params) -> torch.optim.Optimizer:
    optimizer = Muon(named(params), lr=1e-3)
    optimizer.step = torch.compile(optimizer.step)  # pyright: ignore[reportAttributeAccessIssue]
    return optimizer


def dion_muon(params: Params) -> torch.optim.Optimizer:
    import dion  # pyright: ignore[reportMissingImports]

    return dion.Muon(params, lr=1e-3)


def pytorch_optimizer_muon(params: Params) -> torch.optim.Optimizer:
    import pytorch_optimizer

    return pytorch_optimizer.Muon([{"params": params, "use_muon": True}], lr=1e-3)


def heavyball_muon(params: Params) -> torch.optim.Optimizer:
    import heavyball

    return heavyball.Muon(params, lr=1e-3)


def flash_muon(params: Params) -> torch.optim.Optimizer:
    import flash_muon  # pyright: ignore[reportMissingImports]

    return flash_muon.Muon(params, lr=1e-3)


def gram_muon(params: Params) -> torch.optim.Optimizer:
    import gram_newton_schulz  # pyright: ignore[reportMissingImports]

    return gram_newton_schulz.Muon(params, lr=1e-3)


def keller_jordan_muon(params: Params) -> torch.optim.Optimizer:
    import muon  # pyright: ignore[reportMissingImports]

    return muon.SingleDeviceMuon(params, lr=1e-3)


def lion_pytorch_lion(params: Params) -> torch.optim.Optimizer:
    import lion_pytorch

    return lion_pytorch.Lion(params, lr=1e-4)


def lion_pytorch_triton(params: Params) -> torch.optim.Optimizer:
    import lion_pytorch

    return lion_pytorch.Lion(params, lr=1e-4, use_triton=True)


def pytorch_optimizer_lion(params: Params) -> torch.optim.Optimizer:
    import pytorch_optimizer

    return pytorch_optimizer.Lion(params, lr=1e-4)


MUON: dict[str, Make] = {
    "torch.optim.Muon": lambda p: torch.optim.Muon(p, lr=1e-3, adjust_lr_fn="match_rms_adamw"),
    "autowarmup": lambda p: Muon(named(p), lr=1e-3),
    "autowarmup, kernels()": lambda p: Muon(named(p), lr=1e-3, orthogonalize=kernels()),
    "autowarmup, torch.compile": compiled,
    "dion": dion_muon,
    "pytorch_optimizer": pytorch_optimizer_muon,
    "heavyball": heavyball_muon,
    "flash_muon": flash_muon,
    "gram_newton_schulz": gram_muon,
    "muon (Keller Jordan)": keller_jordan_muon,
}
LION: dict[str, Make] = {
    "lion_pytorch": lion_pytorch_lion,
    "lion_pytorch, triton": lion_pytorch_triton,
    "autowarmup": lambda p: Lion(p, lr=1e-4),
    "pytorch_optimizer": pytorch_optimizer_lion,
}


def on(device: str, shapes: list[tuple[int, ...]]) -> Params:
    """Return parameters with gradients on the device."""
    placed = []
    for p in parameters(shapes):
        moved = nn.Parameter(p.detach().to(device))
        moved.grad = None if p.grad is None else p.grad.to(device)
        placed.append(moved)
    return placed


def wait(device: str) -> None:
    if device != "cpu":
        torch.cuda.synchronize()


def seconds(step: Callable[[], Any], device: str) -> float:
    wait(device)
    began = time.perf_counter()
    step()
    wait(device)
    return time.perf_counter() - began


def peak(step: Callable[[], Any], device: str) -> int | None:
    """Return how many bytes a step needs on top of what is there."""
    if device == "cpu":
        return None
    wait(device)
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    step()
    wait(device)
    return torch.cuda.max_memory_allocated() - before


def measure(
    makers: dict[str, Make], shapes: list[tuple[int, ...]], device: str, rounds: int
) -> dict[str, Any]:
    """Return of each optimizer its seconds and ratios, or why it was skipped."""
    rows: dict[str, Any] = {}
    ready: dict[str, Callable[[], Any]] = {}
    for name, make in makers.items():
        if DRY and ("compile" in name or name == "heavyball"):
            rows[name] = {"skipped": "a small run compiles nothing"}
            continue
        try:
            step = make(on(device, shapes)).step
            for _ in range(1 if DRY else 3):
                step()
            wait(device)
        except (Exception, SystemExit) as error:  # whatever other packages do, the rest goes on
            first = (str(error).strip().splitlines() or [""])[0]
            rows[name] = {"skipped": f"{type(error).__name__}: {first[:200]}"}
            continue
        ready[name] = step
    taken: dict[str, list[float]] = {name: [] for name in ready}
    for _ in range(rounds):
        for name, step in ready.items():
            taken[name].append(seconds(step, device))
    for name, times in taken.items():
        pairs = zip(taken["autowarmup"], times, strict=True)
        rows[name] = {
            "seconds": median(times),
            "autowarmup_times_faster": median(other / ours for ours, other in pairs),
            "bytes_on_top": peak(ready[name], device),
        }
    return {name: rows[name] for name in makers}


def main() -> None:
    """Measure, write JSON, print the ratios."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--device", default="cpu" if DRY else "cuda")
    parser.add_argument("--out", type=Path, default=RESULTS / "gpu_steps.json")
    parser.add_argument("--rounds", type=int, default=2 if DRY else 15)
    args = parser.parse_args()
    device = checked_device(args.device)
    sets = {"muon": (MUON, HIDDEN), "lion": (LION, HIDDEN + OTHER)}
    record: dict[str, Any] = {
        "command": f"python benchmarks/gpu_steps.py --device {device}",
        "environment": environment(),
        "device": "cpu" if device == "cpu" else torch.cuda.get_device_name(device),
        "layers": LAYERS,
        "rounds": args.rounds,
        "steps": {},
    }
    args.out.parent.mkdir(parents=True, exist_ok=True)
    for kind, (makers, shapes) in sets.items():
        record["steps"][kind] = measure(makers, shapes, device, args.rounds)
        args.out.write_text(
            json.dumps(record, indent=1) + "\n", encoding="utf-8"
        )  # what is measured is kept
        for name, row in record["steps"][kind].items():
            said = row.get("skipped") or f"ours is {row['autowarmup_times_faster']:.2f}x as fast"
            print(f"{kind}, {name}: {said}", flush=True)
    print(f"wrote {args.out}")


if __name__ == "__main__":
    main()
