from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autowarmup.lab.report import palette, style
from autowarmup.lab.report.numbers import percent
from autowarmup.lab.report.page import inline_svg, pictures, render


def test_inline_svg_keeps_ids_apart() -> None:
    text = (
        '<?xml version="1.0"?>\n<svg width="1pt" height="2pt" viewBox="0 0 1 2">'
        '<title>words</title><g id="a" clip-path="url(#b)"/><use xlink:href="#a"/></svg>'
    )
    assert inline_svg(text, "p") == (
        '<svg viewBox="0 0 1 2"><g id="p-a" clip-path="url(#p-b)"/><use xlink:href="#p-a"/></svg>'
    )


def test_a_page_shows_what_a_figure_says(tmp_path: Path) -> None:
    def drawing() -> Any:
        figure, ((axes,),) = style.panels(1)
        axes.plot([1, 2], [3, 4], color=palette.HAND)
        style.label(axes, (1.5, 3.5), (0, 0), "here")
        return figure

    drawings = {"line": (drawing, lambda: "It rises < 2 times."), "none": (lambda: None, str)}
    (tmp_path / "none.svg").write_text("of an earlier drawing")
    assert style.save_all(drawings, tmp_path, "test") == ["line"]
    assert {path.name for path in tmp_path.iterdir()} == {"line.svg", "line-narrow.svg"}
    text = (tmp_path / "line.svg").read_text()
    assert palette.strange(text) == set()
    assert f"stroke: {palette.GROUND}; stroke-width: 3" in text  # the outline of the words
    assert ">here</text>" in text
    assert "sans-serif" in text
    (shown,) = pictures(tmp_path, {"line": ("A line", "How to read it.")})
    assert shown["finding"] == "It rises < 2 times."
    assert shown["drawn"]["wide"]["pixels"] == 672  # 7 inches
    assert shown["drawn"]["narrow"]["pixels"] <= 372
    assert "#" not in re.sub(r"#line|url\(#", "", shown["drawn"]["wide"]["svg"])
    assert "stroke: var(--hand)" in shown["drawn"]["wide"]["svg"]


def test_a_number_keeps_its_sign_but_a_command_is_as_it_was(tmp_path: Path) -> None:
    page = render(
        "page.html", room="compare",
        filters=dict.fromkeys(("rule", "loss", "error", "interval"), str),
        headline="5 % lower", subject="in 3 hours", sentences=[], figures=[], rows=[], seeds=[],
        facts=[("Command", "--rules '5 %'", True)],
    )  # fmt: skip
    assert "5\u00a0% lower" in page
    assert "in 3\u00a0hours" in page
    assert "--rules &#39;5 %&#39;" in page


@given(st.floats(-0.9, 9.0))
def test_percentages_never_show_a_signed_zero(share: float) -> None:
    text = percent(share)
    assert text.endswith(" %")
    assert text not in ("+0.0 %", "−0.0 %")
    assert float(text[:-2].replace("−", "-")) == pytest.approx(100 * share, abs=0.051)
