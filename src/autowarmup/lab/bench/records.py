"""The one record of a run, whoever trained it, and the files that hold records."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from autowarmup.history import strict_json
from autowarmup.lab.bench.plan import RunPlan
from autowarmup.lab.files import write_text
from autowarmup.lab.reading import MAYBE, NUMBER, parsed, read_text

Record = dict[str, Any]

SHAPE = {
    "setup": {"optimizer": str, "lr": NUMBER, "model": str, "batch": int, "steps": int,
              "data": str, "noise": NUMBER, "scale": NUMBER, "trained?": int, "init?": NUMBER},
    "rule": str,
    "options": dict,
    "seed": int,
    "status": str,
    "val_loss": MAYBE,
    "trace": {"stretch": int, "loss": [MAYBE], "factor": [MAYBE]},
    "val_curve": [[MAYBE]],
    "seconds": NUMBER,
    "start?": NUMBER,
    "warmup_end_step?": MAYBE,
    "overhead?": MAYBE,
    "every_loss?": [MAYBE],
}  # fmt: skip
"""What the summary and the page ask of a record."""

POINTS = 100
"""Points of a stored trace, each the mean loss and the first factor of a stretch of updates."""


def make_record(
    plan: RunPlan,
    *,
    losses: Sequence[float],
    factors: Sequence[float],
    curve: Sequence[tuple[int, float]],
    updates: int,
    seconds: float,
    diverged_at: int | None = None,
    **facts: Any,
) -> Record:
    """Return the record of a run in strict JSON values.

    Losses and factors (shares of the peak rate) are those of each update, the curve is (update,
    validation loss), and its last loss is the result. Facts: start, warmup_end_step, ended_by, ...
    """
    final = curve[-1][1] if curve else math.nan
    finite = diverged_at is None and math.isfinite(final)
    stretch = max(1, -(-len(losses) // POINTS))
    means = [float(np.mean(losses[at : at + stretch])) for at in range(0, len(losses), stretch)]
    record = {
        **plan.to_dict(),
        "status": "finished" if finite else "diverged",
        "val_loss": final if finite else None,
        "updates": updates,
        "diverged_at": diverged_at,
        "trace": {
            "stretch": stretch,
            "loss": [round(value, 4) for value in means],
            "factor": [float(f"{f:.4g}") for f in factors[::stretch]],
        },
        "val_curve": [[step, round(loss, 5)] for step, loss in curve if math.isfinite(loss)],
        "seconds": round(seconds, 2),
        **facts,
    }
    return strict_json(record)


def read_records(out: str | Path) -> list[Record]:
    """Return every stored record, in the order of the files' names.

    Raises:
        ValueError: a file that does not hold records.
    """
    records: list[Record] = []
    what = "one JSON record a line"
    for path in sorted((Path(out) / "runs").glob("*.jsonl")):
        for number, line in enumerate(read_text(path, what).splitlines(), start=1):
            try:
                record = parsed(line, SHAPE, what, path)
                key_of(record)
            except ValueError as error:
                raise ValueError(f"{error} (line {number})") from None
            except TypeError as error:  # a set-up of another version
                reason = f"another kind of set-up in line {number} ({error})"
                raise ValueError(f"{path}: expected {what}, got {reason}") from None
            records.append(record)
    return records


def store_records(out: Path, name: str, records: Sequence[Record]) -> None:
    """Write OUT/runs/NAME.jsonl, at once or not at all.

    Raises:
        OSError: with one sentence, e.g. for a full disk; what was stored before stays.
    """
    path = out / "runs" / f"{name}.jsonl"
    lines = "".join(json.dumps(record, allow_nan=False) + "\n" for record in records)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, lines)
    except OSError as error:
        raise OSError(f"could not store {path} ({error}); what was stored before stays") from error


def key_of(record: Record) -> str:
    """Return the key of the plan that a record fulfils."""
    return RunPlan.of(record).key
