"""Measure the gradient noise scale of the benchmark's models: results/bench/noise_scale.json.

    python tools/noise_scale.py

trains each model with AdamW, and the smallest one with every optimizer, at the best rate for 600
updates. What is stored already is kept: delete the file to measure again.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import torch

from autowarmup.lab.bench.noise_scale import noise_scale
from autowarmup.lab.bench.setups import BEST, Setup, best_rate
from autowarmup.lab.environment import environment
from autowarmup.lab.files import write_json

OUT = Path(__file__).parents[1] / "results" / "bench" / "noise_scale.json"


def setups() -> list[Setup]:
    """Return what is measured."""
    plain = [Setup(optimizer, 0.0, steps=600) for optimizer in BEST]
    plain.append(Setup("adamw", 0.0, model="digits", batch=32, steps=600))
    return [replace(setup, lr=best_rate(setup)) for setup in plain]


def main() -> None:
    """Measure what is missing and write the JSON after each set-up."""
    torch.set_num_threads(1)
    found = json.loads(OUT.read_text(encoding="utf-8"))["measured"] if OUT.exists() else []
    held = [each["setup"] for each in found]
    for setup in setups():
        if setup.to_dict() in held:
            continue
        found.append(noise_scale(setup))
        values = {"command": "python tools/noise_scale.py", "environment": environment()}
        write_json(OUT, {**values, "measured": found})
        scales = [point["examples"] for point in found[-1]["points"]]
        print(setup.id, *["-" if scale is None else f"{scale:.0f}" for scale in scales])


if __name__ == "__main__":
    main()
