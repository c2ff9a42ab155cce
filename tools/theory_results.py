"""The tables of docs/theory/, as lists of lines, from the JSON in results/theory."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from statistics import median

from autowarmup.lab.theory.report import Line, margin
from autowarmup.lab.theory.rows import Row

ROOT = Path(__file__).resolve().parent.parent
THEORY = ROOT / "results" / "theory"
GROUPS = {
    "descent.md": ("A.0", "A.1"),
    "lmo.md": ("A.2", "A.3"),
    "weight-decay.md": ("A.4",),
    "momentum-and-noise.md": ("A.5", "A.6"),
    "gd.md": ("B.1", "B.2", "B.3"),
    "fixed-steps.md": ("B.4",),
    "closure.md": ("B.5",),
    "counterexamples.md": ("printed",),
}
"""Page -> groups of the table that stand on it."""


def read(name: str) -> dict:
    """Return a committed record of results/theory."""
    return json.loads((THEORY / name).read_text(encoding="utf-8"))


def statements_table(rows: list[dict]) -> list[str]:
    """One row per statement, true ones and those that must be caught apart."""
    held: dict[tuple[str, bool], list[dict]] = {}
    for row in rows:
        held.setdefault((row["statement"], row["expected_fail"]), []).append(row)
    lines = ["| checked | instances | least margin | on | verdict |", "|---|---|---|---|---|"]
    for (statement, false), found in held.items():
        line = Line.of(statement, false, [Row(**row) for row in found])
        words, total = line.statement.replace("|", "\\|"), line.total
        lines.append(
            f"| {words} | {total.instances:,} | {margin(total.margin)} | {total.objective} "
            f"| {line.verdict} |"
        )
    return lines


def label(held: dict) -> str:
    """Return the name of a network as Markdown takes it."""
    return held["label"].replace("*", "\\*")


def significant(value: float) -> str:
    """Return two significant digits."""
    return f"{float(f'{value:.2g}'):,.10g}"


def spread(values: list[float]) -> str:
    """Return the least and the largest of some numbers."""
    return f"{significant(min(values))} to {significant(max(values))}"


def runs_table(record: dict) -> list[str]:
    """One row per network: curvature and bound over all runs and measured steps."""
    lines = [
        "| network | gap, first → last | ‖Hessian‖ | bound / measured | H0, H1 touching midway "
        "| balance | verdict |",
        "|---|---|---|---|---|---|---|",
    ]
    for held in record["objects"].values():
        runs = held["runs"]
        column = {key: [x for run in runs for x in run[key]]
                  for key in ("hessian_norm", "bound_over_measured")}  # fmt: skip
        first, last = (median(run["gap"][place] for run in runs) for place in (0, -1))
        pair = "-" if held["expected_fail"] else (
            f"{significant(runs[0]['H0'])}, {significant(runs[0]['H1'])}"
        )  # fmt: skip
        lines.append(
            f"| {label(held)} | {significant(first)} → {significant(last)} "
            f"| {spread(column['hessian_norm'])} | {spread(column['bound_over_measured'])} "
            f"| {pair} | {balance(runs)} | {verdict(held, record['vacuous_above'])} |"
        )
    return lines


def balance(runs: list[dict]) -> str:
    """Return the worst kappa, or excess and kappa, of all runs."""
    seen = [step for run in runs for step in run["balance"] if step]
    if not seen:
        return "-"
    if len(seen[0]) == 1:
        return f"kappa {max(step[0] for step in seen):.4g}"
    return f"excess {max(s[0] for s in seen):.2g}, kappa {max(s[1] for s in seen):.3g}"


def verdict(held: dict, limit: float) -> str:
    """Return what a network's runs say of its bound."""
    ratios = [ratio for run in held["runs"] for ratio in run["bound_over_measured"]]
    if held["expected_fail"]:
        below = sum(ratio < 1 for ratio in ratios)
        return f"violated at {below} of {len(ratios)} steps, as it should be"
    if min(ratios) < 1:
        return "violated"
    beyond = sum(ratio > limit for ratio in ratios)
    if beyond == 0:
        return "holds"
    return f"holds; vacuous (above {limit:.0f}) at {beyond} of {len(ratios)} steps"


def findings(record: dict) -> list[str]:
    """What the runs say, one sentence a network."""
    lines = []
    for held in record["objects"].values():
        ratios = [ratio for run in held["runs"] for ratio in run["bound_over_measured"]]
        if held["expected_fail"]:
            lines.append(
                f"- **{label(held)}**: with the printed omission the bound is violated wherever "
                f"the gap is at most {significant(_violated_from(held['runs']))}; measured "
                f"curvature is up to {significant(1 / min(ratios))} times it."
            )
            continue
        falls = [max(run["hessian_norm"]) / min(run["hessian_norm"]) for run in held["runs"]]
        bounds = [max(run["bound"]) / min(run["bound"]) for run in held["runs"]]
        lines.append(
            f"- **{label(held)}**: no violation; the bound is {spread(ratios)} times the "
            f"measured norm. Over a run the norm changes by a factor of "
            f"{significant(median(falls))}, the bound by {significant(median(bounds))}."
            f"{_at_each_step(held['runs'], ratios)}"
        )
    return lines


def _violated_from(runs: list[dict]) -> float:
    """Return the largest gap from which on the bound is violated at every logged step, all runs."""
    held = sorted(
        (gap, ratio < 1)
        for run in runs
        for gap, ratio in zip(run["gap"], run["bound_over_measured"], strict=True)
    )
    return max(gap for gap, _ in itertools.takewhile(lambda pair: pair[1], held))


def _at_each_step(runs: list[dict], ratios: list[float]) -> str:
    """Return what the bound is with the balance of each step, where that differs much."""
    here = [
        bound / norm
        for run in runs
        for bound, norm in zip(run["bound_here"], run["hessian_norm"], strict=True)
    ]
    if max(ratios) < 1.5 * max(here):
        return ""
    first = [run["bound_here"][0] / run["hessian_norm"][0] for run in runs]
    return (
        f" With the balance of each step in place of the worst of the run it is {spread(here)} "
        f"times (median {significant(median(here))}), at the balanced start {spread(first)} times."
    )


def counts_findings(record: dict, statements: list[str]) -> list[str]:
    """One sentence for each panel of a figure of counts."""
    lines = []
    for name in statements:
        held = record["statements"][name]
        pairs = list(zip(held["measured"], held["bound"], strict=True))
        above = sum(taken > allowed for taken, allowed in pairs)
        half = median(taken / allowed for taken, allowed in pairs)
        lines.append(
            f"- {name}, down to gap0 / {record['gap0_over_eps']:.0f}: {len(pairs):,} random "
            f"functions, {above} above the bound, half of them take {100 * half:.0f} % of it or "
            f"less. Not done after {record['most']:,} steps and left out: {held['not_done']}."
        )
    return lines


def pages() -> dict[Path, dict[str, list[str]]]:
    """Return the blocks between markers of every page on a theorem."""
    rows, neural = read("theory.json")["rows"], read("neural.json")
    built: dict[Path, dict[str, list[str]]] = {}
    for page, groups in GROUPS.items():
        built[ROOT / "docs" / "theory" / page] = {
            name: statements_table([row for row in rows if Row(**row).group == name])
            for name in groups
        }
    counted = read("counts.json")
    names = list(counted["statements"])
    for page, statements in (("lmo.md", names[:2]), ("gd.md", names[2:])):
        block = {"counts": counts_findings(counted, statements)}
        built[ROOT / "docs" / "theory" / page] |= block
    built[ROOT / "docs" / "theory" / "networks.md"] = {
        "findings": findings(neural),
        "runs": runs_table(neural),
        "rows": statements_table(
            [row for row in neural["rows"] if row["objective"].startswith("random small")]
        ),
    }
    return built
