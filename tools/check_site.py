"""Follow every link of the built site, and see that looking at it asks nothing of the network.

    python tools/check_site.py site

Strict MkDocs checks the links of the pages; this checks what came out, anchors, pictures, style
sheets and scripts included.
"""

from __future__ import annotations

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

LOADED = {("img", "src"), ("script", "src"), ("source", "srcset"), ("iframe", "src")}
"""Tags that a browser loads by itself; style sheets and icons are links with a `rel`."""


class Page(HTMLParser):
    """The links, the loaded files and the anchors of one page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Sort out one tag."""
        held = {name: value or "" for name, value in attrs}
        self.anchors |= {held[name] for name in ("id", "name") if name in held}
        loads = tag == "link" and held.get("rel", "") in ("stylesheet", "icon", "preload")
        for name, value in held.items():
            if (tag, name) in LOADED or (loads and name == "href"):
                self.loaded.append(value)
            elif tag == "a" and name == "href":
                self.links.append(value)


def complaints(site: Path) -> list[str]:
    """Return what is wrong, a line each."""
    if not site.is_dir():
        return [f"expected the folder of a built site, got {site}"]
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}
    found = []
    for path, page in pages.items():
        if path.name == "404.html":  # its links are those of the address it will be served at
            continue
        name = path.relative_to(site).as_posix()
        for link in page.loaded:
            if urlsplit(link).scheme in ("http", "https") or link.startswith("//"):
                found.append(f"{name} loads {link} from elsewhere")
        for link in {*page.links, *page.loaded}:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc or not link:
                continue
            to = unquote(urlsplit(urljoin(f"/{name}", link)).path).lstrip("/")
            target = site / to
            target = target / "index.html" if target.is_dir() else target
            if not target.is_file():
                found.append(f"{name} links {link}, which is not there")
            elif parts.fragment and target in pages:
                anchor = unquote(parts.fragment)
                if anchor not in pages[target].anchors and not anchor.startswith("only-"):
                    found.append(f"{name} links {link}, an anchor that is not there")
    return found


def main() -> int:
    """Check the site named on the command line."""
    site = Path(sys.argv[1])
    found = complaints(site)
    print("\n".join(found) if found else f"{site}: every link leads on, nothing from elsewhere")
    return int(bool(found))


if __name__ == "__main__":
    raise SystemExit(main())
