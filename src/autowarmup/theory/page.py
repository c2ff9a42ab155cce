"""A report -> `theory.json` and one self-contained `theory.html`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from autowarmup.pretrain.rundir import write_aside
from autowarmup.theory.verify import Report
from autowarmup.theory.words import facts, headline, lines, margin, number

PAGE = "theory.html"


def write_page(out: str | Path, report: Report) -> Path:
    """Write OUT/theory.json and OUT/theory.html and return the path of the page.

    The page needs no other file and no network; the same report gives the same bytes.
    """
    out = Path(out)
    report.write(out)
    page = _render(
        headline=headline(report),
        groups=lines(report),
        summary=report.summary(),
        facts=facts(report),
    )
    write_aside(out / PAGE, page.encode())
    return out / PAGE


def _render(**values: Any) -> str:
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    environment = Environment(
        # The frame of the page is that of the measurements.
        loader=ChoiceLoader(
            [PackageLoader("autowarmup.theory", "."), PackageLoader("autowarmup.curvature", ".")]
        ),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters |= {"number": number, "margin": margin}
    return environment.get_template("theory.html").render(**values)
