"""Write the tables of README.md and docs/ from the committed JSON in results/, between markers.

    python tools/readme_results.py           # rewrite the pages
    python tools/readme_results.py --check   # exit 1 where a page is out of date

No number in those tables is typed by hand; a test runs the check.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STUDY = ROOT / "results" / "study" / "summary.json"
CURVATURE = ROOT / "results" / "curvature" / "summary.json"
BENCHMARKS = ROOT / "results" / "benchmarks"
MAIN = "adaptive flat, measured start"


def percent(share: float | None) -> str:
    """Return a regret as text with its sign."""
    return "-" if share is None else f"{100 * share:+.1f} %"


def loss(rule: dict | None) -> str:
    """Return the mean validation loss of a rule, or why there is none."""
    if rule is None:
        return "-"
    if rule["val_loss"] is None:
        return "diverged" if rule["diverged"] else "-"
    return f"{rule['val_loss']:.3f}"


def length(rule: str) -> str:
    """Return a hand-tuned warm-up's length in words."""
    warmup = rule.removeprefix("linear ")
    return "none" if warmup == "1" else warmup.replace("%", " %")


def steps(values: list[int | None]) -> str:
    """Return the steps at which warm-up ended, one per seed."""
    return ", ".join("-" if value is None else str(value) for value in values)


def case(name: str) -> str:
    """Return a benchmark's name without what pytest needs in it."""
    return name.removeprefix("test_").replace("[", " (").replace("]", ")").replace("_", " ")


def setups_table(summary: dict) -> list[str]:
    """One row per set-up: the best of the grid, no warm-up, and the default."""
    lines = [
        "| set-up | best hand-tuned | no warm-up | adaptive (default) | regret | div | ended at |",
        "|---|---|---|---|---|---|---|",
    ]
    for setup in summary["setups"]:
        rules = {rule["rule"]: rule for rule in setup["rules"]}
        best, main = rules[setup["best_hand_tuned"]], rules[MAIN]
        divs = ", ".join(f"{div:.1f}" for div in main["div"])
        lines.append(
            f"| {setup['label']} | {loss(best)} ({length(best['rule'])}) "
            f"| {loss(rules.get('linear 1'))} | {loss(main)} | {percent(main['regret'])} "
            f"| {divs} | {steps(main['warmup_end_steps'])} |"
        )
    return lines


def rules_table(summary: dict) -> list[str]:
    """One row per rule: what it costs to use it unchanged in every set-up."""
    lines = [
        "| one rule for every set-up | mean regret | worst regret | at or below the best |",
        "|---|---|---|---|",
    ]
    for rule in summary["rules"]:
        name = rule["rule"]
        if rule["kind"] == "linear":
            name = f"linear warm-up, {length(name)}"
        if name == MAIN:
            name = f"**{name} (default)**"
        lines.append(
            f"| {name} | {percent(rule['mean_regret'])} | {percent(rule['worst_regret'])} "
            f"| {rule['best_or_better']} of {rule['setups']} |"
        )
    return lines


def findings(summary: dict) -> list[str]:
    """The verdict in words, and what ended warm-up."""
    every = [rule for setup in summary["setups"] for rule in setup["rules"]]
    ends = [end for rule in every if rule["rule"] == MAIN for end in rule["ended_by"]]
    lines = [
        summary["verdict"]["headline"],
        *summary["verdict"]["sentences"],
        f"The cap, not the gap, ended warm-up in {ends.count('cap')} of the default's {len(ends)} "
        "runs.",
    ]
    return [f"- {line}" for line in lines]


def benchmarks_table(names: tuple[str, ...] = ("optimizers", "peak", "scheduler")) -> list[str]:
    """One row per benchmark: how many times as fast as the peer it is compared with."""
    lines = ["| what | against | times as fast |", "|---|---|---|"]
    for stem in names:
        for group, rows in json.loads((BENCHMARKS / f"{stem}.json").read_text())["groups"].items():
            peer, *others = rows
            for name in others:
                ratio = rows[name]["times_faster_than_first"]
                lines.append(f"| {group}: {case(name)} | {case(peer)} | {ratio:.2f} |")
    return lines


def norms_table() -> list[str]:
    """One row per fast norm: time against torch's, and the error against a float64 SVD."""
    lines = ["| what | against | times as fast | relative error |", "|---|---|---|---|"]
    for group, rows in json.loads((BENCHMARKS / "norms.json").read_text())["groups"].items():
        peer, *others = rows
        for name in others:
            row = rows[name]
            lines.append(
                f"| {group}: {case(name)} | {case(peer)} | {row['times_faster_than_first']:.1f} "
                f"| {row['extra']['relative_error']:.0e} |"
            )
    return lines


def overhead_table() -> list[str]:
    """One row per model and optimizer: what a probe costs in forward and backward passes."""
    lines = [
        "| model, optimizer | a probe costs, in passes | an update between probes, against none |",
        "|---|---|---|",
    ]
    for name, row in json.loads((BENCHMARKS / "observer.json").read_text())["rows"].items():
        lines.append(
            f"| {name} | {row['probe_in_passes']:.2f} | {row['idle_update_over_bare_update']:.2f} |"
        )
    return lines


def significant(value: float | None) -> str:
    """Return a number with two significant digits and without an exponent up to a million."""
    if value is None:
        return "-"
    return (
        f"{value:.1e}"
        if abs(value) >= 1e6 or 0 < abs(value) < 1e-3
        else f"{float(f'{value:.2g}'):,g}"
    )


def between(pair: list[float] | None) -> str:
    """Return first and last of something that changes along a run."""
    return "-" if pair is None else " to ".join(significant(value) for value in pair)


def curvature_table(summary: dict, *, quantity: str) -> list[str]:
    """One row per measured run: what the curvature does as the gap falls."""
    letter = quantity
    lines = [
        f"| run | norm | gap | {letter} | as the gap falls | slope (95 %) | R² (constants ≥ 0) "
        "| R² (free), sign of its K1 | noise / K | trust |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for run in summary["runs"]:
        if run["quantity"] != quantity:
            continue
        interval = run["slope_interval"]
        slope = "-"
        if run["slope"] is not None and interval is not None:
            slope = f"{run['slope']:.2f} ({interval[0]:.2f} to {interval[1]:.2f})"
        lines.append(
            f"| [{run['run']}](../results/curvature/{run['run']}/measure.html) | {run['norm']} "
            f"| {between(run['gap'])} | {between(run['value'])} | {run['outcome']} | {slope} "
            f"| {share(run['r_squared'])} | {share(run['r_squared_free'])}, {run['K1_sign']} "
            f"| {significant(run['noise_over_K'])} | {share(run['trust_ratio'])} |"
        )
    return lines


def share(value: float | None) -> str:
    """Return a number near 1 with two digits."""
    return "-" if value is None else f"{value:.2f}"


def pages() -> dict[Path, dict[str, list[str]]]:
    """Return the blocks between markers of every page."""
    summary = json.loads(STUDY.read_text())
    measured = json.loads(CURVATURE.read_text())
    return {
        ROOT / "README.md": {
            "setups": setups_table(summary),
            "findings": findings(summary),
            "rules": rules_table(summary),
            "benchmarks": benchmarks_table(),
        },
        ROOT / "docs" / "curvature.md": {
            "runs": curvature_table(measured, quantity="K"),
            "objects": curvature_table(measured, quantity="H"),
            "norms": norms_table(),
            "overhead": overhead_table(),
        },
    }


def rewritten(page: Path, blocks: dict[str, list[str]]) -> str:
    """Return a page with the lines between each pair of markers made anew."""
    text = page.read_text()
    for name, lines in blocks.items():
        start, end = f"<!-- {name}: start -->", f"<!-- {name}: end -->"
        pattern = re.compile(f"{re.escape(start)}.*?{re.escape(end)}", re.DOTALL)
        if not pattern.search(text):
            raise ValueError(f"{page}: expected the markers {start} and {end}, got neither")
        block = "\n".join([start, *lines, end])
        text = pattern.sub(lambda _, block=block: block, text)
    return text


def main() -> int:
    """Rewrite or check the pages."""
    checking, stale = "--check" in sys.argv[1:], 0
    for page, blocks in pages().items():
        after = rewritten(page, blocks)
        if not checking:
            page.write_text(after)
        elif after != page.read_text():
            stale = 1
            shown = page.relative_to(ROOT)
            print(f"{shown} is out of date: run python tools/readme_results.py", file=sys.stderr)
    return stale


if __name__ == "__main__":
    raise SystemExit(main())
