"""Replay policies for the length of warm-up on published sweeps.

    python tools/published_sweeps.py SWEEPS.json

SWEEPS.json holds {"rows": [{"source", "optimizer", "params", "tokens_per_step", "total_steps",
"losses": {updates of warm-up: final loss or null}}, ...]}. Writes results/published_sweeps.json.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from autowarmup.lab.bench.sweeps import POLICIES, replayed
from autowarmup.lab.environment import environment
from autowarmup.lab.files import write_json

OUT = Path(__file__).resolve().parent.parent / "results" / "published_sweeps.json"


def main() -> None:
    """Replay every policy on every sweep and write what came out."""
    path = Path(sys.argv[1])
    rows = json.loads(path.read_text(encoding="utf-8"))["rows"]
    sources = sorted({row["source"] for row in rows})
    # The constants of the default were chosen with all of them in view: a fit, not a test.
    parts = {
        "all": rows,
        **{source: [r for r in rows if r["source"] == source] for source in sources},
    }
    found = {
        name: {part: replayed(sweeps, length) for part, sweeps in parts.items()}
        for name, length in POLICIES.items()
    }
    write_json(
        OUT,
        {
            "command": f"python tools/published_sweeps.py {path.name}",
            "environment": environment(),
            "sources": sources,
            "parameters": sorted({row["params"] for row in rows}),
            "policies": found,
        },
    )
    for name, each in found.items():
        whole = each["all"]
        print(f"{name:28} {100 * whole['mean_regret']:+.2f} %, diverged {len(whole['diverged'])}")


if __name__ == "__main__":
    main()
