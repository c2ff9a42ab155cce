"""What every page must be: whole in one file, and free of errors and requests in a browser."""

from __future__ import annotations

import itertools
import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from autowarmup.lab.report import palette

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
needs_browser = pytest.mark.skipif(
    CHROMIUM is None, reason="no chromium on this machine to open the page with"
)


@dataclass(frozen=True)
class Visit:
    """What a browser saw: the document it built, console messages, requests made by the page."""

    dom: str
    console: list[str]
    requests: list[str]


def visit(page: Path, scratch: Path, *arguments: str) -> Visit:
    log = scratch / "net.json"
    command = [
        str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
        "--no-first-run", "--disable-background-networking", "--disable-component-update",
        "--disable-sync", "--disable-dev-shm-usage", "--enable-logging=stderr",
        "--host-resolver-rules=MAP * ~NOTFOUND", "--window-size=1280,2600",
        f"--user-data-dir={scratch / 'profile'}", f"--log-net-log={log}", *arguments,
        page.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    events = [event.get("params", {}) for event in json.loads(log.read_text())["events"]]
    # The browser's own housekeeping has no origin; what a page asks for has.
    requests = [
        params["url"]
        for params in events
        if params.get("url", "").startswith("http")
        and params.get("initiator") != "not an origin"
        and "initiator" in params
    ]
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return Visit(done.stdout, console, requests)


_MEASURE = """
const seen = el => el.getClientRects().length > 0;
const box = el => el.getBoundingClientRect();
const found = {cut: [], beyond: [], unfocused: [], letters: 99};
for (const svg of document.querySelectorAll("svg")) {
  if (!seen(svg)) continue;
  const frame = box(svg), scale = frame.width / (svg.viewBox.baseVal.width || frame.width);
  for (const text of svg.querySelectorAll("text")) {
    const at = box(text);
    if (at.left < frame.left - 1 || at.right > frame.right + 1 || at.top < frame.top - 1
        || at.bottom > frame.bottom + 1) found.cut.push(text.textContent);
    found.letters = Math.min(found.letters, scale * parseFloat(getComputedStyle(text).fontSize));
  }
}
for (const el of document.querySelectorAll("body *")) {
  if (!seen(el) || el.closest("svg")) continue;
  if (!el.closest(".scroll") && box(el).right > innerWidth + 1)
    found.beyond.push(el.outerHTML.slice(0, 60));
  if (el.scrollWidth > el.clientWidth + 1 && getComputedStyle(el).overflowX != "visible"
      && el.tabIndex < 0) found.unfocused.push(el.outerHTML.slice(0, 60));
}
found.sideways = document.documentElement.scrollWidth - document.documentElement.clientWidth;
found.ground = getComputedStyle(document.body).backgroundColor;
found.ink = getComputedStyle(document.body).color;
parent.postMessage(JSON.stringify(found), "*");
"""
_FRAME = """<!doctype html><body><script>
addEventListener("message", e => { document.body.textContent = "found " + e.data + " end"; });
</script><iframe width="%d" height="900" src="%s"></iframe>"""


def measured(page: Path, scratch: Path, *, width: int, dark: bool = False) -> dict[str, Any]:
    """Return what a browser makes of a page at a width: cut words, what lies beyond the edge.

    The letters are the smallest ones in figures, in pixels. A window is 500 pixels wide at least,
    a frame in it need not be.
    """
    copy, frame = scratch / "copy.html", scratch / "frame.html"
    copy.write_text(page.read_text() + f"<script>{_MEASURE}</script>")
    frame.write_text(_FRAME % (width, copy.as_uri()))
    scheme = f"--blink-settings=preferredColorScheme={0 if dark else 1}"
    dom = visit(frame, scratch, "--dump-dom", "--virtual-time-budget=9000", scheme).dom
    return json.loads(unescape(dom.partition("found ")[2].partition(" end")[0]))


def assert_fits(page: Path, scratch: Path) -> None:
    """On a telephone, a laptop and a large screen nothing is cut, and the dark is dark."""
    for width, dark in ((400, False), (400, True), (1280, True), (1920, False)):
        found = measured(page, scratch, width=width, dark=dark)
        assert found.pop("letters") > 9.5, width
        ground = palette.MEANINGS["ground"][dark]
        red, green, blue = (int(ground[k : k + 2], 16) for k in (1, 3, 5))
        assert found.pop("ground") == f"rgb({red}, {green}, {blue})"
        assert found.pop("ink") != f"rgb({red}, {green}, {blue})"
        assert found == {"cut": [], "beyond": [], "unfocused": [], "sideways": 0}, width


class Loads(HTMLParser):
    """Collects everything that a browser would fetch for a page, and its tags."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.around: list[tuple[str, dict[str, str]]] = []
        self.inside: dict[int, list[dict[str, str]]] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        held = {name: value or "" for name, value in attrs}
        if tag in ("svg", "table"):
            self.inside[len(self.tags)] = [about for _, about in self.around]
        self.tags.append((tag, held))
        if tag in ("div", "figure", "table"):
            self.around.append((tag, held))
        for name, value in held.items():
            if name in ("src", "href", "xlink:href", "srcset", "data", "action"):
                self.found.append(value)
            self.found += re.findall(r"url\(([^)]*)\)", value)

    def handle_endtag(self, tag: str) -> None:
        if tag in ("div", "figure", "table"):
            assert self.around.pop()[0] == tag


def words(page: Path) -> str:
    """Return the text of a page, its spaces that do not break as plain ones."""
    return page.read_text().replace("\u00a0", " ")


def findings(text: str) -> dict[str, str]:
    """Return what a page says in place of each figure, by the figure's name."""
    parts = re.findall(r'<figure id="(\w+)".*?role="img" aria-label="([^"]*)"', text, re.DOTALL)
    return {name: unescape(finding) for name, finding in parts}


def assert_stands_alone(text: str, *, figures: int) -> None:
    """Nothing is fetched, nothing runs, no two parts share an id, and everybody can use it."""
    loads = Loads()
    loads.feed(text)
    tags = [tag for tag, _ in loads.tags]
    assert {url for url in loads.found if not url.startswith("#")} == {"data:,"}
    assert "@import" not in text
    assert re.findall(r"url\((?!#)", text) == []
    assert "script" not in tags
    assert "image" not in tags
    assert tags.count("figure") == tags.count("figcaption") == len(findings(text)) == figures
    assert figures <= tags.count("svg") <= 2 * figures  # a wide and a narrow drawing
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    assert {url[1:] for url in loads.found if url.startswith("#")} <= set(ids)
    _assert_for_people(loads)
    assert re.findall(r"#[0-9a-fA-F]{6}\b", text.replace(palette.css(), "")) == []
    assert "DejaVuSans-" not in text  # letters drawn as paths
    assert "@media print" in text
    for name, finding in findings(text).items():
        assert re.search(r"\d", finding), name
        assert finding.endswith("."), name


def _assert_for_people(loads: Loads) -> None:
    """Headings follow each other, cells have heads, and what scrolls can be reached by keys."""
    assert loads.tags[0] == ("html", {"lang": "en"})
    levels = [int(tag[1]) for tag, _ in loads.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    for tag, about in loads.tags:
        assert tag != "th" or about.get("scope") in ("col", "row", "rowgroup")
        if about.get("class") == "scroll":
            assert (about["tabindex"], about["role"]) == ("0", "region")
            assert "scrolls sideways" in about["aria-label"]
    for at, around in loads.inside.items():
        if loads.tags[at][0] == "table":
            assert any(about.get("class") == "scroll" for about in around)
        else:
            (image,) = (about for about in around if about.get("role") == "img")
            assert image["aria-label"]
