"""The checks that every page must pass would notice what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.pages import assert_stands_alone, measured, needs_browser

from autowarmup.lab.report.page import inline_svg

ROOT = Path(__file__).parents[3]

WRONG = """<!doctype html><html lang="en"><meta name="viewport" content="width=device-width">
<style>
body { margin: 0 }
@media (prefers-color-scheme: dark) { body { background: #111111 } }
</style>
<svg viewBox="0 0 100 50" width="100"><text x="80" y="20" font-size="10">too far right</text></svg>
<div style="overflow-x: auto; width: 90px"><p style="width: 200px">unreachable</p></div>
<p style="width: 700px">wide</p>"""


@needs_browser
def test_a_browser_sees_what_is_cut_and_what_cannot_be_reached(tmp_path: Path) -> None:
    page = tmp_path / "wrong.html"
    page.write_text(WRONG)
    found = measured(page, tmp_path, width=400, dark=True)
    assert found["cut"] == ["too far right"]
    assert len(found["beyond"]) == 1
    assert "700px" in found["beyond"][0]
    assert len(found["unfocused"]) == 1
    assert "90px" in found["unfocused"][0]
    assert found["sideways"] == 300
    assert found["letters"] == 10
    assert found["ground"] == "rgb(17, 17, 17)"
    wide = measured(page, tmp_path, width=1280)
    assert (wide["beyond"], wide["sideways"]) == ([], 0)
    assert wide["ground"] != found["ground"]


@needs_browser
@pytest.mark.parametrize("size", ["wide", "narrow"])
def test_nothing_of_a_committed_figure_is_cut(size: str, tmp_path: Path) -> None:
    paths = sorted(ROOT.glob("results/*/figures/*.svg"))
    chosen = [path for path in paths if path.stem.endswith("-narrow") == (size == "narrow")]
    assert len(chosen) >= 8
    page = tmp_path / "all.html"
    drawn = "".join(inline_svg(path.read_text(), path.stem) for path in chosen)
    page.write_text(f"<!doctype html><meta charset=utf-8>{drawn}")
    assert measured(page, tmp_path, width=1150 if size == "wide" else 372)["cut"] == []


RIGHT = """<html lang="en"><link rel="icon" href="data:,"><style>@media print {}</style>
<h1>1</h1><h2>2</h2><div class="scroll" tabindex="0" role="region" aria-label="It scrolls sideways">
<table><tr><th scope="row">a</th></tr></table></div></html>"""


def test_a_page_must_serve_everybody() -> None:
    assert_stands_alone(RIGHT, figures=0)
    for good, bad in (
        ('lang="en"', 'lang="xx"'),
        ("h2>", "h3>"),
        ('scope="row"', ""),
        ('tabindex="0"', 'tabindex="-1"'),
        ('role="region"', 'role="none"'),
        ('class="scroll"', 'class="other"'),
        ("print", "screen"),
        ("<h1>1</h1>", '<h1 style="color: #123456">1</h1>'),
        ("<h1>1</h1>", '<h1>1</h1><img src="https://example.invalid/x.png">'),
        ("<h1>1</h1>", "<h1>1</h1><svg></svg>"),
    ):
        with pytest.raises((AssertionError, KeyError, ValueError)):
            assert_stands_alone(RIGHT.replace(good, bad), figures=0)
