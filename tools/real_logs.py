"""What a rule does with recorded losses of runs that went well.

    python tools/real_logs.py LOGS.json [RULE]

LOGS.json holds {"runs": [{"name", "source", "optimizer", "params", "tokens_per_step", "loss"},
...]}. Writes results/real_logs.json: how far the rate rose, and how often the rule lowered it, once
with nothing known but the class of the optimizer and once with its tokens; and where the papers'
laws end on the logs at 124M parameters. The losses are those of the old rates: a check for false
alarms, not a forecast.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from autowarmup.lab.bench.alarms import walked
from autowarmup.lab.environment import environment
from autowarmup.lab.files import write_json
from autowarmup.lab.train.recipes import recipe
from autowarmup.recorded import walk
from autowarmup.rules import DEFAULT_RULE, H0H1, GapLaw, Paced, Rule, Run, rule_of
from autowarmup.rules.families import family_named

OUT = Path(__file__).resolve().parent.parent / "results" / "real_logs.json"

LAW_LOGS = ("muon-124m", "adamw-124m")
"""Logs that are near the papers' own set-up."""


def judged(rule: Rule[Any], log: dict) -> dict:
    """Return what a rule does over one log."""
    losses = log["loss"]
    run = Run(
        len(losses),
        decay="constant",
        family=family_named(log["optimizer"]),
        parameters=log["params"],
    )
    found = walked(rule, run, losses)
    return {
        "updates": len(losses),
        "share_of_the_peak_rate": found["share_at_the_end"],
        "lowered": len(found["lowered_at"]),
        "warmup_end_step": found["warmup_end_step"],
    }


def laws(logs: list[dict]) -> list[dict]:
    """Return where the papers' laws end, with the constants of their protocol."""
    recipe_124m = recipe("llama-124m")
    width, hidden = recipe_124m.width, recipe_124m.hidden
    block = [(width, width)] * 4 + [(hidden, width)] * 3
    shapes = [(50_304, width), *block * recipe_124m.layers]
    kappa = float(sum(min(shape) for shape in shapes))
    rules = (
        GapLaw(end="published", div=100.0, f_star=3.2, kappa=kappa, max_fraction=1.0),
        GapLaw(end="flat", div=100.0, f_star=3.2, max_fraction=1.0),
        H0H1(div=100.0),
    )
    rows = []
    for log in logs:
        for rule in rules if log["name"] in LAW_LOGS else ():
            run = Run(len(log["loss"]), decay="constant")
            states = [after for _, _, after in walk(rule, run, log["loss"])]
            rows.append(
                {
                    "rule": rule.name,
                    "log": log["name"],
                    "end": states[-1].end,
                    "shares": [states[at].share for at in (400, 2000)],
                }
            )
    return rows


def main() -> None:
    """Walk every log and write what came out."""
    logs, name = Path(sys.argv[1]), (sys.argv[2:] or [DEFAULT_RULE])[0]
    rule, runs, given = rule_of(name), [], json.loads(logs.read_text(encoding="utf-8"))["runs"]
    for log in given:
        row = {"name": log["name"], "source": log["source"], **judged(rule, log)}
        if isinstance(rule, Paced):
            told = replace(rule, tokens_per_update=log["tokens_per_step"])
            row["with_its_tokens"] = judged(told, log)
        runs.append(row)
    command = f"python tools/real_logs.py {logs.name} {name}"
    write_json(
        OUT,
        {
            "command": command,
            "environment": environment(),
            "rule": name,
            "runs": runs,
            "laws": laws(given),
        },
    )
    for run in runs:
        print(f"{run['name']}: {run['share_of_the_peak_rate']:.2f}, lowered {run['lowered']} times")


if __name__ == "__main__":
    main()
