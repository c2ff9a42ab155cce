"""The tables that README.md and docs/bench.md take from results/bench, as lists of lines."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import fmean, median

from autowarmup.lab.bench.names import KINDS
from autowarmup.lab.bench.verdict import headline, sentences
from autowarmup.lab.report.words import rule_name

FAR = 0.05
"""Gains of the default above this are the far too high rates, which carry its mean."""
BENCH = Path(__file__).resolve().parent.parent / "results" / "bench"


def summary() -> dict:
    """Return the committed summary of the benchmark."""
    return json.loads((BENCH / "summary.json").read_text())


def _percent(share: float | None, digits: int = 1) -> str:
    return "-" if share is None else f"{100 * share:+.{digits}f} %"


def _name(rule: str, bench: dict) -> str:
    return f"**{rule} (default)**" if rule == bench["default_rule"] else rule_name(rule)


def _sorted(rules: dict) -> list[tuple[str, dict]]:
    return sorted(
        rules.items(), key=lambda pair: (pair[1]["mean_regret"] is None, pair[1]["mean_regret"])
    )


def rules_table(bench: dict) -> list[str]:
    """One row per rule, the lowest mean regret first."""
    lines = [
        "| one rule for every set-up | kind | mean regret | worst | won or tied | diverged "
        "| extra cost | set-ups |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for rule, row in _sorted(bench["rules"]):
        share = row["win_or_tie_share"]
        won = "-" if share is None else f"{100 * share:.0f} %"
        lines.append(
            f"| {_name(rule, bench)} | {KINDS[row['kind']]} | {_percent(row['mean_regret'], 2)} "
            f"| {_percent(row['worst_regret'])} | {won} "
            f"| {row['diverged']} | {100 * (row['overhead'] or 0.0):.2f} % | {row['n_setups']} |"
        )
    return lines


def findings(bench: dict) -> list[str]:
    """The verdict in sentences."""
    return [f"- {line}" for line in (headline(bench), *sentences(bench))]


def columns_table(bench: dict) -> list[str]:
    """The default and the best single length in every part of the core set."""
    lines = [
        "| part | set-ups | default: mean | worst | best single length | mean | worst |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, part in bench["by_column"].items():
        rules = part["rules"]
        default = rules.get(bench["default_rule"])
        fixed = [pair for pair in _sorted(rules) if pair[1]["kind"] == "fixed"]
        if default is None or not fixed or default["mean_regret"] is None:
            continue
        best, row = fixed[0]
        lines.append(
            f"| {name} | {default['n_setups']} | {_percent(default['mean_regret'], 2)} "
            f"| {_percent(default['worst_regret'])} "
            f"| {rule_name(best)} | {_percent(row['mean_regret'], 2)} "
            f"| {_percent(row['worst_regret'])} |"
        )
    return lines


def robustness_table(bench: dict) -> list[str]:
    """One row per variation: the default, no warm-up, the best single length, and `flat`."""
    lines = [
        "| variation | set-ups | default: mean | worst | best single length | mean | worst "
        "| no warm-up: mean | worst | flat: mean | worst |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]

    def both(row: dict | None) -> str:
        if row is None:
            return "- | -"
        return f"{_percent(row['mean_regret'], 2)} | {_percent(row['worst_regret'])}"

    for table in bench["robustness"]:
        for variation in dict.fromkeys(row["variation"] for row in table["rows"]):
            rows = {r["rule"]: r for r in table["rows"] if r["variation"] == variation}
            fixed = [r for name, r in rows.items() if name == "none" or name.startswith("linear")]
            best = min(fixed, key=lambda r: r["mean_regret"]) if fixed else None
            main = rows[bench["default_rule"]]
            length = rule_name(best["rule"]) if best else "-"
            lines.append(
                f"| {variation} | {main['n_setups']} | {both(main)} | {length} | {both(best)} "
                f"| {both(rows.get('none'))} | {both(rows.get('flat'))} |"
            )
    return lines


def tried_table() -> list[str]:
    """What was tried on the way, on the set-ups that it was tried on."""
    tried = json.loads((BENCH / "tried.json").read_text())
    lines = ["| candidate | mean regret | worst | set-ups |", "|---|---|---|---|"]
    for row in tried["candidates"]:
        lines.append(
            f"| {row['about']} | {_percent(row['mean_regret'], 2)} "
            f"| {_percent(row['worst_regret'])} | {row['n_setups']} |"
        )
    return lines


def held_out_table(bench: dict) -> list[str]:
    """Every rule on the set-ups that no constant of the default was chosen on."""
    tried = json.loads((BENCH / "tried.json").read_text())["runs"]
    seen = {json.dumps(run["setup"], sort_keys=True) for run in tried}
    groups = {"chosen on": [], "held out": [], "not far too high": []}
    for setup in bench["setups"]:
        known = json.dumps(setup["setup"], sort_keys=True) in seen
        groups["chosen on" if known else "held out"].append(setup["regrets"])
        if setup["regrets"][bench["default_rule"]] > -FAR:
            groups["not far too high"].append(setup["regrets"])
    counts = {name: len(each) for name, each in groups.items()}
    lines = [
        f"| rule | all {len(bench['setups'])}: median | {counts['chosen on']} chosen on: mean "
        f"| worst | {counts['held out']} held out: mean | worst "
        f"| {counts['not far too high']} without the largest gains: mean |",
        "|---|---|---|---|---|---|---|",
    ]
    for rule, _ in _sorted(bench["rules"]):
        columns = {
            name: [r[rule] for r in each if r[rule] is not None] for name, each in groups.items()
        }
        every = columns["chosen on"] + columns["held out"]
        lines.append(
            f"| {_name(rule, bench)} | {_percent(median(every), 2)} "
            f"| {_percent(fmean(columns['chosen on']), 2)} | {_percent(max(columns['chosen on']))} "
            f"| {_percent(fmean(columns['held out']), 2)} | {_percent(max(columns['held out']))} "
            f"| {_percent(fmean(columns['not far too high']), 2)} |"
        )
    return lines
