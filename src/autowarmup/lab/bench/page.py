"""Summary and records -> `summary.json`, `figures/` and one self-contained `report.html`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from autowarmup.lab.bench.names import COLUMNS, KINDS, TUNED_ONCE, rule_name, setup_name
from autowarmup.lab.bench.records import Record
from autowarmup.lab.bench.rules import described
from autowarmup.lab.bench.verdict import FEW, headline, ranked, sentences
from autowarmup.lab.files import write_aside, write_json
from autowarmup.lab.report.numbers import count, percent, share
from autowarmup.lab.report.page import pictures, render

Json = Mapping[str, Any]

PAGE = "report.html"

_CAPTIONS = {
    "warmup_length": (
        "Final loss against the length of warm-up",
        "Blue: one hand-tuned linear warm-up per point. Orange: the default rule, the same "
        "everywhere, so a line across; the diamond is where it ended warm-up by itself. Lower is "
        "better: where the line runs at or under the ringed point, nothing was lost by not tuning.",
    ),
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
    "runs": (
        "Learning rate and losses of every run",
        "Above: the share of the peak rate. Below: training loss, smoothed for the eye, and "
        "validation loss; the first steps lie above the axes. One curve per run of the first seed.",
    ),
    "worst_cases": (
        "Every rule where it does worst",
        "Above: training loss against that of the best hand-tuned length of the set-up, on the "
        "same batches, smoothed; the dot is the difference of the final validation losses, the "
        "regret. Below: the share of the peak rate over time. The mean over the seeds.",
    ),
}


def draw(records: Iterable[Record], summary: Json, folder: Path) -> list[str]:
    """Write every figure that fits the summary as FOLDER/NAME.svg and .png; return their names."""
    # Drawing needs the extra packages of `autowarmup[report]`; a summary does not.
    from autowarmup.lab.bench import curve_figures, heat_figure, length_figure, mean_figure
    from autowarmup.lab.report import style

    records = [record for record in records if not record["options"]]
    drawings: dict[str, Callable[[], Any]] = {
        "mean_regret": lambda: mean_figure.draw_mean_regret(summary),
        "heat_map": lambda: heat_figure.draw_heat_map(summary),
        "worst_cases": lambda: curve_figures.draw_worst_cases(records, summary),
    }
    if len(summary["setups"]) <= FEW:
        drawings = {
            "warmup_length": lambda: length_figure.draw_length(summary),
            "runs": lambda: curve_figures.draw_runs(records, summary),
        }
    return style.save_all(drawings, folder, "bench")


def write_page(
    out: str | Path,
    summary: Json,
    records: Iterable[Record],
    *,
    robustness: Sequence[Json] = (),
    facts: Sequence[tuple[str, str, bool]] = (),
) -> Path:
    """Write OUT/report.html, OUT/figures and OUT/summary.json and return the path of the page.

    The page needs no other file and no network; the same input gives the same bytes. Up to six
    set-ups are shown one by one.

    Args:
        out: directory, made where it is missing.
        summary: of `autowarmup.lab.bench.summary.summarise`.
        records: those that it was made of.
        robustness: tables, each {title, rows}; a row holds variation, rule, mean_regret,
            worst_regret and n_setups.
        facts: (name, text, whether it is code) to add to where the numbers come from.
    """
    out, records = Path(out), list(records)
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / "summary.json", {**summary, "robustness": robustness})
    names = draw(records, summary, out / "figures")
    captions = {name: _CAPTIONS[name] for name in _CAPTIONS if name in names}
    page = render(
        "page.html",
        room="bench",
        filters={"percent": percent, "loss": lambda value: share(value, 4), "rule": rule_name},
        headline=headline(summary),
        sentences=sentences(summary),
        subject=_subject(summary),
        figures={figure["name"]: figure for figure in pictures(out / "figures", captions)},
        setups=_setups(summary) if len(summary["setups"]) <= FEW else [],
        rows=_rows(summary),
        columns=_columns(summary) if len(summary["setups"]) > FEW else [],
        robustness=robustness,
        trouble=_trouble(records),
        facts=[*_facts(summary, records), *facts],
    )
    write_aside(out / PAGE, page.encode())
    return out / PAGE


def _subject(summary: Json) -> str:
    setups = summary["setups"]
    seeds = sorted({len(setup["seeds"]) for setup in setups})
    many = f"{seeds[0]} to {seeds[-1]}" if len(seeds) > 1 else str(seeds[0])
    steps = sorted({setup["setup"]["steps"] for setup in setups})
    models = sorted({setup["setup"]["model"] for setup in setups})
    return (
        f"{count(summary['runs']['stored'], 'training run')}: "
        f"{count(len(summary['rules']), 'warm-up rule')}, each the same everywhere, in "
        f"{count(len(setups), 'set-up')} with "
        f"{count(len({setup['setup']['optimizer'] for setup in setups}), 'optimizer')}, {many} "
        f"seed{'s' * (many != '1')} each; {', '.join(f'{n:,}' for n in steps)} steps of the "
        f"model{'s' * (len(models) > 1)} {', '.join(models)}."
    )


def _setups(summary: Json) -> list[dict[str, Any]]:
    """Return the lines of the table of a few set-ups: the default against the hand-tuned best."""
    main, rows = summary["default_rule"], []
    for setup in summary["setups"]:
        vals = {rule: _mean(values) for rule, values in setup["vals"].items()}
        ends = [end for end in setup["ends"].get(main, []) if end is not None]
        outcome = setup["outcomes"].get(main)
        rows.append(
            {
                "label": setup["label"],
                "outcome": outcome or ("not yet run" if main not in vals else "no number"),
                "loss": vals.get(main),
                "best": setup["best_hand_tuned"],
                "best_loss": setup["best_val"],
                "regret": setup["regrets"].get(main),
                "none": vals.get("none"),
                "end": sum(ends) / len(ends) / setup["setup"]["steps"] if ends else None,
            }
        )
    return rows


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known and len(known) == len(values) else None


def _rows(summary: Json) -> list[dict[str, Any]]:
    """Return the lines of the main table, the lowest mean regret first."""
    return [
        {
            **line,
            "rule": rule,
            "main": rule == summary["default_rule"],
            "kind": KINDS[line["kind"]],
            "about": "the best length on one seed, judged on the others"
            if rule == TUNED_ONCE
            else described(rule).about,
            # Rules that measure no start begin as they were told; 1 would be no measurement.
            "start": None if line["median_start"] in (None, 1.0) else line["median_start"],
        }
        for rule, line in ranked(summary)
    ]


def _columns(summary: Json) -> list[dict[str, Any]]:
    """Return the tables of parts of the set-ups: what differs, then optimizers, then rates."""
    parts = summary["by_column"]
    kinds: dict[str, list[str]] = {"What is trained": [], "Optimizers": [], "Peak rates": []}
    for name in parts:
        ends = name.endswith("best rate")
        kind = "What is trained" if name in COLUMNS else "Peak rates" if ends else "Optimizers"
        kinds[kind].append(name)
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
                for rule in summary["rules"]
            ],
        }
        for title, names in kinds.items()
        if names
    ]


def _trouble(records: Iterable[Record]) -> list[str]:
    """Say which runs diverged, and where."""
    return [
        f"{setup_name(record['setup'])}, {rule_name(record['rule'])}, seed {record['seed']}: "
        + (record.get("message") or f"the loss is no number at update {record['diverged_at']}")
        for record in records
        if record["status"] == "diverged"
    ]


def _facts(summary: Json, records: Sequence[Record]) -> list[tuple[str, str, bool]]:
    runs = summary["runs"]
    seconds = sum(record.get("seconds") or 0.0 for record in records)
    seeds = sorted({seed for setup in summary["setups"] for seed in setup["seeds"]})
    counts = f"{runs['stored']} stored: {runs['finished']} finished, {runs['diverged']} diverged"
    long = seconds >= 3600
    time = f"{seconds / 3600:.1f} hours" if long else f"{seconds / 60:.1f} minutes"
    return [
        ("Runs", counts, False),
        ("Seeds", ", ".join(map(str, seeds)), False),
        ("Time", f"{time}, summed over the runs", False),
        ("Data behind this page", "summary.json and runs/, in the same directory", False),
    ]
