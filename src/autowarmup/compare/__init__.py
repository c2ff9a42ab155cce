"""Compare warm-ups: grid -> engine -> `DIR/runs/*.json` -> stats -> report.

Only `engine` trains; everything after it reads the stored records and nothing else.
"""

from __future__ import annotations

from autowarmup.compare.engine import GridOutcome, run_grid
from autowarmup.compare.grid import GRIDS, Grid, expand
from autowarmup.compare.report import write_report
from autowarmup.compare.stats import summarise

__all__ = ["GRIDS", "Grid", "GridOutcome", "expand", "run_grid", "summarise", "write_report"]
