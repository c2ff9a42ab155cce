"""What a probe of `CurvatureObserver` costs, in units of one forward and backward pass.

python benchmarks/observer_overhead.py           # 15 minutes; results/benchmarks/observer.json
python benchmarks/observer_overhead.py llama     # only the settings whose name begins so
python benchmarks/observer_overhead.py --device cuda        # results/gpu/observer.json

One update, one update with a probe, and one pass are timed in turn, round by round, so that a busy
moment of the machine hits all three; the medians over the rounds give

    cost = (update with probe - update) / (forward and backward).

On the CPU it is processor time of one thread, which does not count what other programs take. The
norms of a probe cost the same for every batch, so that for Muon the cost in passes falls with the
tokens of a batch: the settings say both.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from autowarmup.lab.bench.device import checked_device
from autowarmup.lab.environment import environment
from autowarmup.lab.train import RECIPES
from autowarmup.lab.train.model import build_model, token_loss
from autowarmup.lab.train.optimizers import build_optimizer
from autowarmup.measure.observer import CurvatureObserver

DRY = os.environ.get("AUTOWARMUP_BENCH_DRY")  # a directory: small sizes, results go there
RESULTS = Path(DRY or Path(__file__).resolve().parent.parent / "results" / "benchmarks")

WIDE = replace(RECIPES["llama-124m"], layers=2)
MIDDLE = replace(
    RECIPES["small-cpu"], width=384, layers=6, heads=6, hidden=1024, sequence_length=512
)
SIGNS = ("muon", "lion", "normsgd")

# name -> (recipe, vocabulary, batch, rounds, optimizers)
SETTINGS = {
    "tiny-cpu, 16 x 64 tokens": (RECIPES["tiny-cpu"], 256, 16, 40, SIGNS),
    "small-cpu, 16 x 128 tokens": (RECIPES["small-cpu"], 256, 16, 15, SIGNS),
    "small-cpu, 64 x 128 tokens": (RECIPES["small-cpu"], 256, 64, 7, ("muon", "lion")),
    "llama of 14M, 16 x 512 tokens": (MIDDLE, 8192, 16, 3, ("muon", "lion")),
    "llama-124m with 2 of 12 layers, 4 x 512 tokens": (WIDE, 50257, 4, 3, ("muon", "lion")),
}

if DRY:
    SETTINGS = {"tiny-cpu, 2 x 64 tokens": (RECIPES["tiny-cpu"], 256, 2, 1, SIGNS)}


class Setting:
    """One model, one batch, one optimizer, with and without an observer."""

    def __init__(
        self, recipe, vocabulary: int, batch: int, optimizer: str, device: str = "cpu"
    ) -> None:
        length = recipe.sequence_length
        self.model = build_model(recipe, vocabulary=vocabulary, sequence_length=length, seed=0)
        self.model, self.device = self.model.to(device), device
        self.optimizer = build_optimizer(optimizer, self.model, lr=1e-5, weight_decay=0.1)
        self.windows = torch.randint(0, vocabulary, (batch, length + 1)).to(device)
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

    def seconds(self, function: Callable[[], None]) -> float:
        if self.device == "cpu":
            start = time.process_time()
            function()
            return time.process_time() - start
        torch.cuda.synchronize()
        start = time.perf_counter()
        function()
        torch.cuda.synchronize()
        return time.perf_counter() - start


def measure(setting: Setting, rounds: int) -> dict[str, float | int]:
    for warm in (setting.one_pass, setting.update):
        warm()
    bare = [setting.seconds(setting.update) for _ in range(rounds)]
    setting.observer = CurvatureObserver(
        setting.model, setting.optimizer, setting.loss, every=1_000_000
    )
    setting.probed_update()  # the first also checks that the loss is deterministic
    # `see` is compared with the closure the 1st, 2nd, 4th, 8th... time: not in these few rounds.
    setting.observer._times_seen = 2**20
    taken: dict[str, list[float]] = {"pass": [], "update": [], "probed": []}
    for _ in range(rounds):
        taken["pass"].append(setting.seconds(setting.one_pass))
        taken["update"].append(setting.seconds(setting.idle_update))
        taken["probed"].append(setting.seconds(setting.probed_update))
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
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("settings", nargs="*", help="the beginnings of their names; all if none")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    device, chosen = checked_device(args.device), tuple(args.settings)
    place = RESULTS if device == "cpu" or DRY else RESULTS.parent / "gpu"
    path = args.out or place / "observer.json"
    record = {
        "command": "python benchmarks/observer_overhead.py"
        + ("" if device == "cpu" else f" --device {device}"),
        "environment": environment(),
        "seeds": [0],
        "rows": json.loads(path.read_text(encoding="utf-8"))["rows"]
        if chosen and path.exists()
        else {},
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    for name, (recipe, vocabulary, batch, rounds, optimizers) in SETTINGS.items():
        if chosen and not name.startswith(chosen):
            continue
        for optimizer in optimizers:
            row = measure(Setting(recipe, vocabulary, batch, optimizer, device), rounds)
            record["rows"][f"{name}, {optimizer}"] = row
            print(f"{name}, {optimizer}: {row['probe_in_passes']:.2f} passes a probe", flush=True)
            path.write_text(
                json.dumps(record, indent=1) + "\n", encoding="utf-8"
            )  # what is measured is kept
    print(f"wrote {path}")


if __name__ == "__main__":
    main()
