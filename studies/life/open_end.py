"""Runs whose end was not known, moved, or that lost their optimizer state, against those that knew.

python -m studies.life.open_end      # writes results/open_end.json; a quarter of an hour
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from autowarmup import AdaptiveWarmup, Paced
from autowarmup.lab.environment import environment
from autowarmup.lab.files import write_json
from studies.life.loop import Training, paired, text

OUT = Path(__file__).resolve().parents[2] / "results" / "open_end.json"
RATES = {"muon": 0.012, "adamw": 0.008}
SEEDS = range(5)
RUN, DECAY, LONGER = 1000, 200, 1500


def knew(run: Training, name: str) -> None:
    """Know the end of 1,000 updates, decay over the last fifth."""
    run.begin(name, RATES[name], lambda o: AdaptiveWarmup(o, RUN, decay="wsd"))
    run.update(RUN)


def told_late(run: Training, name: str, *, tokens: float | None = None) -> None:
    """Know no end until 200 updates before it."""
    rule = Paced(tokens_per_update=tokens)
    scheduler = run.begin(name, RATES[name], lambda o: AdaptiveWarmup(o, rule=rule, decay="linear"))
    run.update(RUN - DECAY)
    scheduler.start_decay(DECAY)
    run.update(DECAY)


def knew_longer(run: Training, name: str) -> None:
    """Know the end of 1,500 updates."""
    run.begin(name, RATES[name], lambda o: AdaptiveWarmup(o, LONGER))
    run.update(LONGER)


def extended(run: Training, name: str) -> None:
    """Think of 1,000 updates until 700, when 1,500 are asked for."""
    scheduler = run.begin(name, RATES[name], lambda o: AdaptiveWarmup(o, RUN))
    run.update(700)
    scheduler.extend(LONGER)
    run.update(LONGER - 700)


def lost(run: Training, name: str, *, rewarm: bool) -> None:
    """Lose the state of the optimizer at half of 1,000 updates."""
    first = run.begin(name, RATES[name], lambda o: AdaptiveWarmup(o, RUN))
    run.update(RUN // 2)
    state = first.state_dict()
    second = run.begin(name, RATES[name], lambda o: AdaptiveWarmup(o, RUN))
    second.load_state_dict(state)
    if rewarm:
        second.rewarm()
    run.update(RUN - RUN // 2)


def kept(run: Training, name: str) -> None:
    """Lose nothing."""
    run.begin(name, RATES[name], lambda o: AdaptiveWarmup(o, RUN))
    run.update(RUN)


WAYS: dict[str, Callable[[Training, str], None]] = {
    "end known": knew,
    "end told late": told_late,
    "end told late, tokens known": lambda run, name: told_late(run, name, tokens=256),
    "longer end known": knew_longer,
    "extended": extended,
    "state kept": kept,
    "state lost, rewarm": lambda run, name: lost(run, name, rewarm=True),
    "state lost": lambda run, name: lost(run, name, rewarm=False),
}
AGAINST = {
    "end told late": "end known",
    "end told late, tokens known": "end known",
    "extended": "longer end known",
    "state lost, rewarm": "state kept",
    "state lost": "state kept",
}


def main() -> None:
    """Train every way with every seed and write losses and paired differences."""
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", message="update [0-9]+:")
    task, found = text(), {}
    for name in RATES:
        losses: dict[str, list[float]] = {}
        for way, train in WAYS.items():
            for seed in SEEDS:
                run = Training(task, seed)
                train(run, name)
                losses.setdefault(way, []).append(run.validation())
            print(name, way, losses[way], flush=True)
        pairs: dict[str, Any] = {
            way: {"against": other, **paired(losses[way], losses[other])}
            for way, other in AGAINST.items()
        }
        found[name] = {"validation_losses": losses, "differences": pairs}
    record = {"command": "python -m studies.life.open_end", "environment": environment()}
    about = "micro LLaMA (0.03M parameters) on the standard library, 256 tokens an update"
    write_json(OUT, {**record, "about": about, "rates": RATES, "seeds": list(SEEDS), **found})


if __name__ == "__main__":
    main()
