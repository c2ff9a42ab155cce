"""A report -> `theory.json` and one self-contained `theory.html`."""

from __future__ import annotations

from pathlib import Path

from autowarmup.lab.files import write_aside
from autowarmup.lab.report.page import render
from autowarmup.lab.theory.verify import Report
from autowarmup.lab.theory.words import facts, headline, lines, margin, number

PAGE = "theory.html"


def write_page(out: str | Path, report: Report) -> Path:
    """Write OUT/theory.json and OUT/theory.html and return the path of the page.

    The page needs no other file and no network; the same report gives the same bytes.
    """
    out = Path(out)
    report.write(out)
    page = render(
        "theory.html",
        room="theory",
        filters={"number": number, "margin": margin},
        headline=headline(report),
        groups=lines(report),
        summary=report.summary(),
        facts=facts(report),
    )
    write_aside(out / PAGE, page.encode())
    return out / PAGE
