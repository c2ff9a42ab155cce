"""A Muon step beside torch.optim.Muon's, in turns, and how near both are to the polar factor.

python benchmarks/muon_step.py                 # results/benchmarks/muon_step.json
python benchmarks/muon_step.py --threads 1 --rounds 9

All take their steps in turns on the same gradients, and a ratio is the median of the ratios
of single rounds: what else the machine does meanwhile meets both. Processor time is given beside
wall time; with one thread it does not count the time that others take. AUTOWARMUP_BENCH_LAYERS is
the number of layers of llama-124m (12).
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import torch
from bench_optimizers import DRY, HIDDEN, LAYERS, parameters
from torch.optim import _muon

from autowarmup.lab.environment import environment
from autowarmup.norms import Muon, Spectral, newton_schulz, polar_exact, three_steps
from autowarmup.norms.polar import KELLER_JORDAN

RESULTS = Path(DRY or Path(__file__).resolve().parent.parent / "results" / "benchmarks")
UNIT = 24 if DRY else 768  # the width of llama-124m
SETS = {
    "llama-124m": HIDDEN,
    "at least 3:1": [(UNIT, 3 * UNIT), (3 * UNIT, UNIT), (UNIT, 4 * UNIT)],
}
METHODS = {"autowarmup": "newton_schulz", "three_steps": "three_steps"}
SHORT, LONG = (32, 80) if DRY else (512, 1400)


def seconds(step: Callable[[], Any]) -> tuple[float, float]:
    wall, processor = time.perf_counter(), time.process_time()
    step()
    return time.perf_counter() - wall, time.process_time() - processor


def measure(shapes: list[tuple[int, ...]], rounds: int) -> dict[str, Any]:
    theirs = torch.optim.Muon(parameters(shapes), lr=1e-3, adjust_lr_fn="match_rms_adamw")
    sides: dict[str, torch.optim.Optimizer] = {"torch": theirs}
    for name, method in METHODS.items():
        named = [(f"layer.{k}", p) for k, p in enumerate(parameters(shapes))]
        sides[name] = Muon(named, lr=1e-3, method=method)
    for side in sides.values():
        side.step()
    turns = [{name: seconds(side.step) for name, side in sides.items()} for _ in range(rounds)]
    record: dict[str, Any] = {"rounds": rounds}
    for clock, what in enumerate(("wall", "processor")):
        for name in sides:
            record[f"{name}_{what}_seconds"] = median(turn[name][clock] for turn in turns)
        for name in METHODS:
            ratio = median(turn["torch"][clock] / turn[name][clock] for turn in turns)
            record[f"{name}_times_faster_{what}"] = ratio
    return record


def accuracy() -> list[dict[str, Any]]:
    """Return the relative distance to the polar factor and the largest singular value."""
    ways: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
        "torch.optim.Muon": lambda x: _muon._zeropower_via_newtonschulz(x, KELLER_JORDAN, 5, 1e-7),
        "newton_schulz": newton_schulz,
        "three_steps": three_steps,
        "polar_express": lambda x: Spectral("polar_express").lmo_many([x])[0],
    }
    rows = []
    for shape in ((SHORT, SHORT), (SHORT, LONG)):
        i = torch.arange(1.0, SHORT + 1.0, dtype=torch.float64)
        fall = {f"i^-{decay:g}": i**-decay for decay in (0.0, 0.5, 1.0, 1.2, 1.5)}
        fall["exp(-i / 80)"] = (-i / 80).exp()
        for name, values in fall.items():
            x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
            u, _, vh = torch.linalg.svd(x.double(), full_matrices=False)
            x = u @ torch.diag(values) @ vh
            polar, x = polar_exact(x), x.float()
            row: dict[str, Any] = {"shape": shape, "singular values": name}
            for called, way in ways.items():
                y = way(x).double()
                row[called] = {
                    "distance": ((y - polar).norm() / polar.norm()).item(),
                    "largest singular value": torch.linalg.svdvals(y).max().item(),
                }
            rows.append(row)
    return rows


def main() -> None:
    """Measure, write JSON, print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=RESULTS / "muon_step.json")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    layers = "" if LAYERS == 12 else f"AUTOWARMUP_BENCH_LAYERS={LAYERS} "
    record = {
        "command": f"{layers}python benchmarks/muon_step.py --threads {args.threads}",
        "environment": environment(),
        "threads": args.threads,
        "load_before": os.getloadavg()[0],
        "layers": LAYERS,
        "steps": {name: measure(shapes, args.rounds) for name, shapes in SETS.items() if shapes},
        "accuracy": accuracy(),
    }
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    for name, row in record["steps"].items():
        for way in METHODS:
            wall, processor = (row[f"{way}_times_faster_{what}"] for what in ("wall", "processor"))
            times = f"{wall:.2f}x torch.optim.Muon ({processor:.2f}x in processor time)"
            print(f"{name}, {way}: {times}")
    print(f"wrote {args.out}")


if __name__ == "__main__":
    main()
