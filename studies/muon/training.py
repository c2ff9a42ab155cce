"""Muon's ways to the polar factor beside each other: losses of a training, distances on gradients.

python -m studies.muon.training    # results/benchmarks/muon_methods.json; ten minutes on one core

Every way makes the same updates on the same batches from the same weights, at the best rate of the
benchmark's sweep and at twice that. The gradients are those of a wider model: the directions that
the optimizer's next steps would orthogonalize, the default's distance to their polar factors beside
the others'.
"""

from __future__ import annotations

import statistics
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from autowarmup import AdaptiveWarmup, Muon
from autowarmup.lab.bench.setups import BEST, SIZES
from autowarmup.lab.environment import environment
from autowarmup.lab.files import write_json
from autowarmup.lab.train.model import build_model
from autowarmup.norms import Spectral, polar_exact
from studies.life.loop import Training, paired, text

OUT = Path(__file__).resolve().parents[2] / "results" / "benchmarks" / "muon_methods.json"
METHODS = ("newton_schulz", "three_steps", "polar_express")
MULTIPLES = (1, 2)
SEEDS = (0, 1, 2)
UPDATES = 600
WIDER = replace(SIZES["micro"], width=192, heads=6, hidden=512, about="0.9M parameters on bytes")
LOOKS = (1, 30, 100, 300)


class Run(Training):
    """A training with Muon and one way to the polar factor."""

    def start(self, method: str, lr: float, updates: int) -> None:
        """Give it the optimizer, with a linear warm-up of 5 % and a cosine decay."""
        self.optimizer = Muon(self.model, lr=lr, weight_decay=0.1, method=method)
        self.scheduler = AdaptiveWarmup(self.optimizer, updates, rule="linear 5%")


def main() -> None:
    """Train, compare, write."""
    torch.set_num_threads(1)
    runs = [
        one(method, multiple, seed)
        for multiple in MULTIPLES
        for seed in SEEDS
        for method in METHODS
    ]
    compared = []
    for multiple in MULTIPLES:
        losses = {
            method: [r["loss"] for r in runs if (r["method"], r["multiple"]) == (method, multiple)]
            for method in METHODS
        }
        for method in METHODS[1:]:
            row = paired(losses[method], losses[METHODS[0]])
            compared.append({"method": method, "multiple": multiple, **row})
            print(compared[-1], flush=True)
    about = (
        f"micro LLaMA (0.03M parameters), {UPDATES} updates of 256 tokens of the standard library, "
        "Muon at the best rate of the sweep and at twice that; relative differences to "
        "newton_schulz of the final validation loss, paired by seed"
    )
    write_json(
        OUT,
        {
            "command": "python -m studies.muon.training",
            "environment": environment(),
            "about": about,
            "rate": BEST["muon"],
            "seeds": list(SEEDS),
            "compared": compared,
            "gradients": gradients(),
            "runs": runs,
        },
    )


def one(method: str, multiple: int, seed: int) -> dict[str, Any]:
    """Return the final validation loss of one run."""
    run = Run(text(), seed)
    run.start(method, BEST["muon"] * multiple, UPDATES)
    run.update(UPDATES)
    row = {"method": method, "multiple": multiple, "seed": seed, "loss": run.validation()}
    print(row, flush=True)
    return row


def gradients() -> dict[str, Any]:
    """Return the mean distance and the largest singular value over a wider model's matrices."""
    task = text()
    model = build_model(
        WIDER, vocabulary=task.corpus.vocabulary, sequence_length=WIDER.sequence_length, seed=0
    )
    run, rows, done = Run(task, 0, model), [], 0
    run.start(METHODS[0], BEST["muon"], LOOKS[-1])
    for at in LOOKS:
        run.update(at - done)
        done = at
        directions = momenta(run.optimizer)
        for method in METHODS:
            rows.append({"update": at, "method": method, **accuracy(method, directions)})
            print(rows[-1], flush=True)
    return {"about": f"{WIDER.about}, width {WIDER.width}", "rows": rows}


def momenta(optimizer: torch.optim.Optimizer | None) -> list[Tensor]:
    """Return the momenta of all matrices in the spectral norm."""
    assert optimizer is not None
    groups = [group for group in optimizer.param_groups if group["norm"] == "spectral"]
    params: list[nn.Parameter] = [p for group in groups for p in group["params"]]
    return [optimizer.state[p]["momentum_buffer"] for p in params]


def accuracy(method: str, directions: list[Tensor]) -> dict[str, float]:
    """Return the mean relative distance to the polar factor, and the largest singular value."""
    distances, largest = [], []
    for x in directions:
        y, polar = Spectral(method).lmo(x).double(), polar_exact(x.double())
        distances.append(((y - polar).norm() / polar.norm()).item())
        largest.append(torch.linalg.matrix_norm(y, 2).item())
    return {"distance": statistics.fmean(distances), "largest": max(largest)}


if __name__ == "__main__":
    main()
