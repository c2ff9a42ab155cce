"""What the first updates do to a model that is trained already, at rates that are too high or not.

python -m studies.life.first_steps   # writes results/first_steps.json; some minutes
"""

from __future__ import annotations

import copy
import warnings
from pathlib import Path
from typing import Any

import torch

from autowarmup import AdaptiveWarmup
from autowarmup.lab.environment import environment
from autowarmup.lab.files import write_json
from studies.life.loop import Training, text

OUT = Path(__file__).resolve().parents[2] / "results" / "first_steps.json"
RATES = {"muon": 0.012, "lion": 0.002, "adamw": 0.008}
"""The best of a sweep for fine-tuning, `lab.bench.setups.BEST_TUNED`."""
MULTIPLES = (1, 4, 16)
RULES = ("none", "linear 5%", "paced")
SEEDS = (0, 1)
BEFORE, UPDATES, LOOKS = 1500, 300, (1, 3, 10, 30, 100, 300)
DATA = str(Path(torch.__file__).parent / "nn")
"""Python of another style than that of the standard library, there wherever torch is."""


def main() -> None:
    """Train, go on with every optimizer, rate and rule, and write the losses on the way."""
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", message="update [0-9]+:")
    task, other, rows = text(), text(DATA), []
    for seed in SEEDS:
        before = Training(task, seed)
        before.begin("adamw", 0.008, lambda o: AdaptiveWarmup(o, BEFORE, rule="linear 5%"))
        before.update(BEFORE)
        for name, rate in RATES.items():
            for multiple in MULTIPLES:
                for rule in RULES:
                    rows.append(one(other, before, seed, name, rate * multiple, rule))
                    rows[-1]["multiple"] = multiple
                    print(rows[-1], flush=True)
    record = {"command": "python -m studies.life.first_steps", "environment": environment()}
    about = (
        "micro LLaMA (0.03M parameters), 1,500 updates on the standard library, then 300 on "
        "the sources of torch.nn, 256 tokens an update"
    )
    write_json(OUT, {**record, "about": about, "rates": RATES, "seeds": list(SEEDS), "runs": rows})


def one(task: Any, before: Training, seed: int, name: str, lr: float, rule: str) -> dict[str, Any]:
    """Return the validation losses before and after so many updates."""
    run = Training(task, seed, copy.deepcopy(before.model))
    scheduler = run.begin(name, lr, lambda o: AdaptiveWarmup(o, UPDATES, rule=rule))
    losses = {0: run.validation()}
    for at in LOOKS:
        run.update(at - run.at)
        losses[at] = run.validation()
    first = scheduler.trace[0].factor
    return {"optimizer": name, "rule": rule, "seed": seed, "first_share": first, "losses": losses}


if __name__ == "__main__":
    main()
