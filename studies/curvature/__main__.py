"""Measure the curvature along every run of the committed study, into results/curvature/.

    python -m studies.curvature              # what is missing; about an hour on one core
    python -m studies.curvature tiny-muon    # only these
    python -m studies.curvature --draw       # the page of every stored run, and the figures, again

Every run is one `autowarmup measure` command, printed before it starts; what is stored is skipped,
and a run that was cut short goes on from its checkpoint. `summary.json` and the two figures that
show all runs are written at the end.
"""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

from autowarmup.lab.cli import main as autowarmup
from autowarmup.lab.problems.registry import OBJECTS
from studies.curvature.summary import write_summary

ROOT = Path(__file__).resolve().parents[2]
STUDY = Path("results/curvature")

# Two sizes, 2,000 steps each, the suggested rate of each recipe.
SIZES = {
    # Most of the gap falls in the first hundred steps: the small model can afford to look often.
    "tiny": "--recipe tiny-cpu --steps 2000 --every 4",
    "small": "--recipe small-cpu --batch-size 8 --steps 2000 --every 10",
}
OPTIMIZERS = {
    "muon": "--optimizer muon",
    "lion": "--optimizer lion",
    "signum": "--optimizer signum",
    "normsgd": "--optimizer normsgd",
    "adamw": "--optimizer adamw --norm linf",  # it has no norm of its own; its moves are near signs
}


def commands() -> dict[str, list[str]]:
    """Return the arguments of `autowarmup` by the name of each run."""
    found = {
        f"{size}-{optimizer}": f"measure {recipe} {chosen} --threads 1"
        for size, recipe in SIZES.items()
        for optimizer, chosen in OPTIMIZERS.items()
    }
    # Muon leaves the embedding to AdamW; what its own matrices show alone.
    found |= {f"{size}-muon-own": f"{found[f'{size}-muon']} --count constrained" for size in SIZES}
    # The small language model of paper B: plain SGD, with the Hessian.
    found["tiny-sgd"] = (
        "measure --recipe tiny-cpu --steps 2000 --optimizer sgd --every 40 --hessian --threads 1"
    )
    found |= {f"object-{name}": f"measure --object {name}" for name in OBJECTS}
    return {
        name: [*shlex.split(words), "--out", str(STUDY / name)] for name, words in found.items()
    }


def main(words: list[str]) -> int:
    """Run what is asked for and missing, then draw the figures."""
    asked = [word for word in words if not word.startswith("--")]
    drawing, failed = "--draw" in words, 0
    for name, arguments in commands().items():
        if asked and name not in asked:
            continue
        stored = (STUDY / name / "measure.json").exists()
        if drawing and stored:
            arguments = ["measure", "--draw", "--out", str(STUDY / name)]
        if drawing == stored:
            print(shlex.join(["autowarmup", *arguments]), flush=True)
            failed += autowarmup(arguments) != 0
    write_summary(STUDY)
    return 1 if failed else 0


if __name__ == "__main__":
    os.chdir(ROOT)
    raise SystemExit(main(sys.argv[1:]))
