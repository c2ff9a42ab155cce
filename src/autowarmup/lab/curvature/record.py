"""`measure.json`: the measured points of a run and the laws fitted to them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from autowarmup.history import Point, Trace, strict_json
from autowarmup.lab.curvature.names import quantity_name
from autowarmup.lab.environment import environment as this_environment
from autowarmup.lab.files import write_json
from autowarmup.lab.reading import MAYBE, NUMBER, read_json
from autowarmup.measure.fit import CurvatureFit, fit_curvature

Json = dict[str, Any]

FILE = "measure.json"
FORMAT = "autowarmup-measure-2"
FIRST_FORMAT = "autowarmup-measure-1"
SHAPE = {
    "command": str,
    "source": {"kind": str, "asked?": dict, "directory?": str, "about?": (str, None)},
    "label": str,
    "config": dict,
    "environment": dict,
    "seeds": [int],
    "lower_bound": NUMBER,
    "norm": str,
    "counted": (dict, None),
    "determinism": (dict, None),
    "main": str,
    "points": [{"step": int, "loss": MAYBE}],
    "next_points?": [{"step": int, "loss": MAYBE}],
    "fits": [{"quantity": str, "terms": [str], "constraint": str}],
    "quantities": dict,
    "not_fitted": dict,
    "window": (dict, None),
    "verdict": str,
    "sentence": str,
}
"""What a page asks of a record."""
FITTED = ("K", "H", "K_dir", "K_next")
"""The quantities that are fitted, in the order in which they are shown."""


def build_record(
    trace: Trace,
    *,
    source: Json,
    label: str,
    config: Json,
    lower_bound: float,
    norm: str,
    counted: Any,
    determinism: Any,
    command: str,
    seeds: Sequence[int],
    main: str = "K",
    environment: Json | None = None,
) -> Json:
    """Fit every quantity of a trace and return the record, plain strict JSON.

    Args:
        trace: points of a run; those without a measurement are left out.
        source: where the points come from: "kind" is "train", "run" or "object".
        main: the quantity that the verdict is about.
        environment: where it was measured; this process by default.

    Raises:
        ValueError: no point holds the main quantity, or the lower bound is not finite.
    """
    if not math.isfinite(lower_bound):
        raise ValueError(f"lower_bound: expected a finite number below the loss, got {lower_bound}")
    points = [point for point in trace if is_measured(point)]
    found = [q for q in FITTED if any(getattr(point, q) is not None for point in points)]
    if main not in found:
        raise ValueError(
            f"trace: expected points with the {quantity_name(main)}, got none among {len(trace)}"
        )
    found.sort(key=lambda quantity: quantity != main)
    fits, refused = _fit_all(Trace(points), found, lower_bound)
    shown = {quantity: group[0].to_dict() for quantity, group in fits.items()}
    refusal = f"Nothing can be said yet: {refused.get(main)}."
    chosen = shown.get(main, {"verdict": "not determined", "sentence": refusal})
    record = {
        "format": FORMAT,
        "command": command,
        "source": source,
        "label": label,
        "config": config,
        "environment": this_environment() if environment is None else environment,
        "seeds": list(seeds),
        "lower_bound": lower_bound,
        "norm": norm,
        "counted": counted,
        "determinism": determinism,
        "main": main,
        "points": [point.to_dict() for point in points if getattr(point, main) is not None],
        "next_points": [point.to_dict() for point in points if getattr(point, main) is None],
        "fits": [law for group in fits.values() for fit in group for law in _laws(fit)],
        "quantities": shown,
        "not_fitted": refused,
    }
    names = ("slope", "window", "verdict", "sentence")
    return strict_json(record | {name: chosen.get(name) for name in names})


def is_measured(point: Point) -> bool:
    """Return whether a point of a trace holds any measurement of curvature."""
    return any(getattr(point, name) is not None for name in (*FITTED, "K_noise"))


def _fit_all(
    trace: Trace, quantities: Sequence[str], lower_bound: float
) -> tuple[dict[str, list[CurvatureFit]], dict[str, str]]:
    """Return the fits by quantity, and the sentence of every quantity that could not be fitted."""
    fits: dict[str, list[CurvatureFit]] = {}
    refused: dict[str, str] = {}
    for quantity in quantities:
        asked: Json = {"quantity": quantity, "lower_bound": lower_bound}
        try:
            fits[quantity] = [fit_curvature(trace, **asked)]
            if quantity == "H":  # the law of paper B, H0 + H1 gap, has no third term
                fits[quantity].insert(0, fit_curvature(trace, **asked, terms=("K0", "K1")))
        except ValueError as error:
            refused[quantity] = str(error)
    return fits, refused


def _laws(fit: CurvatureFit) -> list[Json]:
    place = {"quantity": fit.quantity, "window": fit.window.name, "pairing": fit.pairing}
    return [{**law.to_dict(), **place} for law in fit.fits]


def write_record(out: str | Path, record: Json) -> Path:
    """Write OUT/measure.json, at once or not at all, and return its path."""
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / FILE, record)
    return out / FILE


def read_record(out: str | Path) -> Json:
    """Read OUT/measure.json, of this format or the first.

    Raises:
        ValueError: there is no such file, or it is no record of measured curvature.
    """
    path = Path(out) / FILE
    if not path.exists():
        raise ValueError(f"{out}: expected measured curvature in {path}, got no such file")
    what = "measured curvature"
    record = read_json(path, {"format": str, "source?": {"kind": str}}, what)
    if record["format"] not in (FORMAT, FIRST_FORMAT):
        raise ValueError(
            f"{path}: expected {what}, got a file of another format ({record['format']})"
        )
    return record if record["format"] == FORMAT else _from_first(record)


_FIRST_NAMES = {"f_star": "lower_bound", "f_star_source": "lower_bound_source"}
# The first format said what K does as the gap *rises*.
_FIRST_VERDICTS = {"rises": "falls", "falls": "rises", "flat": "level"}


def _from_first(value: Any) -> Any:
    """Return a record of the first format in the words of this one."""
    if isinstance(value, list):
        return [_from_first(item) for item in value]
    if not isinstance(value, dict):
        return value
    found = {_FIRST_NAMES.get(name, name): _from_first(item) for name, item in value.items()}
    if found.get("format") == FIRST_FORMAT:
        found["format"] = FORMAT
    if "verdict" in found:
        found["verdict"] = _FIRST_VERDICTS.get(found["verdict"], found["verdict"])
    return found
