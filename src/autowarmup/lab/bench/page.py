"""Summary and records -> `summary.json`, `figures/` and one self-contained `report.html`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from autowarmup.lab.bench import findings
from autowarmup.lab.bench.names import COLUMNS, KINDS, TUNED_ONCE, setup_name
from autowarmup.lab.bench.records import Record
from autowarmup.lab.bench.regret import mean
from autowarmup.lab.bench.rules import described
from autowarmup.lab.bench.verdict import FEW, headline, ranked, sentences, shown_to_work_only
from autowarmup.lab.files import write_json, write_text
from autowarmup.lab.report.numbers import count, percent, share
from autowarmup.lab.report.page import pictures, render
from autowarmup.lab.report.words import rule_name

Json = Mapping[str, Any]

PAGE = "report.html"


def draw(records: Iterable[Record], summary: Json, folder: Path) -> list[str]:
    """Write every figure that fits the summary into FOLDER, wide and narrow; return their names."""
    # Drawing needs the extra packages of `autowarmup[report]`; a summary does not.
    from autowarmup.lab.bench import curve_figures, heat_figure, length_figure, mean_figure
    from autowarmup.lab.report import style

    records = [record for record in records if not record["options"]]
    drawn: dict[str, tuple[Callable[..., Any], Callable[[Json], str]]] = {
        "mean_regret": (mean_figure.draw_mean_regret, findings.mean_regret),
        "heat_map": (heat_figure.draw_heat_map, findings.heat_map),
        "worst_cases": (partial(curve_figures.draw_worst_cases, records), findings.worst_cases),
    }
    if len(summary["setups"]) <= FEW:
        drawn = {
            "warmup_length": (length_figure.draw_length, findings.warmup_length),
            "runs": (partial(curve_figures.draw_runs, records), findings.runs),
        }
    drawings = {name: (partial(d, summary), partial(f, summary)) for name, (d, f) in drawn.items()}
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
    few = len(summary["setups"]) <= FEW and not shown_to_work_only(summary)
    page = render(
        "page.html",
        room="bench",
        filters={"percent": percent, "loss": lambda value: share(value, 4), "rule": rule_name},
        headline=headline(summary),
        sentences=sentences(summary),
        subject=_subject(summary),
        figures={f["name"]: f for f in pictures(out / "figures", dict.fromkeys(names, ("", "")))},
        setups=[_setup(setup, summary["default_rule"]) for setup in summary["setups"] if few],
        rows=_rows(summary),
        columns=[] if few else _columns(summary),
        robustness=robustness,
        alarms=summary.get("alarms"),
        trouble=[_trouble(record) for record in records if record["status"] == "diverged"],
        facts=[*_facts(summary, records), *facts],
    )
    write_text(out / PAGE, page)
    return out / PAGE


def _subject(summary: Json) -> str:
    setups = [setup["setup"] for setup in summary["setups"]]
    seeds = sorted({len(setup["seeds"]) for setup in summary["setups"]})
    steps = ", ".join(f"{steps:,}" for steps in sorted({setup["steps"] for setup in setups}))
    models = sorted({setup["model"] for setup in setups})
    return (
        f"{count(summary['runs']['stored'], 'training run')}: "
        f"{count(len(summary['rules']), 'warm-up rule')}, each the same everywhere, in "
        f"{count(len(setups), 'set-up')} with "
        f"{count(len({setup['optimizer'] for setup in setups}), 'optimizer')}, "
        f"{' to '.join(map(str, seeds[:: max(1, len(seeds) - 1)]))} seed{'s' * (seeds != [1])} "
        f"each; {steps} steps of the model{'s' * (len(models) > 1)} {', '.join(models)}."
    )


def _setup(setup: Json, main: str) -> dict[str, Any]:
    """Return the line of one of a few set-ups: the default against the hand-tuned best."""
    vals = {rule: mean(values) for rule, values in setup["vals"].items()}
    ends = [end for end in setup["ends"].get(main, []) if end is not None]
    unknown = "no number" if main in vals else "not yet run"
    return {
        "label": setup["label"],
        "outcome": setup["outcomes"].get(main) or unknown,
        "loss": vals.get(main),
        "best": setup["best_hand_tuned"],
        "best_loss": setup["best_val"],
        "regret": setup["regrets"].get(main),
        "none": vals.get("none"),
        "end": sum(ends) / len(ends) / setup["setup"]["steps"] if ends else None,
    }


def _rows(summary: Json) -> list[dict[str, Any]]:
    """Return the lines of the main table, the lowest mean regret first."""
    tuned = "the best length on one seed, judged on the others"
    return [
        {
            **line,
            "rule": rule,
            "main": rule == summary["default_rule"],
            "kind": KINDS[line["kind"]],
            "about": tuned if rule == TUNED_ONCE else described(rule).about,
            # Rules that measure no start begin as they were told; 1 would be no measurement.
            "start": None if line["median_start"] in (None, 1.0) else line["median_start"],
        }
        for rule, line in ranked(summary)
    ]


def _columns(summary: Json) -> list[dict[str, Any]]:
    """Return the tables of parts of the set-ups: what differs, then optimizers, then rates."""
    parts, main = summary["by_column"], summary["default_rule"]
    kinds: dict[str, list[str]] = {"What is trained": [], "Optimizers": [], "Peak rates": []}
    for name in parts:
        other = "Peak rates" if name.endswith("best rate") else "Optimizers"
        kinds["What is trained" if name in COLUMNS else other].append(name)
    return [
        {
            "title": title,
            "names": [(name, parts[name]["n_setups"]) for name in names],
            "rows": [
                (rule, rule == main, [parts[name]["rules"].get(rule) for name in names])
                for rule in summary["rules"]
            ],
        }
        for title, names in kinds.items()
        if names
    ]


def _trouble(record: Record) -> str:
    """Say where a run diverged."""
    why = record.get("message") or f"the loss is no number at update {record['diverged_at']}"
    return (
        f"{setup_name(record['setup'])}, {rule_name(record['rule'])}, seed {record['seed']}: {why}"
    )


def _facts(summary: Json, records: Sequence[Record]) -> list[tuple[str, str, bool]]:
    runs = summary["runs"]
    seconds = sum(record.get("seconds") or 0.0 for record in records)
    seeds = sorted({seed for setup in summary["setups"] for seed in setup["seeds"]})
    counts = f"{runs['stored']} stored: {runs['finished']} finished, {runs['diverged']} diverged"
    time = f"{seconds / 3600:.1f} hours" if seconds >= 3600 else f"{seconds / 60:.1f} minutes"
    return [
        ("Runs", counts, False),
        ("Seeds", ", ".join(map(str, seeds)), False),
        ("Time", f"{time}, summed over the runs", False),
        ("Data behind this page", "summary.json and runs/, in the same directory", False),
    ]
