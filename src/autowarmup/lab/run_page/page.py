"""What `scheduler.report(out)` leaves: `trace.jsonl`, `figures/` and one self-contained page."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from autowarmup.history import Trace
from autowarmup.lab.claim import claimed, others
from autowarmup.lab.files import write_text
from autowarmup.lab.report import style
from autowarmup.lab.report.page import pictures, render

PAGE = "report.html"
TRACE = "trace.jsonl"
_CAPTION = (
    "The rate of the first parameter group and, pale behind it, the training loss. Dotted: what "
    "follows if no loss lowers the rate. Triangles: the loss had it lowered."
)


def write_page(
    out: Path, trace: Trace, sentences: str, facts: Mapping[str, str], draw: Callable[..., Any]
) -> Path:
    """Write OUT/trace.jsonl, OUT/figures and OUT/report.html and return the path of the page.

    A page that was made like this before is replaced: a run goes on.

    Raises:
        ValueError: OUT is a file, or holds anything else.
    """
    with claimed(out):
        held = {path.name for path in others(out)}
        if held and not held >= {PAGE, TRACE}:
            raise ValueError(
                f"out: expected an empty directory or one with such a page, got {out} with "
                f"{sorted(held)[0]}"
            )
        lines = "".join(point.to_json() + "\n" for point in trace)
        write_text(out / TRACE, lines)
        first, *rest = re.split(r"(?<=\.) (?=[A-Z])", sentences)
        drawing = (lambda: _figure(draw), lambda: first)
        style.save_all({"run": drawing}, out / "figures", "run")
        page = render(
            "page.html",
            room="run_page",
            headline=first,
            sentences=rest,
            figure=pictures(out / "figures", {"run": ("Rate and loss", _CAPTION)})[0],
            facts=[(name, text, False) for name, text in facts.items()]
            + [("Data behind this page", f"{TRACE}, in the same directory", False)],
        )
        write_text(out / PAGE, page)
    return out / PAGE


def _figure(draw: Callable[..., Any]) -> Any:
    figure, ((axes,),) = style.panels(1, width=9.0)
    draw(axes)
    return figure
