"""What a probe of `CurvatureObserver` costs, in units of one forward and backward pass.

python benchmarks/observer_overhead.py    # five minutes; writes results/benchmarks/observer.json

One update, one update with a probe, and one pass are timed in turn, round by round, so that a busy
moment of the machine hits all three; the medians over the rounds give

    cost = (update with probe - update) / (forward and backward).
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from autowarmup.measure.observer import CurvatureObserver
from autowarmup.pretrain import RECIPES
from autowarmup.pretrain.model import build_model, token_loss
from autowarmup.pretrain.optimizers import build_optimizer
from autowarmup.pretrain.result import environment

RESULTS = Path(__file__).resolve().parent.parent / "results" / "benchmarks"

# name -> (recipe, vocabulary, batch, rounds)
SETTINGS = {
    "tiny-cpu": (RECIPES["tiny-cpu"], 256, 16, 40),
    "small-cpu": (RECIPES["small-cpu"], 256, 16, 12),
    "llama-124m, 2 of 12 layers": (replace(RECIPES["llama-124m"], layers=2), 50257, 4, 3),
}
OPTIMIZERS = ("muon", "lion", "normsgd")


class Setting:
    """One model, one batch, one optimizer, with and without an observer."""

    def __init__(self, recipe, vocabulary: int, batch: int, optimizer: str) -> None:
        length = recipe.sequence_length
        self.model = build_model(recipe, vocabulary=vocabulary, sequence_length=length, seed=0)
        self.optimizer = build_optimizer(optimizer, self.model, lr=1e-5, weight_decay=0.1)
        self.windows = torch.randint(0, vocabulary, (batch, length + 1))
        self.observer: CurvatureObserver | None = None

    def loss(self) -> torch.Tensor:
        return token_loss(self.model, self.windows)

    def one_pass(self) -> None:
        self.loss().backward()
        self.optimizer.zero_grad()

    def update(self) -> None:
        loss = self.loss()
        loss.backward()
        if self.observer is not None:
            self.observer.see(loss)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 0.5)
        self.optimizer.step()
        self.optimizer.zero_grad()

    def probed_update(self) -> None:
        assert self.observer is not None
        self.observer.step = 0  # due again
        self.update()

    def idle_update(self) -> None:
        assert self.observer is not None
        self.observer.step = 1  # not due
        self.update()


def seconds(function: Callable[[], None]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def measure(setting: Setting, rounds: int) -> dict[str, float | int]:
    for warm in (setting.one_pass, setting.update):
        warm()
    bare = [seconds(setting.update) for _ in range(rounds)]
    setting.observer = CurvatureObserver(
        setting.model, setting.optimizer, setting.loss, every=1_000_000
    )
    setting.probed_update()  # the first also checks that the loss is deterministic
    taken: dict[str, list[float]] = {"pass": [], "update": [], "probed": []}
    for _ in range(rounds):
        taken["pass"].append(seconds(setting.one_pass))
        taken["update"].append(seconds(setting.idle_update))
        taken["probed"].append(seconds(setting.probed_update))
    median = {key: statistics.median(values) for key, values in taken.items()}
    costs = [
        (probed - update) / one
        for one, update, probed in zip(taken["pass"], taken["update"], taken["probed"], strict=True)
    ]
    return {
        "forward_and_backward_seconds": median["pass"],
        "update_seconds": median["update"],
        "update_with_probe_seconds": median["probed"],
        "probe_in_passes": (median["probed"] - median["update"]) / median["pass"],
        "probe_in_passes_median_of_rounds": statistics.median(costs),
        "idle_update_over_bare_update": median["update"] / statistics.median(bare),
        "rounds": rounds,
    }


def main() -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    rows = {}
    for name, (recipe, vocabulary, batch, rounds) in SETTINGS.items():
        for optimizer in OPTIMIZERS:
            row = measure(Setting(recipe, vocabulary, batch, optimizer), rounds)
            rows[f"{name}, {optimizer}"] = row
            print(f"{name}, {optimizer}: a probe costs {row['probe_in_passes']:.2f} passes")
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / "observer.json"
    record = {
        "command": "python benchmarks/observer_overhead.py",
        "environment": environment(),
        "seeds": [0],
        "rows": rows,
    }
    path.write_text(json.dumps(record, indent=1) + "\n")
    print(f"wrote {path}")


if __name__ == "__main__":
    main()
