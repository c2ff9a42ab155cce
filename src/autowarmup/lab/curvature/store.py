"""What is on disk: `measure.json` in and out, and the finished runs that measurements come from."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autowarmup.history import Point, Trace, strict_json
from autowarmup.lab.files import write_aside
from autowarmup.lab.train.rundir import FORMAT as RUN_FORMAT

Json = dict[str, Any]

FORMAT = "autowarmup-measure-1"
FILE = "measure.json"
FITTED = ("K", "H", "K_dir", "K_next")
"""The quantities that are fitted, in the order in which they are shown."""


@dataclass(frozen=True)
class FinishedRun:
    """What `autowarmup train --measure` left in a directory.

    Attributes:
        directory: where.
        config: the run's configuration, as in `config.json`.
        trace: every update, the measured ones among them.
        result: `result.json`.
    """

    directory: Path
    config: Json
    trace: Trace
    result: Json


def write_record(out: str | Path, record: Json) -> Path:
    """Write OUT/measure.json, at once or not at all, and return its path.

    Raises:
        OSError: with one sentence, e.g. for a full disk.
    """
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    text = json.dumps(strict_json(record), indent=1, allow_nan=False) + "\n"
    write_aside(out / FILE, text.encode())
    return out / FILE


def read_record(out: str | Path) -> Json:
    """Read OUT/measure.json.

    Raises:
        ValueError: there is no such file, or it is no record of measured curvature.
    """
    path = Path(out) / FILE
    record = _read_json(path)
    if record is None or record.get("format") != FORMAT:
        got = f"a file of another format ({(record or {}).get('format')})"
        raise ValueError(
            f"{out}: expected measured curvature in {path}, "
            f"got {got if path.exists() else 'no such file'}"
        )
    return record


def read_run(directory: str | Path) -> FinishedRun:
    """Read a finished run whose trace holds measured curvature.

    Raises:
        ValueError: no run of ours, a run that has not ended, or one that measured nothing.
    """
    directory = Path(directory)
    held = _read_json(directory / "config.json")
    if held is None or held.get("format") != RUN_FORMAT:
        raise ValueError(
            f"{directory}: expected the directory of a run that `autowarmup train --measure --out "
            f"{directory}` wrote, got {'another directory' if directory.is_dir() else 'none'}"
        )
    result = _read_json(directory / "result.json")
    if result is None or not (directory / "trace.jsonl").exists():
        raise ValueError(
            f"{directory}: expected a run that has ended, got one without result.json; "
            f"continue it with `autowarmup train ... --out {directory} --resume`"
        )
    trace = Trace.read(directory / "trace.jsonl")
    if not any(is_measured(point) for point in trace):
        again = str(result.get("command") or "autowarmup train").partition(" --out ")[0]
        raise ValueError(
            f"{directory} holds a run without measured curvature: expected one trained with "
            f"--measure, got none of its {len(trace)} points with K; "
            f"`{again} --measure --out {directory}-measured` trains it again and measures"
        )
    return FinishedRun(directory, held["config"], trace, result)


def is_measured(point: Point) -> bool:
    """Return whether a point of a trace holds any measurement of curvature."""
    return any(getattr(point, name) is not None for name in (*FITTED, "K_noise"))


def _read_json(path: Path) -> Json | None:
    try:
        held = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return held if isinstance(held, dict) else None
