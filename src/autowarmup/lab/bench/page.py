"""Summary and records -> `summary.json`, `figures/` and one self-contained `bench.html`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from autowarmup.history import strict_json
from autowarmup.lab.bench.labels import COLUMNS, KINDS, TUNED_ONCE, rule_name
from autowarmup.lab.bench.verdict import headline, sentences
from autowarmup.lab.files import write_aside
from autowarmup.lab.report.numbers import percent
from autowarmup.lab.report.page import pictures, render

Json = Mapping[str, Any]

PAGE = "bench.html"

_CAPTIONS = {
    "mean_regret": (
        "The mean, and the worst",
        "Dot: mean regret over the set-ups. Line: to the worst set-up, an arrow where that lies "
        "beyond the axis. The vertical line at 0 is the best hand-tuned length of each set-up, "
        "which costs a search in each. Hollow: a length that is searched in each set-up too, but "
        "on one seed, and judged on the others. Seeds of one set-up share weights and data.",
    ),
    "heat_map": (
        "Set-up by set-up",
        "Regret in %. Blue: a lower loss than the best hand-tuned length of that set-up; red: a "
        "higher one; colours saturate at 10 %. On the right: that best length, as a share of the "
        "run, and the standard error of a difference between two rules, in %. Best rate: the "
        "best of a sweep with 5 % warm-up. “div.”: a run diverged; “–”: not run.",
    ),
    "worst_cases": (
        "Every rule where it does worst",
        "Above: training loss against that of the best hand-tuned length of the set-up, on the "
        "same batches, smoothed; the dot is the difference of the final validation losses, the "
        "regret. Below: the share of the peak rate over time. The mean over the seeds.",
    ),
}


def write_page(
    out: str | Path,
    summary: Json,
    records: Iterable[Json],
    *,
    robustness: Sequence[Json] = (),
    about: Mapping[str, str] | None = None,
    facts: Sequence[tuple[str, str, bool]] = (),
) -> Path:
    """Write OUT/bench.html, OUT/figures and OUT/summary.json and return the path of the page.

    The page needs no other file and no network; the same input gives the same bytes.

    Args:
        out: directory, made where it is missing.
        summary: of `autowarmup.lab.bench.stats.summarise`.
        records: those that it was made of.
        robustness: tables, each {title, rows}, optionally {note}; a row holds variation, rule,
            mean_regret, worst_regret and n_setups.
        about: rule -> what it does, one line.
        facts: (name, text, whether it is code) to add to where the numbers come from.
    """
    # Drawing needs the extra packages of `autowarmup[report]`; a summary does not.
    from autowarmup.lab.bench.figures import draw

    out, records = Path(out), list(records)
    out.mkdir(parents=True, exist_ok=True)
    text = json.dumps(strict_json({**summary, "robustness": robustness}), indent=1) + "\n"
    write_aside(out / "summary.json", text.encode())
    names = draw(records, summary, out / "figures")
    page = render(
        "page.html",
        room="bench",
        filters={"percent": _percent, "share": _share, "rule": rule_name},
        headline=headline(summary),
        sentences=sentences(summary),
        subject=_subject(summary),
        figures={
            figure["name"]: figure
            for figure in pictures(out / "figures", {name: _CAPTIONS[name] for name in names})
        },
        rows=_rows(summary, about or {}),
        columns=_columns(summary),
        robustness=robustness,
        facts=[*_facts(summary, records), *facts],
    )
    write_aside(out / PAGE, page.encode())
    return out / PAGE


def _subject(summary: Json) -> str:
    setups, runs = summary["setups"], summary["runs"]
    optimizers = len({setup["setup"]["optimizer"] for setup in setups})
    seeds = sorted({len(setup["seeds"]) for setup in setups})
    many = f"{seeds[0]} to {seeds[-1]}" if len(seeds) > 1 else str(seeds[0])
    return (
        f"{runs['stored']:,} training runs: {len(summary['rules'])} warm-up rules, each the same "
        f"everywhere, in {_count(len(setups), 'set-up')} with {_count(optimizers, 'optimizer')}, "
        f"{many} seed{'s' * (many != '1')} each."
    )


def _rows(summary: Json, about: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the lines of the main table, the lowest mean regret first."""
    lines = [(rule, line) for rule, line in summary["rules"].items()]
    tuned = summary["hand_tuned_cross_validated"]
    if tuned["mean_regret"] is not None:
        lines.append((TUNED_ONCE, tuned))
        about = {TUNED_ONCE: "the best length on one seed, judged on the others", **about}
    rows = [
        {
            **line,
            "rule": rule,
            "main": rule == summary["default_rule"],
            "kind": KINDS.get(line["kind"], line["kind"]),
            "about": about.get(rule, ""),
            # Rules that measure no start begin as they were told; 1 would be no measurement.
            "start": None if line["median_start"] in (None, 1.0) else line["median_start"],
        }
        for rule, line in lines
    ]
    return sorted(rows, key=lambda row: (row["mean_regret"] is None, row["mean_regret"] or 0.0))


def _columns(summary: Json) -> list[dict[str, Any]]:
    """Return the tables of parts of the set-ups: what differs, then optimizers, then rates."""
    parts = summary["by_column"]
    kinds = {"What is trained": [], "Optimizers": [], "Peak rates": []}
    for name in parts:
        ends = name.endswith("best rate")
        kind = "What is trained" if name in COLUMNS else "Peak rates" if ends else "Optimizers"
        kinds[kind].append(name)
    order = list(summary["rules"])
    return [
        {
            "title": title,
            "names": [(name, parts[name]["n_setups"]) for name in names],
            "rows": [
                {
                    "rule": rule,
                    "main": rule == summary["default_rule"],
                    "cells": [parts[name]["rules"].get(rule) for name in names],
                }
                for rule in order
            ],
        }
        for title, names in kinds.items()
        if names
    ]


def _facts(summary: Json, records: Sequence[Json]) -> list[tuple[str, str, bool]]:
    runs = summary["runs"]
    seconds = sum(record.get("seconds") or 0.0 for record in records)
    seeds = sorted({seed for setup in summary["setups"] for seed in setup["seeds"]})
    counts = f"{runs['stored']} stored: {runs['finished']} finished, {runs['diverged']} diverged"
    return [
        ("Runs", counts, False),
        ("Seeds", ", ".join(map(str, seeds)), False),
        ("Time", f"{seconds / 3600:.1f} hours of one core, summed over the runs", False),
        ("Data behind this page", "summary.json, in the same directory", False),
    ]


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def _percent(share: float | None, digits: int = 1) -> str:
    return "–" if share is None else percent(share, digits)


def _share(share: float | None, digits: int = 0) -> str:
    return "–" if share is None else f"{100 * share:.{digits}f} %"
