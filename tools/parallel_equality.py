"""Compare one run in one process with the same in four: results/parallel/equality.json.

    python tools/parallel_equality.py

makes the runs of tests/lab/train/parallel_runs.py and keeps the largest differences.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from autowarmup.history import Trace

ROOT = Path(__file__).parents[1]


def largest(one: list[float], other: list[float], *, relative: bool) -> float:
    """Return the largest difference, or the largest relative to `one`."""
    pairs = zip(one, other, strict=True)
    return max(abs(a - b) / (abs(a) if relative else 1.0) for a, b in pairs)


def compare(runs: Path, base: str, name: str) -> dict[str, object]:
    """Return how far the trace of `name` is from that of `base`."""
    traces = [Trace.read(runs / each / "trace.jsonl") for each in (base, name)]
    lr, loss, norm = ([t.column(key) for t in traces] for key in ("lr", "loss", "grad_norm"))
    record = json.loads((runs / name / "result.json").read_text(encoding="utf-8"))
    return {
        "updates": len(traces[0]),
        "lr_relative": largest(*lr, relative=True),
        "loss": largest(*loss, relative=False),
        "grad_norm_relative": largest(*norm, relative=True),
        **{key: record[key] for key in ("parallel", "processes", "replicas_agree", "command")},
        "environment": record["environment"],
    }


def main() -> None:
    """Make the runs and write the JSON."""
    with tempfile.TemporaryDirectory() as place:
        root, corpus = Path(place), Path(place) / "corpus.txt"
        corpus.write_text(
            "".join(f"line {n} of a text to learn from\n" for n in range(400)), encoding="utf-8"
        )
        script = ROOT / "tests" / "lab" / "train" / "parallel_runs.py"
        subprocess.run(
            [sys.executable, str(script), str(root), str(corpus)],
            env=os.environ | {"OMP_NUM_THREADS": "1", "AUTOWARMUP_CACHE": str(root / "cache")},
            check=True,
        )
        found = {
            name: compare(root, f"{name.split('-')[0]}-one", name)
            for name in ("tiny-ddp", "tiny-fsdp", "muon-fsdp", "adamw-ddp", "normsgd-fsdp")
        }
    out = ROOT / "results" / "parallel" / "equality.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    values = {"command": "python tools/parallel_equality.py", "seed": 0, "runs": found}
    out.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
