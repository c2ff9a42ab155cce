"""Tables of the studies of a run's life: its first updates, an end that is told late or moves."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from statistics import fmean

from autowarmup.lab.report.words import optimizer_name

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "results"
LOOKS = ("1", "3", "10", "30", "100", "300")


def _percent(share: float, digits: int = 1) -> str:
    return f"{100 * share:+.{digits}f} %"


def first_steps_table() -> list[str]:
    """One row per optimizer, rate and rule: how far the loss lies above that before, by update."""
    runs = json.loads((RESULTS / "first_steps.json").read_text(encoding="utf-8"))["runs"]
    found: dict[tuple, list[dict]] = defaultdict(list)
    for run in runs:
        if run["rule"] != "linear 5%":  # which is what the default takes here, to the bit
            found[run["optimizer"], run["multiple"], run["rule"]].append(run["losses"])
    lines = [
        "| optimizer | peak rate | warm-up | " + " | ".join(f"after {k}" for k in LOOKS) + " |"
    ]
    lines.append("|---|---|---|" + "---|" * len(LOOKS))
    for (optimizer, multiple, rule), rows in found.items():
        rate = "best" if multiple == 1 else f"{multiple} x best"
        cells = [_percent(fmean(row[k] / row["0"] - 1.0 for row in rows)) for k in LOOKS]
        name = "none" if rule == "none" else "default"
        lines.append(f"| {optimizer_name(optimizer)} | {rate} | {name} | {' | '.join(cells)} |")
    return lines


def open_end_table() -> list[str]:
    """One row per way: the final loss against the run that knew, paired by seed."""
    record = json.loads((RESULTS / "open_end.json").read_text(encoding="utf-8"))
    names = list(record["rates"])
    head = " | ".join(optimizer_name(name) for name in names)
    lines = [f"| run | beside | {head} |", "|---|---|" + "---|" * len(names)]
    for way, first in record[names[0]]["differences"].items():
        each = [record[name]["differences"][way] for name in names]
        cells = [f"{_percent(d['mean'], 2)} ± {100 * d['error']:.2f}" for d in each]
        lines.append(f"| {way} | {first['against']} | {' | '.join(cells)} |")
    return lines


def pages() -> dict[Path, dict[str, list[str]]]:
    """Return the pages and the lines of their tables."""
    return {
        ROOT / "docs" / "first-steps.md": {"first_steps": first_steps_table()},
        ROOT / "docs" / "open-end.md": {"open_end": open_end_table()},
    }
