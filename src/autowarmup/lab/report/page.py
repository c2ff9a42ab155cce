"""One frame for every page: self-contained HTML, figures inside, no network."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from html import unescape
from pathlib import Path
from typing import Any

from autowarmup.lab.report import palette
from autowarmup.lab.report.style import NARROW
from autowarmup.lab.report.words import unbroken_page


def pictures(
    folder: Path,
    captions: Mapping[str, tuple[str, str]],
    places: Mapping[str, str] | None = None,
) -> list[dict[str, Any]]:
    """Return what a template needs to show figures: name -> (title, caption), read from SVG.

    The finding is the title of the file; a drawing for narrow screens is used where there is one.
    """
    from markupsafe import Markup

    found = []
    for name, (title, words) in captions.items():
        drawn = {}
        for size, ending in (("wide", ""), ("narrow", NARROW)):
            if (path := folder / f"{name}{ending}.svg").exists():
                text = path.read_text(encoding="utf-8")
                svg = Markup(inline_svg(text, f"{name}{ending}"))
                drawn[size] = {"svg": svg, "pixels": width_of(text)}
        about = {
            "name": name,
            "title": title,
            "caption": words,
            "finding": finding_of(folder, name),
        }
        found.append({**about, "place": (places or {}).get(name, ""), "drawn": drawn})
    return found


def finding_of(folder: Path, name: str) -> str:
    """Return what FOLDER/NAME.svg shows, in one sentence: its title."""
    found = re.search(
        r"<title>(.*?)</title>", (folder / f"{name}.svg").read_text(encoding="utf-8"), re.DOTALL
    )
    return unescape(found[1]) if found else ""


def width_of(text: str) -> int:
    """Return the width of an SVG text in pixels of a page."""
    found = re.search(r'<svg[^>]* width="([\d.]+)pt"', text)
    return round(float(found[1]) * 4 / 3) if found else 0


def render(
    template: str,
    *,
    room: str,
    filters: Mapping[str, Callable[..., Any]] | None = None,
    **values: Any,
) -> str:
    """Fill the template of a room of the lab in the common frame; every text is escaped."""
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=ChoiceLoader(
            [PackageLoader(f"autowarmup.lab.{name}", ".") for name in (room, "report")]
        ),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters |= dict(filters or {})
    environment.globals["colours"] = palette.css()
    page = environment.get_template(template).render(**values)
    return unbroken_page(page)


def inline_svg(text: str, prefix: str) -> str:
    """Make an SVG file fit to stand in a page beside others.

    No prologue, ids of its own, the colours of the page; its title stands beside it as text.
    """
    text = re.sub(r"<title>.*?</title>\n? *", "", text[text.index("<svg") :], flags=re.DOTALL)
    text = re.sub(r'\bid="', f'id="{prefix}-', text)
    text = re.sub(r'href="#', f'href="#{prefix}-', text)
    text = palette.themed(re.sub(r"url\(#", f"url(#{prefix}-", text))
    # The page sets the size; the view box keeps the proportions.
    end = text.index(">")
    return re.sub(r' (width|height)="[^"]*"', "", text[:end]) + text[end:]
