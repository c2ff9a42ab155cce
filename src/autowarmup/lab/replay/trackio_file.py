"""The database of a trackio project: table `metrics` with run_name, step and a row as JSON."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from pathlib import Path

from autowarmup.lab.replay.columns import Columns, Wanted
from autowarmup.lab.replay.log import Piece, piece_of


def read_trackio(path: Path, wanted: Wanted) -> Piece:
    """Return a run of a project.

    Raises:
        ValueError: not a database of trackio, or several runs and none is chosen.
    """
    try:
        address = f"{path.absolute().as_uri()}?mode=ro"
        with contextlib.closing(sqlite3.connect(address, uri=True)) as base:
            return _run_of(base, wanted)
    except sqlite3.Error as error:
        raise ValueError(f"expected a database of trackio, got one where {error}") from None


def _run_of(base: sqlite3.Connection, wanted: Wanted) -> Piece:
    runs = [name for (name,) in base.execute("SELECT DISTINCT run_name FROM metrics")]
    if wanted.run and wanted.run not in runs:
        raise ValueError(f"--run: expected one of {', '.join(sorted(runs))}, got {wanted.run!r}")
    if not wanted.run and len(runs) != 1:
        got = ", ".join(sorted(runs)) or "none"
        raise ValueError(f"expected one run in the project, got {got}: choose with --run")
    columns = Columns(wanted)
    query = "SELECT step, metrics FROM metrics WHERE run_name = ? ORDER BY id"
    for step, row in base.execute(query, (wanted.run or runs[0],)):
        values = json.loads(row)
        if not isinstance(values, dict):
            raise ValueError(f"expected a JSON object for each row, got {row!r:.60}")
        columns.add({"step": step, **values})
    return piece_of(columns, "trackio")
