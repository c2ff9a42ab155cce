"""The tables of docs/theory/separation.md and docs/theory/picture.md."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "results" / "theory"

_COLUMNS = ("theorem", "bound", "theorem_slope", "certified_fixed", "best_fixed", "best_linear")


def record(name: str) -> dict:
    """Return one of the two records."""
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))


def counts_table(separation: dict) -> list[str]:
    """One row per decade of z: steps of warm-up and of fixed steps, at the main accuracy."""
    at, proved = separation["decades"].index(separation["main_decades"]), separation["bounds"]
    line, plane = (separation["dimensions"][d] for d in "12")
    lines = [
        "| z | warm-up | proved: at most | best fixed, d = 1 | proved: at least "
        "| best fixed, d = 2 | 1/(H0 + H1 gap0) | proved: at most |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for index, z in enumerate(separation["z"]):
        if f"{z:g}" not in ("0.1", "1", "10", "100", "1000"):
            continue
        columns = (
            line["warmup"][at], proved["upper_warmup"][at], line["best_fixed"][at],
            proved["lower_fixed"][at], plane["best_fixed"][at], separation["theorem_fixed"],
            proved["upper_fixed"][at],
        )  # fmt: skip
        lines.append(f"| {z:g} | {' | '.join(f'{column[index]:,.0f}' for column in columns)} |")
    return lines


def steps_table(picture: dict) -> list[str]:
    """One row per norm: median, least and most steps to the last target."""
    lines = [
        "| norm | theorem, gap/(R K) | proved: at most | the same with ‖gradient‖\\*/K "
        "| certified fixed | best fixed, searched | best linear, searched |",
        "|---|---|---|---|---|---|---|",
    ]
    for norm, side in picture["norms"].items():
        cells = [_spread(side["steps"][name][-1]) for name in _COLUMNS]
        lines.append(f"| {norm.replace('linf', 'l∞')} | {' | '.join(cells)} |")
    return lines


def _spread(steps: list[int]) -> str:
    return f"{median(steps):,g} ({min(steps):,} to {max(steps):,})"


def pages() -> dict[Path, dict[str, list[str]]]:
    """Return the blocks between markers of both pages."""
    folder = ROOT / "docs" / "theory"
    return {
        folder / "separation.md": {"counts": counts_table(record("separation"))},
        folder / "picture.md": {"steps": steps_table(record("picture"))},
    }
