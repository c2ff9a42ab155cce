"""Many measured runs in one folder -> `summary.json`, `figures/` and one `report.html`."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from autowarmup.lab.curvature.names import direction
from autowarmup.lab.curvature.page import PAGE
from autowarmup.lab.curvature.series import (
    drawn_laws,
    ends,
    main_quantity,
    noise,
    series,
    trust_median,
)
from autowarmup.lab.curvature.store import FILE, read_record
from autowarmup.lab.curvature.study_figures import overview, slope_of, slopes, verdict_of
from autowarmup.lab.files import write_aside
from autowarmup.lab.report.numbers import interval_text, number, share, short
from autowarmup.lab.report.page import pictures, render

Json = dict[str, Any]

FORMAT = "autowarmup-measure-study-1"

_CAPTIONS = {
    "slopes": (
        "Does curvature rise or fall as training goes on?",
        "A row per run: how many per cent K changes per per cent of gap, with its 95 % interval. "
        "Left of the line K rises while the gap falls, right of it K falls along. A hollow "
        "point settles nothing. Where the interval of a filled one crosses the line, no single "
        "power describes the run, but its points are nearly in perfect order.",
    ),
    "overview": (
        "Every run: curvature against the gap",
        "Training runs from left to right, dark to light. Orange: the fitted law with constants "
        "≥ 0; dashed: the same with free signs. Pale points lie outside the fitted window.",
    ),
}


def write_study(folder: str | Path) -> Json:
    """Collect FOLDER/*/measure.json into one report and return its summary.

    Writes `summary.json`, `figures/NAME.svg` and `.png`, and `report.html`, which needs no other
    file and no network.

    Raises:
        ValueError: there is no measured run in the folder.
    """
    folder = Path(folder)
    records, unreadable = _load(folder)
    summary: Json = {
        "format": FORMAT,
        "headline": "",
        "runs": [summary_row(name, record) for name, record in records.items()],
        "unreadable": unreadable,
    }
    summary["headline"] = _headline(summary["runs"])
    write_aside(
        folder / "summary.json", (json.dumps(summary, indent=1, allow_nan=False) + "\n").encode()
    )
    held = list(records.values())
    for drawing in (slopes, overview):
        drawing(held, folder / "figures")
    text = render(
        "study.html",
        room="curvature",
        headline=summary["headline"],
        subject=_subject(summary["runs"]),
        figures=pictures(folder / "figures", _CAPTIONS),
        rows=[_cells(row, folder) for row in summary["runs"]],
        unreadable=unreadable,
        facts=_facts(records),
    )
    write_aside(folder / "report.html", text.encode())
    return summary


def summary_row(name: str, record: Mapping[str, Any]) -> Json:
    """Return one run of a study as plain JSON values.

    Args:
        name: the directory of the run.
        record: its `measure.json`.
    """
    found = series(record)
    chosen = drawn_laws(record)
    batch_noise, between = noise(record), ends(found)
    p, low, high = slope_of(record)
    config = record.get("config") or {}
    steps = [point["step"] for point in record["points"]]
    return {
        "run": name,
        "label": record["label"],
        "kind": (record.get("source") or {}).get("kind"),
        "status": (record.get("source") or {}).get("status") or "finished",
        "quantity": main_quantity(record),
        "norm": record["norm"],
        "steps": config.get("steps") or max(steps) + 1,
        "points": len(found),
        "gap": None if between is None else [between[0][0], between[1][0]],
        "value": None if between is None else [between[0][1], between[1][1]],
        "verdict": record["verdict"],
        "outcome": verdict_of(record),
        "slope": p,
        "slope_interval": None if low is None or high is None else [low, high],
        "r_squared": _of(chosen, "non_negative", "r_squared"),
        "r_squared_free": _of(chosen, "free", "r_squared"),
        "K1_free": _of(chosen, "free", "K1"),
        "K1_sign": _k1_sign(chosen.get("free")),
        "noise_over_K": None if batch_noise is None else batch_noise.ratio,
        "trust_ratio": trust_median(record),
        "seeds": record["seeds"],
        "sentence": record["sentence"],
    }


def _of(chosen: Mapping[str, Any], constraint: str, name: str) -> float | None:
    return number(chosen[constraint].get(name)) if constraint in chosen else None


def _k1_sign(law: Mapping[str, Any] | None) -> str:
    """Return the sign of K1 with free signs, "unclear" where its interval holds 0."""
    if law is None:
        return "–"
    low, high = (law.get("interval") or {}).get("K1") or (None, None)
    low, high = number(low), number(high)
    if low is None or high is None:
        return "–"
    return "negative" if high < 0 else "positive" if low > 0 else "unclear"


def _load(folder: Path) -> tuple[dict[str, Json], list[str]]:
    records, unreadable = {}, []
    for path in sorted(folder.glob(f"*/{FILE}")):
        try:
            records[path.parent.name] = read_record(path.parent)
        except ValueError as error:
            unreadable.append(str(error))
    if not records:
        raise ValueError(
            f"{folder}: expected measured runs in {folder / '*' / FILE}, got none; "
            "measure some with --out below that folder"
        )
    return records, unreadable


def _headline(rows: Sequence[Json]) -> str:
    """Say in one sentence in how many runs curvature rises, falls, or does neither."""
    counts = Counter(direction(row["verdict"], row["slope"]) for row in rows)
    words = {
        "rises": "curvature rises as the gap falls",
        "falls": "it falls with the gap",
        "flat": "it stays level",
        "open": "nothing can be said yet",
    }
    parts = [f"in {counts[kind]} {text}" for kind, text in words.items() if counts[kind]]
    if len(parts) == 1:
        every = "the one run" if len(rows) == 1 else f"all {len(rows)} runs"
        text = next(text for kind, text in words.items() if counts[kind])
        return f"In {every} {text.replace('it ', 'curvature ', 1)}."
    parts[0] = parts[0].replace(" it ", " curvature ", 1)
    return f"Of {len(rows)} runs: {'; '.join(parts)}."


def _subject(rows: Sequence[Json]) -> str:
    points = sum(row["points"] for row in rows)
    labels = ", ".join(sorted({row["norm"] for row in rows}))
    return f"{len(rows)} measured runs, {points:,} measured updates; norms: {labels}."


def _cells(row: Json, folder: Path) -> Json:
    """Return one line of the table, as text."""
    page = f"{row['run']}/{PAGE}"
    return {
        **{name: row[name] for name in ("label", "outcome", "status", "K1_sign")},
        "link": page if (folder / page).exists() else None,
        "kind": direction(row["verdict"], row["slope"]),
        "size": f"{row['norm']} norm, {row['points']:,} points of {row['steps']:,} updates",
        "change": "–" if not row["value"] else " → ".join(short(x, 2) for x in row["value"]),
        "gap": "–" if not row["gap"] else " → ".join(short(x) for x in row["gap"]),
        "slope": short(row["slope"], 2),
        "slope_interval": interval_text(row["slope_interval"], 2),
        "r_squared": share(row["r_squared"], 2),
        "r_squared_free": share(row["r_squared_free"], 2),
        "noise": "–" if row["noise_over_K"] is None else f"{short(row['noise_over_K'], 2)} ×",
        "trust": share(row["trust_ratio"], 2),
    }


def _facts(records: Mapping[str, Json]) -> list[tuple[str, str, bool]]:
    commands = [(f"Command, {name}", held["command"], True) for name, held in records.items()]
    machines = Counter(
        ", ".join(f"{key} {value}" for key, value in record["environment"].items())
        for record in records.values()
    )
    places = [(f"Environment of {n}", text, False) for text, n in machines.most_common() if text]
    return [*commands, *places]
