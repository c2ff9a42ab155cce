"""The published protocol cut to the time there is: the default against three hand-tuned warm-ups.

python benchmarks/llama_warmup.py --plan                    # what it will do, without doing it
python benchmarks/llama_warmup.py --minutes 25              # Muon at 124M on one GPU
python benchmarks/llama_warmup.py --recipe tiny-cpu --minutes 5       # the same on a CPU, small

A few updates are timed first; the length of the four runs is what fits into the minutes given, and
all four have the same length, rate, batches and seed. Each run is stored as it ends, and the same
command goes on where it stopped. The summary is results/llama/RECIPE-OPTIMIZER.json.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import torch

from autowarmup.lab.environment import environment
from autowarmup.lab.train import TrainConfig
from autowarmup.lab.train.config import OPEN
from autowarmup.lab.train.train import train
from autowarmup.rules import DEFAULT_RULE

HERE = Path(__file__).resolve().parent
RULES = (DEFAULT_RULE, "linear 2%", "linear 10%", "linear 40%")
TIMED = 8
"""Updates of the run that measures the speed; the first half of them warms caches up."""
KEPT = 0.85
"""Share of the minutes that is planned for: evaluations and checkpoints take the rest."""


def main() -> int:
    """Plan, time, train, write; return the exit status."""
    asked = parse()
    unready = why_not(asked)
    if asked.plan or unready:
        print(plan(asked))
        if unready:
            print(f"not started: {unready}")
        return 0 if asked.plan else 2
    out = HERE.parent / "results" / "llama" if asked.out is None else Path(asked.out)
    work = out / "runs" / f"{asked.recipe}-{asked.optimizer}"
    steps = settled_steps(asked, work)
    print(f"{len(RULES)} runs of {steps} updates each", flush=True)
    rows = []
    for rule in RULES:
        folder = work / rule.replace(" ", "-")
        rows.append(row(train(config_of(asked, rule, steps), out=folder, resume=True)))
    best = min(r["val_loss"] for r in rows[1:] if r["val_loss"] is not None)
    for r in rows:
        r["regret"] = None if r["val_loss"] is None else r["val_loss"] / best - 1
        print(f"{r['rule']:>10}  {r['val_loss']}  regret {r['regret']}")
    summary = {
        "command": " ".join(["python", "benchmarks/llama_warmup.py", *sys.argv[1:]]),
        "environment": environment(),
        "steps": steps,
        "runs": rows,
    }
    path = out / f"{asked.recipe}-{asked.optimizer}.json"
    path.write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    print(path)
    return 0


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--recipe", default="llama-124m")
    parser.add_argument("--optimizer", default="muon")
    parser.add_argument("--minutes", type=float, default=25.0, help="for all four runs together")
    parser.add_argument("--data", help='corpus; "stdlib" where the Hub cannot be reached')
    parser.add_argument("--tokenizer", help='"bytes" where the Hub cannot be reached')
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", help="default results/llama")
    parser.add_argument("--plan", action="store_true", help="say what would be done, and stop")
    return parser.parse_args()


def why_not(asked: argparse.Namespace) -> str:
    """Return why these runs cannot start here, or nothing."""
    if asked.recipe.startswith("llama") and not torch.cuda.is_available():
        return f"{asked.recipe} needs a GPU: expected a CUDA device, got none"
    return ""


def config_of(asked: argparse.Namespace, rule: str, steps: int = OPEN) -> TrainConfig:
    """Return one of the four runs; all else follows the recipe."""
    return TrainConfig(
        recipe=asked.recipe,
        optimizer=asked.optimizer,
        rule=rule,
        steps=steps,
        seed=asked.seed,
        data=asked.data,
        tokenizer=asked.tokenizer,
        mixed_precision="bf16" if torch.cuda.is_available() else "no",
    )


def plan(asked: argparse.Namespace) -> str:
    """Return in words what will be done."""
    config = config_of(asked, DEFAULT_RULE)
    tokens = config.batch_size * config.sequence_length
    return (
        f"{asked.recipe}, {asked.optimizer} at {config.lr:g}, {config.data} in {config.tokenizer} "
        f"tokens, {config.batch_size} x {config.sequence_length} = {tokens:,} tokens an update\n"
        f"1. time {TIMED} updates\n"
        f"2. take the number of updates of which four runs fit into {asked.minutes:g} minutes, at "
        f"most the {config.steps} of the recipe\n"
        f"3. train {', '.join(RULES)}, cosine decay to 0, weight decay {config.weight_decay:g}, "
        f"clipped at {config.clip:g}, seed {asked.seed}\n"
        "4. write final validation losses and regrets against the best of the three"
    )


def settled_steps(asked: argparse.Namespace, work: Path) -> int:
    """Return the length of the runs: the one settled on before, or what fits into the minutes."""
    path = work / "steps.json"
    if path.exists():
        return json.loads(path.read_text(encoding="utf-8"))["steps"]
    seconds = seconds_per_update(asked, work)
    full = config_of(asked, DEFAULT_RULE).steps
    steps = min(full, int(KEPT * 60 * asked.minutes / len(RULES) / seconds))
    if steps < 20:
        raise SystemExit(
            f"minutes: expected time for 20 updates of four runs at {seconds:.2f} s each, "
            f"got {asked.minutes:g} minutes"
        )
    path.write_text(
        json.dumps({"steps": steps, "seconds_per_update": seconds}) + "\n", encoding="utf-8"
    )
    return steps


def seconds_per_update(asked: argparse.Namespace, work: Path) -> float:
    """Time a short run twice, so that data, compilation and start-up do not count."""
    took = []
    for steps in (TIMED // 2, TIMED + TIMED // 2):
        folder = work / f"timing-{steps}"
        shutil.rmtree(folder, ignore_errors=True)  # a stored run would take no time
        began = time.perf_counter()
        train(config_of(asked, "linear 2%", steps), out=folder, progress=False)
        took.append(time.perf_counter() - began)
    return max(1e-4, (took[1] - took[0]) / TIMED)


def row(record: dict[str, Any]) -> dict[str, Any]:
    """Return what the summary keeps of one run."""
    return {
        "rule": record["config"]["rule"],
        "status": record["status"],
        "val_loss": record.get("val_loss"),
        "command": record["command"],
    }


if __name__ == "__main__":
    sys.exit(main())
