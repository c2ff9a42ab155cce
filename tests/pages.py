"""What every page must be: whole in one file, and free of errors and requests in a browser."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

import pytest

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


class Loads(HTMLParser):
    """Collects everything that a browser would fetch for a page, and its tags."""

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


def assert_stands_alone(text: str, *, figures: int) -> None:
    """Nothing is fetched, nothing runs, and no two parts share an id."""
    loads = Loads()
    loads.feed(text)
    assert {url for url in loads.found if not url.startswith("#")} == {"data:,"}
    assert "@import" not in text
    assert re.findall(r"url\((?!#)", text) == []
    assert "script" not in loads.tags
    assert "image" not in loads.tags
    assert loads.tags.count("svg") == figures
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids)) > 100
    assert {url[1:] for url in loads.found if url.startswith("#")} <= set(ids)
