"""Write the README's tables from the committed JSON in results/, between their markers.

    python tools/readme_results.py           # rewrite README.md
    python tools/readme_results.py --check   # exit 1 where README.md is out of date

No number in those tables is typed by hand; a test runs the check.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STUDY = ROOT / "results" / "study" / "summary.json"
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


def benchmarks_table() -> list[str]:
    """One row per benchmark: how many times as fast as the peer it is compared with."""
    lines = ["| what | against | times as fast |", "|---|---|---|"]
    for path in sorted(BENCHMARKS.glob("*.json")):
        for group, rows in json.loads(path.read_text())["groups"].items():
            peer, *others = rows
            for name in others:
                ratio = rows[name]["times_faster_than_first"]
                lines.append(f"| {group}: {case(name)} | {case(peer)} | {ratio:.2f} |")
    return lines


def rewritten(text: str) -> str:
    """Return the README with the lines between each pair of markers made anew."""
    summary = json.loads(STUDY.read_text())
    blocks = {
        "setups": setups_table(summary),
        "findings": findings(summary),
        "rules": rules_table(summary),
        "benchmarks": benchmarks_table(),
    }
    for name, lines in blocks.items():
        start, end = f"<!-- {name}: start -->", f"<!-- {name}: end -->"
        pattern = re.compile(f"{re.escape(start)}.*?{re.escape(end)}", re.DOTALL)
        if not pattern.search(text):
            raise ValueError(f"README.md: expected the markers {start} and {end}, got neither")
        block = "\n".join([start, *lines, end])
        text = pattern.sub(lambda _, block=block: block, text)
    return text


def main() -> int:
    """Rewrite or check README.md."""
    readme = ROOT / "README.md"
    before = readme.read_text()
    after = rewritten(before)
    if "--check" in sys.argv[1:]:
        if after != before:
            print("README.md is out of date: run python tools/readme_results.py", file=sys.stderr)
        return int(after != before)
    readme.write_text(after)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
