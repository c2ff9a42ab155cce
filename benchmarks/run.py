"""Run every benchmark side by side and write medians, ratios and the environment as JSON.

python benchmarks/run.py            # all of them into results/benchmarks/
python benchmarks/run.py peak       # one file, benchmarks/bench_peak.py
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
DRY = os.environ.get("AUTOWARMUP_BENCH_DRY")  # a directory: small sizes, results go there
RESULTS = Path(DRY or HERE.parent / "results" / "benchmarks")


def measure(file: Path) -> dict:
    """Run one benchmark file; return its medians in seconds and the ratios within each group."""
    from autowarmup.lab.environment import environment

    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "raw.json"
        command = [sys.executable, "-m", "pytest", str(file), "--benchmark-only", "-q", "-p",
                   "no:cacheprovider", "-W", "default", f"--benchmark-json={raw}"]  # fmt: skip
        if DRY:
            command += ["--benchmark-max-time=0.01", "--benchmark-min-rounds=1"]
        subprocess.run(command, check=True, cwd=HERE.parent)
        benchmarks = json.loads(raw.read_text(encoding="utf-8"))["benchmarks"]
    groups: dict[str, dict[str, dict]] = {}
    for bench in benchmarks:
        stats = bench["stats"]
        groups.setdefault(bench["group"], {})[bench["name"]] = {
            "median_seconds": stats["median"],
            "iqr_seconds": stats["iqr"],
            "rounds": stats["rounds"],
        }
        if bench["extra_info"]:
            groups[bench["group"]][bench["name"]]["extra"] = bench["extra_info"]
    for rows in groups.values():
        # The first row of a group is the peer or the slow way that the others are compared with.
        base = next(iter(rows.values()))["median_seconds"]
        for row in rows.values():
            row["times_faster_than_first"] = base / row["median_seconds"]
    return {
        "command": f"python benchmarks/run.py {file.stem.removeprefix('bench_')}",
        "environment": environment(),
        "groups": groups,
    }


def main() -> None:
    """Measure the files named on the command line, or all."""
    names = sys.argv[1:] or [path.stem.removeprefix("bench_") for path in HERE.glob("bench_*.py")]
    RESULTS.mkdir(parents=True, exist_ok=True)
    for name in sorted(names):
        result = measure(HERE / f"bench_{name}.py")
        path = RESULTS / f"{name}.json"
        path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        for group, rows in result["groups"].items():
            for row, values in rows.items():
                print(f"{group}: {row}: {values['times_faster_than_first']:.2f}x the first")
        print(f"wrote {path}")


if __name__ == "__main__":
    main()
