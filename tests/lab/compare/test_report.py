from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from autowarmup.lab.compare.grid import GRIDS, Grid
from autowarmup.lab.compare.report import write_report
from autowarmup.lab.compare.terminal import print_summary
from autowarmup.lab.report.page import inline_svg

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
SVG_IDS = re.compile(r'\bid="([^"]+)"')


def fill(folder: Path, grid: Grid, records: list[dict[str, Any]]) -> Path:
    (folder / "runs").mkdir(parents=True)
    values = {"format": "autowarmup-grid-1", "command": "compare <x>", "grid": grid.to_dict()}
    (folder / "grid.json").write_text(json.dumps(values))
    for record in records:
        (folder / "runs" / f"{record['id']}.json").write_text(json.dumps(record))
    return folder


@pytest.fixture(scope="module")
def page_folder(tmp_path_factory: pytest.TempPathFactory, grid_records: Callable[..., Any]) -> Path:
    """A finished demo with a diverged run whose message is hostile."""
    records = grid_records(GRIDS["demo"])
    records[2] |= {
        "status": "diverged",
        "val_loss": None,
        "message": "nan <script>alert(1)</script>",
    }
    folder = fill(tmp_path_factory.mktemp("demo"), GRIDS["demo"], records)
    write_report(folder)
    return folder


class Loads(HTMLParser):
    """Collects everything that a browser would fetch for a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name in ("src", "href", "xlink:href", "srcset", "data", "action"):
                self.found.append(value or "")
            self.found += re.findall(r"url\(([^)]*)\)", value or "")


def test_the_page_stands_alone(page_folder: Path) -> None:
    text = (page_folder / "report.html").read_text()
    loads = Loads()
    loads.feed(text)
    assert {url for url in loads.found if not url.startswith("#")} == {"data:,"}
    assert "@import" not in text
    assert re.findall(r"url\((?!#)", text) == []
    assert "script" not in loads.tags
    assert loads.tags.count("svg") == 4
    ids = SVG_IDS.findall(text)
    assert len(ids) == len(set(ids)) > 100
    used = {url[1:] for url in loads.found if url.startswith("#")}
    assert used <= set(ids)


def test_the_page_says_what_the_summary_says(page_folder: Path) -> None:
    text = (page_folder / "report.html").read_text()
    summary = json.loads((page_folder / "summary.json").read_text())
    assert summary["verdict"]["headline"] in text
    assert "nan &lt;script&gt;alert(1)&lt;/script&gt;" in text
    for setup in summary["setups"]:
        assert setup["label"] in text
        for rule in setup["rules"]:
            if rule["rule"] in (setup["best_hand_tuned"], summary["main_rule"]):
                assert f"{rule['val_loss']:.4f}" in text
    for fact in ("compare &lt;x&gt;", "test &lt;cpu&gt;", "autowarmup train --seed 0", "2.13.0"):
        assert fact in text


def test_drawing_again_changes_no_byte(page_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(page_folder / "runs", tmp_path / "runs")
    shutil.copy(page_folder / "grid.json", tmp_path)
    write_report(tmp_path)
    names = {path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()}
    figures = {str(name) for name in names if name.parts[0] == "figures"}
    assert figures == {
        f"figures/{name}.{kind}"
        for name in ("warmup_length", "learning_rate", "losses", "gap_to_rate")
        for kind in ("svg", "png")
    }
    for name in names:
        assert (tmp_path / name).read_bytes() == (page_folder / name).read_bytes(), name


def test_an_unfinished_directory_is_reported_as_such(
    tmp_path: Path, grid_records: Callable[..., Any]
) -> None:
    fill(tmp_path, GRIDS["demo"], grid_records(GRIDS["demo"])[:6])
    (tmp_path / "runs" / "torn.json").write_text('{"id": "torn", "conf')
    summary = write_report(tmp_path)
    assert (summary["runs"]["stored"], summary["runs"]["expected"]) == (6, 15)
    text = (tmp_path / "report.html").read_text()
    assert "6 of 15 stored" in text
    assert "cannot be judged yet" in text
    assert "expected a run record in torn.json" in text


def test_everything_failed_still_draws(tmp_path: Path, grid_records: Callable[..., Any]) -> None:
    records = [
        {
            "id": r["id"], "status": "failed", "message": "killed", "val_loss": None,
            "config": {k: v for k, v in r["config"].items() if k != "batch_size"},
        }
        for r in grid_records(GRIDS["smoke"])
    ]  # fmt: skip
    summary = write_report(fill(tmp_path, GRIDS["smoke"], records))
    assert set(summary["verdict"]["outcomes"].values()) == {"no number"}
    assert (tmp_path / "report.html").read_text().count("killed") == 6


@pytest.mark.parametrize("kept", ["adaptive", "linear"])
def test_half_of_the_comparison_still_draws(
    tmp_path: Path, grid_records: Callable[..., Any], kept: str
) -> None:
    records = [
        r
        for r in grid_records(GRIDS["smoke"])
        if (r["config"]["warmup"] == "adaptive") == (kept == "adaptive")
    ]
    shutil.rmtree(tmp_path)
    folder = fill(tmp_path, GRIDS["smoke"], records)
    (folder / "grid.json").unlink()
    write_report(folder)
    assert (folder / "report.html").exists()


def test_a_directory_without_runs(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"expected run records in .*runs, got none"):
        write_report(tmp_path)
    with pytest.raises(ValueError, match="nowhere"):
        write_report(tmp_path / "nowhere")


def test_the_study_with_all_its_variants_draws(
    tmp_path: Path, grid_records: Callable[..., Any]
) -> None:
    summary = write_report(fill(tmp_path, GRIDS["study"], grid_records(GRIDS["study"])))
    assert len(summary["setups"]) == 8
    text = (tmp_path / "report.html").read_text()
    assert "adaptive published, fixed start" in text
    assert "± " in text


def test_inline_svg_keeps_ids_apart() -> None:
    text = (
        '<?xml version="1.0"?>\n<svg width="1pt" height="2pt" viewBox="0 0 1 2">'
        '<metadata>http://x</metadata><g id="a" clip-path="url(#b)"/><use xlink:href="#a"/></svg>'
    )
    assert inline_svg(text, "p") == (
        '<svg viewBox="0 0 1 2"><g id="p-a" clip-path="url(#p-b)"/><use xlink:href="#p-a"/></svg>'
    )


def test_the_terminal_shows_the_same(page_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    summary = json.loads((page_folder / "summary.json").read_text())
    print_summary(summary)
    printed = " ".join(capsys.readouterr().out.split())
    assert summary["verdict"]["headline"] in printed
    assert "nan <script>alert(1)</script>" in printed
    for setup in summary["setups"]:
        best = next(r for r in setup["rules"] if r["rule"] == setup["best_hand_tuned"])
        assert setup["label"] in printed
        assert f"{best['val_loss']:.4f}" in printed


def test_reading_a_summary_needs_no_drawing_packages() -> None:
    code = (
        "import sys, autowarmup.lab.compare, autowarmup.lab.compare.terminal\n"
        "loaded = {'matplotlib', 'jinja2', 'torch', 'transformers', 'rich'} & set(sys.modules)\n"
        "assert not loaded, loaded\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


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


@needs_browser
def test_the_page_opens_in_a_browser(page_folder: Path, tmp_path: Path) -> None:
    page = page_folder / "report.html"
    seen = visit(page, tmp_path, "--dump-dom")
    headline = json.loads((page_folder / "summary.json").read_text())["verdict"]["headline"]
    assert headline in seen.dom
    assert seen.dom.count("<svg") == 4
    assert (seen.console, seen.requests) == ([], [])
    picture = tmp_path / "page.png"
    assert visit(page, tmp_path, f"--screenshot={picture}").console == []
    assert _share_of_colour(picture, (213, 94, 0)) > 1e-4


@needs_browser
def test_the_browser_test_would_notice(tmp_path: Path) -> None:
    page = tmp_path / "bad.html"
    page.write_text("<img src='http://example.invalid/x.png'><script>throw Error('x')</script>")
    seen = visit(page, tmp_path, "--dump-dom")
    assert seen.requests == ["http://example.invalid/x.png"]
    assert any("Uncaught Error: x" in line for line in seen.console)


def _share_of_colour(picture: Path, colour: tuple[int, int, int]) -> float:
    """Return the share of pixels close to a colour: the adaptive lines were really painted."""
    import numpy as np
    from PIL import Image

    with Image.open(picture) as image:
        pixels = np.asarray(image.convert("RGB"), dtype=int)
    return float((abs(pixels - colour).max(axis=-1) < 12).mean())
