"""What a rule does with recorded losses of runs that went well.

    python tools/real_logs.py LOGS.json [RULE]

LOGS.json holds {"runs": [{"name", "source", "optimizer", "params", "tokens_per_step", "loss"}, ...]}.
Writes results/real_logs.json: how far the rate rose, and how often the rule lowered it, once with
nothing known but the class of the optimizer and once with its tokens. The losses are those of the
old rates: a check for false alarms, not a forecast.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from autowarmup.lab.bench.alarms import walked
from autowarmup.lab.bench.replay import family_of
from autowarmup.lab.environment import environment
from autowarmup.lab.files import write_json
from autowarmup.rules import DEFAULT_RULE, Paced, Rule, Run, rule_of

OUT = Path(__file__).resolve().parent.parent / "results" / "real_logs.json"


def judged(rule: Rule[Any], log: dict) -> dict:
    """Return what a rule does over one log."""
    losses = log["loss"]
    run = Run(
        len(losses),
        decay="constant",
        family=family_of(log["optimizer"].lower()),
        parameters=log["params"],
    )
    found = walked(rule, run, losses)
    return {
        "updates": len(losses),
        "share_of_the_peak_rate": found["share_at_the_end"],
        "lowered": len(found["lowered_at"]),
        "warmup_end_step": found["warmup_end_step"],
    }


def main() -> None:
    """Walk every log and write what came out."""
    logs, name = Path(sys.argv[1]), (sys.argv[2:] or [DEFAULT_RULE])[0]
    rule, runs = rule_of(name), []
    for log in json.loads(logs.read_text())["runs"]:
        row = {"name": log["name"], "source": log["source"], **judged(rule, log)}
        if isinstance(rule, Paced):
            told = replace(rule, tokens_per_update=log["tokens_per_step"])
            row["with_its_tokens"] = judged(told, log)
        runs.append(row)
    command = f"python tools/real_logs.py {logs.name} {name}"
    write_json(OUT, {"command": command, "environment": environment(), "rule": name, "runs": runs})
    for run in runs:
        print(f"{run['name']}: {run['share_of_the_peak_rate']:.2f}, lowered {run['lowered']} times")


if __name__ == "__main__":
    main()
