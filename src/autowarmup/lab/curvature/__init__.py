"""Measured curvature: a trace of points -> `DIR/measure.json` -> `DIR/measure.html`.

`job` fits and writes the record; everything after it (`page`, `figures`, `study`, `terminal`)
reads records and nothing else, so that a page can be drawn again without training.
"""

from __future__ import annotations

from autowarmup.lab.curvature.job import build_record, run_record
from autowarmup.lab.curvature.page import page
from autowarmup.lab.curvature.store import read_record, read_run, write_record
from autowarmup.lab.curvature.study import write_study

__all__ = [
    "build_record",
    "page",
    "read_record",
    "read_run",
    "run_record",
    "write_record",
    "write_study",
]
