"""One frame for every page: self-contained HTML, figures inside, no network."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any


def pictures(
    folder: Path,
    captions: Mapping[str, tuple[str, str]],
    places: Mapping[str, str] | None = None,
) -> list[dict[str, Any]]:
    """Return what a template needs to show figures: name -> (title, caption), read from SVG."""
    return [
        {
            "name": name,
            "title": title,
            "caption": words,
            "place": (places or {}).get(name, ""),
            "svg": figure_svg(folder, name),
        }
        for name, (title, words) in captions.items()
    ]


def figure_svg(folder: Path, name: str) -> Any:
    """Return FOLDER/NAME.svg, fit to stand in a page."""
    from markupsafe import Markup

    return Markup(inline_svg((folder / f"{name}.svg").read_text(encoding="utf-8"), name))


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
    return environment.get_template(template).render(**values)


def inline_svg(text: str, prefix: str) -> str:
    """Make an SVG file fit to stand in a page beside others: no prologue, ids of its own."""
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    text = re.sub(r'\bid="', f'id="{prefix}-', text)
    text = re.sub(r'href="#', f'href="#{prefix}-', text)
    text = re.sub(r"url\(#", f"url(#{prefix}-", text)
    # The page sets the size; the view box keeps the proportions.
    end = text.index(">")
    return re.sub(r' (width|height)="[^"]*"', "", text[:end]) + text[end:]
