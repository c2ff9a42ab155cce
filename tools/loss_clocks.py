"""Two clocks that would read the loss alone, on losses that were recorded.

    python tools/loss_clocks.py LOGS.json    # writes results/loss_clocks.json

The knee: the update at which the mean loss of (t/2, t] lies less than a threshold below that of
(t/4, t/2], after it lay further below. The floor: the loss that a power law with the fall of the
last octave tends to, which the law of the gap would need as its f*. LOGS.json as for
tools/real_logs.py; beside it the runs at the best rate of results/bench/recorded.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from autowarmup.lab.bench.records import read_records
from autowarmup.lab.bench.setups import Setup
from autowarmup.lab.environment import environment
from autowarmup.lab.files import write_json

RESULTS = Path(__file__).resolve().parent.parent / "results"
OUT = RESULTS / "loss_clocks.json"
THRESHOLDS = (0.05, 0.08, 0.1)
"""Falls per octave; on logs at 124M parameters the fall drops below 8 % near the best lengths."""
FIRST, PER_OCTAVE = 64, 4
LOOKS = (256, 512, 1024, 2048, 4096)
POWER = 0.7
"""Of the power law; of 0.3, 0.5 and 0.7 the one whose floors are nearest to the final losses."""


def octaves(losses: Sequence[float], at: int) -> tuple[float, float]:
    """Return the mean losses of the last two octaves before an update."""
    return fmean(losses[at // 4 : at // 2]), fmean(losses[at // 2 : at])


def knee(losses: Sequence[float], threshold: float) -> int | None:
    """Return the update of the knee, `None` where there is none."""
    above = False
    for at in looks(len(losses)):
        before, now = octaves(losses, at)
        fast = 1.0 - now / before >= threshold
        if above and not fast:
            return at
        above = above or fast
    return None


def looks(total: int) -> Iterator[int]:
    """Yield the updates at which the loss is looked at."""
    steps = (round(FIRST * 2 ** (k / PER_OCTAVE)) for k in range(100))
    return (at for at in steps if at <= total)


def floor(losses: Sequence[float], at: int) -> float:
    """Return the loss to which a power law with the fall of the last octave tends."""
    before, now = octaves(losses, at)
    return now - (before - now) / (2**POWER - 1.0)


def row(name: str, losses: Sequence[float]) -> dict[str, Any]:
    """Return what both clocks say of one log."""
    return {
        "log": name,
        "updates": len(losses),
        "final_loss": fmean(losses[-50:]),
        "knees": {str(x): knee(losses, x) for x in THRESHOLDS},
        "floors": {str(at): floor(losses, at) for at in LOOKS if at <= len(losses)},
    }


def main() -> None:
    """Read both kinds of logs and write what the clocks say."""
    public = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))["runs"]
    rows = [row(run["name"], run["loss"]) for run in public]
    for record in read_records(RESULTS / "bench" / "recorded"):
        setup, best = Setup(**record["setup"]), record["options"].get("best")
        if best == setup.lr and record["seed"] == 0:
            name = setup.family.id.replace("-lr0-", "-")
            rows.append(row(name, record["every_loss"]))
    write_json(
        OUT,
        {
            "command": "python tools/loss_clocks.py LOGS.json",
            "source": "KellerJordan/modded-nanogpt, logs of 2024; results/bench/recorded",
            "environment": environment(),
            "power": POWER,
            "public": len(public),
            "logs": rows,
        },
    )


if __name__ == "__main__":
    main()
