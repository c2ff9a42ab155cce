"""The page of measurements that a user's own training made, by `CurvatureObserver`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from autowarmup.history import Trace
from autowarmup.lab.claim import claimed, others
from autowarmup.lab.curvature.page import PAGE, page
from autowarmup.lab.curvature.record import FILE, build_record, read_record, write_record


def write_observed(out: Path, trace: Trace, **facts: Any) -> Path:
    """Write OUT/measure.json, OUT/figures and OUT/measure.html and return the path of the page.

    A page that was made like this before is replaced: a run goes on.

    Args:
        out: directory.
        trace: of the observer.
        facts: as `build_record`; the source is of the kind "observer".

    Raises:
        ValueError: nothing was measured, or OUT holds anything else.
    """
    record = build_record(trace, **facts)
    with claimed(out):
        if others(out) and not _made_so(out):
            raise ValueError(
                f"out: expected an empty directory or one with such a page, got {out} with other "
                "files"
            )
        write_record(out, record)
        page(out)
    return out / PAGE


def _made_so(out: Path) -> bool:
    return (out / FILE).exists() and read_record(out)["source"]["kind"] == "observer"
