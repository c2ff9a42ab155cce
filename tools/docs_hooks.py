"""What the site needs beside the pages of docs/; MkDocs calls the functions named `on_...`.

- Pages that live elsewhere: the changelog, CONTRIBUTING.md, ARCHITECTURE.md, the tutorial notebook.
- Links that leave docs/: pictures and JSON of results/ are copied into the site, everything else
  leads to the repository. So one spelling works in the repository and on the site.
"""

from __future__ import annotations

import json
import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

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


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that live elsewhere, and what pages show of results/."""
    for page, source in ELSEWHERE.items():
        path = ROOT / source
        text = notebook_page(path) if path.suffix == ".ipynb" else path.read_text()
        files.append(File.generated(config, page, content=text))
    for file in list(files.documentation_pages()):
        for _, link, _ in LINK.findall(file.content_string):
            target = repository_path(file.src_uri, link)
            if target is None or target.startswith("docs/") or Path(target).suffix not in COPIED:
                continue
            if files.get_file_from_path(target) is None and (ROOT / target).is_file():
                files.append(File.generated(config, target, abs_src_path=str(ROOT / target)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links that are right in the repository into links that are right on the site."""
    here = posixpath.dirname(page.file.src_uri)

    def turned(match: re.Match[str]) -> str:
        target = repository_path(page.file.src_uri, match[2])
        if target is None:
            return match[0]
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
    if "://" in link or link.startswith(("mailto:", "#", "/")):
        return None
    source = ELSEWHERE.get(page, f"docs/{page}")
    return posixpath.normpath(posixpath.join(posixpath.dirname(source), link))


def notebook_page(path: Path) -> str:
    """Return a notebook as Markdown: its text, its code, and what it printed and drew."""
    parts = []
    for cell in json.loads(path.read_text())["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source)
        elif cell["cell_type"] == "code":
            parts.append(f"```python\n{source}\n```")
            parts += [text for output in cell["outputs"] if (text := _shown(output))]
    return "\n\n".join(parts) + "\n"


def _shown(output: dict[str, Any]) -> str:
    data = output.get("data", {})
    if "image/png" in data:
        words = output.get("metadata", {}).get("alt", "What the code above draws")
        return f"![{words}](data:image/png;base64,{''.join(data['image/png']).strip()})"
    printed = "".join(output.get("text", data.get("text/plain", "")))
    return f'```text title="prints"\n{printed.rstrip()}\n```' if printed.strip() else ""
