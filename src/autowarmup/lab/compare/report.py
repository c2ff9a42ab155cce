"""Stored runs -> `summary.json`, `figures/` and one self-contained `report.html`; never trains."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autowarmup.lab.compare.grid import Grid, expand
from autowarmup.lab.compare.stats import summarise
from autowarmup.lab.files import write_aside
from autowarmup.lab.report.numbers import percent
from autowarmup.lab.report.page import inline_svg
from autowarmup.lab.report.words import mean_end, optimizer_name, rule_of, warmup_name

Json = dict[str, Any]

_CAPTIONS = {
    "warmup_length": (
        "Final loss against the length of warm-up",
        "Blue: one hand-tuned linear warm-up per point. Orange: adaptive warm-up, the same setting "
        "everywhere, so a line across; the diamond is where it ended warm-up by itself. Lower is "
        "better: where the line runs at or under the ringed point, nothing was lost by not tuning.",
    ),
    "learning_rate": (
        "Learning rate of every run",
        "The factor that multiplies the peak rate. Hand-tuned warm-ups are straight ramps from "
        "nothing; adaptive warm-up follows the loss.",
    ),
    "losses": (
        "Training and validation loss",
        "One curve per run of the first seed. The training loss is smoothed for the eye; the first "
        "steps lie above the axes.",
    ),
    "gap_to_rate": (
        "The law: from the gap to the rate",
        "The gap is the smoothed loss minus its lower bound. As it falls, the rate rises along the "
        "curve and warm-up ends at the peak; points off the curve are steps on which the cap on "
        "the length of warm-up was completing the ramp.",
    ),
}

_VARIANTS = (
    " Other diamonds: other adaptive rules, each where it ended warm-up; a triangle at the upper "
    "edge stands for a loss above the axis."
)


@dataclass(frozen=True)
class Stored:
    """What a directory holds: readable records, the unreadable files, `grid.json` and its runs."""

    records: list[Json]
    unreadable: list[Json]
    grid: Json | None
    planned: list[Json] | None


def load(folder: str | Path) -> Stored:
    """Read the runs of a directory, in the grid's order where it has one.

    Raises:
        ValueError: there is no readable run.
    """
    folder = Path(folder)
    records, unreadable = [], []
    for path in sorted((folder / "runs").glob("*.json")):
        try:
            record = json.loads(path.read_text())
            _ = rule_of(record["config"]), record["status"], record["config"]["seed"]
            records.append({"id": path.stem, **record})
        except (ValueError, KeyError, TypeError):
            unreadable.append(
                {
                    "id": path.stem,
                    "status": "unreadable",
                    "message": f"expected a run record in {path.name}, got something else",
                }
            )
    if not records:
        raise ValueError(
            f"{folder}: expected run records in {folder / 'runs'}, got none; "
            "run autowarmup compare first"
        )
    grid = folder / "grid.json"
    held = json.loads(grid.read_text()) if grid.exists() else None
    planned = None if held is None else expand(Grid.from_dict(held["grid"]))
    order = {config["id"]: index for index, config in enumerate(planned or [])}
    records.sort(key=lambda record: order.get(record["id"], len(order)))
    return Stored(records, unreadable, held, planned)


def write_report(folder: str | Path) -> Json:
    """Draw the report of a directory from its records and return the summary.

    Writes `summary.json`, `figures/NAME.svg` and `.png`, and `report.html`, which needs no other
    file and no network.

    Raises:
        ValueError: there is no run to report on.
    """
    # Drawing needs the extra packages of `autowarmup[report]`; reading a summary does not.
    from autowarmup.lab.compare.figures import draw

    folder = Path(folder)
    stored = load(folder)
    summary = summarise(stored.records, planned=stored.planned)
    summary["trouble"] += stored.unreadable
    write_aside(folder / "summary.json", (json.dumps(summary, indent=1) + "\n").encode())
    figures = folder / "figures"
    names = draw(stored.records, summary, figures)
    svgs = {name: inline_svg((figures / f"{name}.svg").read_text(), name) for name in names}
    write_aside(folder / "report.html", _page(stored, summary, svgs).encode())
    return summary


def _page(stored: Stored, summary: Json, svgs: Mapping[str, str]) -> str:
    from jinja2 import Environment, PackageLoader
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("autowarmup.lab.compare", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": _percent, "loss": _loss, "warmup": warmup_name}
    captions = {name: caption for name, (_, caption) in _CAPTIONS.items()}
    if sum(rule["kind"] == "adaptive" for rule in summary["rules"]) > 1:
        captions["warmup_length"] += _VARIANTS
    figures = [
        {"name": name, "title": title, "caption": captions[name], "svg": Markup(svgs[name])}
        for name, (title, _) in _CAPTIONS.items()
        if name in svgs
    ]
    return environment.get_template("page.html").render(
        summary=summary,
        verdict=summary["verdict"],
        subject=_subject(stored.records, summary),
        rows=[_row(setup, summary) for setup in summary["setups"]],
        figures=figures,
        facts=_facts(stored, summary),
    )


def _row(setup: Json, summary: Json) -> Json:
    """Return one line of the main table: a set-up's best hand-tuned warm-up against adaptive."""
    rules = {rule["rule"]: rule for rule in setup["rules"]}
    adaptive = rules.get(summary["main_rule"])
    end = None if adaptive is None else mean_end(adaptive)
    return {
        "label": setup["label"],
        "outcome": summary["verdict"]["outcomes"].get(setup["label"], "no number"),
        "best": rules.get(setup["best_hand_tuned"]),
        "adaptive": adaptive,
        "none": rules.get("linear 1"),
        "end": "–" if end is None else f"{100 * end / setup['steps']:.3g} %",
        "ended_by": ", ".join(sorted({e for e in adaptive["ended_by"] if e})) if adaptive else "",
        "div": _range([d for d in adaptive["div"] if d is not None]) if adaptive else "–",
    }


def _subject(records: Sequence[Json], summary: Json) -> str:
    """Return in one sentence what was trained."""
    setups = summary["setups"]
    sizes = sorted({setup["parameters"] for setup in setups if setup["parameters"]})
    steps = sorted({setup["steps"] for setup in setups})
    seeds = len(summary["seeds"])
    names = list(dict.fromkeys(optimizer_name(setup["optimizer"]) for setup in setups))
    kinds = Counter(rule["kind"] for rule in summary["rules"])
    adaptive = kinds["adaptive"]
    size = " and ".join(f"{size / 1e6:.2g} million parameters" for size in sizes) or "small size"
    listed = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
    return (
        f"{len(records)} training runs of a LLaMA of {size}, "
        f"{' and '.join(map(str, steps))} steps each, with {listed}: {kinds['linear']} hand-tuned "
        f"warm-up lengths per set-up against {adaptive} adaptive setting{'s' * (adaptive != 1)}"
        f"{' (judged: ' + summary['main_rule'] + ')' if adaptive > 1 else ''}, "
        f"{seeds} seed{'s' * (seeds != 1)}."
    )


def _facts(stored: Stored, summary: Json) -> list[tuple[str, list[str]]]:
    """Return where the numbers come from: what was asked for, on which machine, and how long."""
    runs = summary["runs"]
    environments = Counter(
        json.dumps(record.get("environment", {}), sort_keys=True) for record in stored.records
    )
    seconds = sum(record.get("seconds") or 0.0 for record in stored.records)
    counts = ", ".join(f"{runs[status]} {status}" for status in ("finished", "diverged", "failed"))
    facts = [
        ("Runs", [f"{runs['stored']} of {runs['expected']} stored: {counts}"]),
        ("Seeds", [", ".join(map(str, summary["seeds"]))]),
        ("Time", [f"{seconds / 60:.1f} minutes, summed over the runs"]),
    ]
    if stored.grid:
        facts.append(("Command", [stored.grid.get("command", "")]))
        facts.append(("Grid", [json.dumps(stored.grid["grid"])]))
    facts.append(("One run", [stored.records[0].get("command", "")]))
    facts.append(("Its configuration", [json.dumps(stored.records[0]["config"])]))
    described = [
        f"{', '.join(f'{key} {value}' for key, value in json.loads(text).items())} ({count} runs)"
        for text, count in environments.most_common()
        if text != "{}"
    ]
    return [*facts, ("Environment", described)]


def _percent(share: float | None) -> str:
    return "–" if share is None else percent(share)


def _loss(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _range(values: Sequence[float]) -> str:
    if not values:
        return "–"
    low, high = f"{min(values):.3g}", f"{max(values):.3g}"
    return low if low == high else f"{low} to {high}"
