"""What checks the documentation finds what is wrong with it."""

from __future__ import annotations

import re

import pytest
from site_pages import DOCS, ROOT
from tools.check_site import complaints
from tools.docs_svg import Picture

from autowarmup.lab.report.words import unbroken_page

PAGE = '<h2 id="here">a</h2><a href="{}">b</a>{}'


@pytest.mark.parametrize(
    ("link", "more", "wrong"),
    [
        ("other/#there", "", ""),
        ("#here", "", ""),
        ("https://example.org/", "", ""),
        ("gone/", "", "index.html links gone/, which is not there"),
        ("other/#gone", "", "index.html links other/#gone, an anchor that is not there"),
        ("#here", '<img src="gone.png">', "index.html links gone.png, which is not there"),
        ("#here", '<script src="https://a.b/c.js">', "index.html loads https://a.b/c.js from else"),
        ("#here", '<link rel="stylesheet" href="//a.b/c">', "index.html loads //a.b/c from else"),
    ],
)
def test_a_dead_link_and_a_file_from_elsewhere_are_found(tmp_path, link, more, wrong):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "index.html").write_text('<h2 id="there">a</h2>')
    (tmp_path / "index.html").write_text(PAGE.format(link, more))
    found = complaints(tmp_path)
    assert [line.startswith(wrong) for line in found] == [True] * bool(wrong)


def test_a_picture_puts_points_where_they_belong():
    picture = Picture("light", "words", (0, 10), (0, 1), size=(120, 100), left=10, right=10, top=0)
    picture.bottom = 0
    assert picture.at(0, 0) == (10, 100)
    assert picture.at(10, 1) == (110, 0)
    assert picture.at(5, 0.5) == (60, 50)
    picture.words((5, 0.5), "a < b")
    assert "a &lt; b</text>" in picture.svg()
    assert "<title>words</title>" in picture.svg()


def test_words_of_a_picture_stand_out_from_its_ground():
    """Contrast of at least 4.5 (WCAG AA), in the light and in the dark."""

    def light(colour: str) -> float:
        parts = (int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5))
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    for path in sorted((DOCS / "assets").glob("*-*.svg")):
        text = path.read_text()
        if "<rect" not in text:
            continue
        ground = light(re.search(r'<rect [^>]*fill="(#\w{6})"', text)[1])
        for ink in set(re.findall(r'<text [^>]*?fill="(#\w{6})"', text)):
            high, low = sorted((light(ink), ground), reverse=True)
            assert (high + 0.05) / (low + 0.05) >= 4.5, f"{path.name}: {ink}"


def test_a_number_keeps_its_unit_on_the_site_but_code_is_as_it_was():
    code = "<pre><code>x = 5 % 3</code></pre><p><code>6 % 4</code></p>"
    assert unbroken_page(f"<p>45 % of it</p>{code}7 %") == f"<p>45\u00a0% of it</p>{code}7\u00a0%"


def test_no_site_is_a_complaint(tmp_path):
    assert complaints(tmp_path / "site") == [
        f"expected the folder of a built site, got {tmp_path / 'site'}"
    ]


def test_no_figure_holds_a_bitmap_which_would_not_follow_the_theme():
    figures = sorted((ROOT / "results").rglob("*.svg"))
    assert len(figures) > 10
    assert [path.name for path in figures if "<image" in path.read_text(encoding="utf-8")] == []


def test_tools_that_the_makefile_runs_are_there():
    for tool in re.findall(r"tools/\w+\.py", (ROOT / "Makefile").read_text()):
        assert (ROOT / tool).exists()
