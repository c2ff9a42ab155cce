"""What the site needs beside the pages of docs/; MkDocs calls the functions named `on_...`.

- Pages that live elsewhere: the changelog, CONTRIBUTING.md, ARCHITECTURE.md, the tutorial notebook.
- Links that leave docs/: pictures and JSON of results/ are copied into the site, everything else
  leads to the repository. So one spelling works in the repository and on the site.
- Figures of results/ in the colours of the theme, and redrawn for narrow screens.
"""

from __future__ import annotations

import base64
import json
import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from autowarmup.lab.report import palette
from autowarmup.lab.report.words import unbroken_page

ROOT = Path(__file__).resolve().parent.parent
ELSEWHERE = {
    "changelog.md": "CHANGELOG.md",
    "contributing.md": "CONTRIBUTING.md",
    "architecture.md": "ARCHITECTURE.md",
    "tutorial.md": "examples/tutorial.ipynb",
}
"""Page of the site -> file of the repository that it is made from."""
COPIED = {".png", ".svg", ".json"}
LINK = re.compile(r"(\]\()([^)\s#]+)((?:#[^)\s]*)?\))")

FIGURE = re.compile(r'<img alt="([^"]*)" src="([^"]*results/[^"]*/figures/[^"]*)\.svg" ?/?>')
"""A figure of results/ in a page that is built."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that live elsewhere, and what pages show of results/."""
    for page, source in ELSEWHERE.items():
        path = ROOT / source
        text, drawn = (
            notebook_page(path)
            if path.suffix == ".ipynb"
            else (path.read_text(encoding="utf-8"), {})
        )
        files.append(File.generated(config, page, content=text))
        for name, picture in drawn.items():
            files.append(File.generated(config, name, content=picture))
    for file in list(files.documentation_pages()):
        for _, link, _ in LINK.findall(file.content_string):
            target = repository_path(file.src_uri, link)
            if target is None or target.startswith("docs/") or Path(target).suffix not in COPIED:
                continue
            if files.get_file_from_path(target) is None and (ROOT / target).is_file():
                files.append(File.generated(config, target, abs_src_path=str(ROOT / target)))
                for name, drawing in variants(target).items():
                    files.append(File.generated(config, name, content=drawing))
    return files


def variants(figure: str) -> dict[str, str]:
    """Return the drawings of a figure of results/ for dark ground and for narrow screens."""
    narrow = ROOT / figure.replace(".svg", "-narrow.svg")
    if not narrow.is_file():
        return {}
    stem = figure.removesuffix(".svg")
    wide_text, narrow_text = (
        (ROOT / figure).read_text(encoding="utf-8"),
        narrow.read_text(encoding="utf-8"),
    )
    return {
        f"{stem}-narrow.svg": narrow_text,
        f"{stem}-dark.svg": palette.dark(wide_text),
        f"{stem}-narrow-dark.svg": palette.dark(narrow_text),
    }


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links that are right in the repository into links that are right on the site."""
    here = posixpath.dirname(page.file.src_uri)

    def turned(match: re.Match[str]) -> str:
        target = repository_path(page.file.src_uri, match[2])
        if target is None:
            return match[0].replace("](site:", "](")
        made = {source: name for name, source in ELSEWHERE.items()}
        if target == "README.md":
            target = "index.md"
        elif target in made:
            target = made[target]
        elif target.startswith("docs/"):
            target = target.removeprefix("docs/")
        elif files.get_file_from_path(target) is None:
            kind = "tree" if (ROOT / target).is_dir() else "blob"
            if not (ROOT / target).exists():
                return match[0]  # strict mode names it
            return f"{match[1]}{config.repo_url.rstrip('/')}/{kind}/main/{target}{match[3]}"
        return f"{match[1]}{posixpath.relpath(target, here or '.')}{match[3]}"

    return LINK.sub(turned, markdown)


def repository_path(page: str, link: str) -> str | None:
    """Return where in the repository a link leads; `None` for one that is no path."""
    if "://" in link or link.startswith(("mailto:", "site:", "#", "/")):
        return None
    source = ELSEWHERE.get(page, f"docs/{page}")
    return posixpath.normpath(posixpath.join(posixpath.dirname(source), link))


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Show figures by theme and width, and link pages that docstrings name, docs/bench.md."""
    html = FIGURE.sub(_picture, unbroken_page(html))
    if not page.file.src_uri.startswith("api/"):
        return html

    def linked(match: re.Match[str]) -> str:
        there = files.get_file_from_path(match[1])
        if there is None:
            return match[0]
        return f'<a href="{there.url_relative_to(page.file)}">{match[0]}</a>'

    return re.sub(r"\bdocs/([\w/-]+\.md)", linked, html)


def _picture(found: re.Match[str]) -> str:
    """Return a figure of results/ in light and dark, each wide and narrow; a theme shows one.

    It leads to the drawing at its own size, which a column of text may have no room for.
    """
    alt, stem = found[1], found[2]
    return "".join(
        f'<a class="only-{theme}" href="{stem}{ending}.svg"><picture><source '
        f'media="(max-width: 50em)" srcset="{stem}-narrow{ending}.svg">'
        f'<img alt="{alt}" src="{stem}{ending}.svg"></picture></a>'
        for theme, ending in (("light", ""), ("dark", "-dark"))
    )


def notebook_page(path: Path) -> tuple[str, dict[str, bytes]]:
    """Return a notebook as Markdown, with what it printed and drew, and the drawings by name."""
    parts: list[str] = []
    drawn: dict[str, bytes] = {}
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"])
        parts.append(source if cell["cell_type"] == "markdown" else f"```python\n{source}\n```")
        for output in cell.get("outputs", ()):
            if "image/png" in output.get("data", {}):
                name = f"{path.stem}-{len(drawn) + 1}.png"
                drawn[name] = base64.b64decode("".join(output["data"]["image/png"]))
                parts.append(f"![{cell['metadata']['alt']}](site:{name})")
            elif words := "".join(output.get("text", "")).rstrip():
                parts.append(f'```text title="prints"\n{words}\n```')
    return "\n\n".join(parts) + "\n", drawn
