"""What a rule does with recorded losses of runs that went well.

    python tools/real_logs.py LOGS.json [RULE]

LOGS.json holds {"runs": [{"name", "source", "loss": [...]}, ...]}. Writes results/real_logs.json:
how far the rate rose, and how often the rule lowered it. The losses are those of the old rates: a
check for false alarms, not a forecast.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from autowarmup.lab.environment import environment
from autowarmup.lab.files import write_json
from autowarmup.rules import DEFAULT_RULE, Run, Status, begin, rule_of, step

OUT = Path(__file__).resolve().parent.parent / "results" / "real_logs.json"


def walked(rule: str, losses: list[float]) -> dict:
    """Return what the rule does over a whole log."""
    state, lowered = begin(rule_of(rule), Run(len(losses), decay="constant")), 0
    for loss in losses:
        state = step(state, loss)
        lowered += state.status is Status.LOWERED
    return {"updates": len(losses), "share_of_the_peak_rate": state.share, "lowered": lowered,
            "warmup_end_step": state.end}  # fmt: skip


def main() -> None:
    """Walk every log and write what came out."""
    logs, rule = Path(sys.argv[1]), (sys.argv[2:] or [DEFAULT_RULE])[0]
    runs = [
        {"name": run["name"], "source": run["source"], **walked(rule, run["loss"])}
        for run in json.loads(logs.read_text())["runs"]
    ]
    command = f"python tools/real_logs.py {logs.name} {rule}"
    write_json(OUT, {"command": command, "environment": environment(), "rule": rule, "runs": runs})
    for run in runs:
        print(f"{run['name']}: {run['share_of_the_peak_rate']:.2f}, lowered {run['lowered']} times")


if __name__ == "__main__":
    main()
