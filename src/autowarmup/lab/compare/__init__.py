"""Compare warm-ups: grid -> engine -> `DIR/runs/*.json` -> stats -> report.

Only `engine` trains; everything after it reads the stored records and nothing else.
"""

from __future__ import annotations

from autowarmup.lab.compare.engine import GridOutcome, run_grid
from autowarmup.lab.compare.grid import GRIDS, Grid, expand
from autowarmup.lab.compare.report import write_report
from autowarmup.lab.compare.stats import summarise

__all__ = ["GRIDS", "Grid", "GridOutcome", "expand", "run_grid", "summarise", "write_report"]
