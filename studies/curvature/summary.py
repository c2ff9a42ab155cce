"""Many measured runs in one folder -> `summary.json` and two figures that show all of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from autowarmup.lab.curvature import read_record
from autowarmup.lab.curvature.record import FILE
from autowarmup.lab.curvature.series import drawn_laws, ends, noise, series, trust_median
from autowarmup.lab.files import write_json
from autowarmup.lab.report.numbers import number
from studies.curvature.figures import draw, outcome, slope_of

Json = dict[str, Any]

FORMAT = "autowarmup-measure-study-2"


def write_summary(folder: str | Path) -> Json:
    """Collect FOLDER/*/measure.json into `summary.json` and `figures/`, and return the summary.

    Raises:
        ValueError: there is no measured run in the folder, or one that cannot be read.
    """
    folder = Path(folder)
    records = {
        path.parent.name: read_record(path.parent) for path in sorted(folder.glob(f"*/{FILE}"))
    }
    if not records:
        raise ValueError(
            f"{folder}: expected measured runs in {folder / '*' / FILE}, got none; "
            "measure some with --out below that folder"
        )
    rows = [summary_row(name, record) for name, record in records.items()]
    summary: Json = {"format": FORMAT, "headline": headline(rows), "runs": rows}
    write_json(folder / "summary.json", summary)
    draw(list(records.values()), folder / "figures", headline(rows))
    return summary


def summary_row(name: str, record: Mapping[str, Any]) -> Json:
    """Return one run of a study as plain JSON values."""
    found = series(record)
    chosen = drawn_laws(record)
    batch_noise, between = noise(record), ends(found)
    p, low, high = slope_of(record)
    return {
        "run": name,
        "label": record["label"],
        "kind": record["source"]["kind"],
        "status": record["source"].get("status") or "finished",
        "quantity": record["main"],
        "norm": record["norm"],
        "steps": record["config"].get("steps") or max(p["step"] for p in record["points"]) + 1,
        "points": len(found),
        "gap": None if between is None else [between[0][0], between[1][0]],
        "value": None if between is None else [between[0][1], between[1][1]],
        "verdict": record["verdict"],
        "outcome": outcome(record),
        "slope": p,
        "slope_interval": None if low is None or high is None else [low, high],
        "r_squared": _of(chosen, "non_negative", "r_squared"),
        "r_squared_free": _of(chosen, "free", "r_squared"),
        "K1_free": _of(chosen, "free", "K1"),
        "K1_sign": _k1_sign(chosen.get("free")),
        "noise_over_K": None if batch_noise is None else batch_noise[0],
        "trust_ratio": trust_median(record),
        "seeds": record["seeds"],
        "sentence": record["sentence"],
    }


def headline(rows: Sequence[Json]) -> str:
    """Say in one sentence in how many runs curvature rises, falls, or does neither."""
    words = {
        "rises": "curvature rises as the gap falls",
        "falls": "curvature falls as the gap falls",
        "level": "curvature stays level",
        "not determined": "nothing can be said yet",
    }
    counts = Counter(row["verdict"] for row in rows)
    parts = [f"in {counts[kind]} {text}" for kind, text in words.items() if counts[kind]]
    return f"Of {len(rows)} measured runs: {'; '.join(parts)}."


def _of(chosen: Mapping[str, Any], constraint: str, name: str) -> float | None:
    return number(chosen[constraint].get(name)) if constraint in chosen else None


def _k1_sign(law: Mapping[str, Any] | None) -> str:
    """Return the sign of K1 with free signs, "unclear" where its interval holds 0."""
    low, high = map(number, law["interval"].get("K1", (None, None)) if law else (None, None))
    if low is None or high is None:
        return "–"
    return "negative" if high < 0 else "positive" if low > 0 else "unclear"
