"""Measured curvature: a trace of points -> `DIR/measure.json` -> `DIR/measure.html`.

`measure` trains or reads a run, `record` fits and writes; `page`, `figures` and `notes` read a
record and nothing else, so that a page can be drawn again without training.
"""

from __future__ import annotations

from autowarmup.lab.curvature.page import page, print_record
from autowarmup.lab.curvature.record import build_record, read_record, write_record

__all__ = ["build_record", "page", "print_record", "read_record", "write_record"]
