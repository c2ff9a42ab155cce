"""The pages on the theorems: their links lead somewhere, their code exists, none is forgotten."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from pathlib import Path

import pytest

from autowarmup.lab.theory import bounds

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs" / "theory"
PAGES = sorted(DOCS.glob("*.md"))
REFERENCE = re.compile(r"`((?:bounds|rules|checks|networks|Law)(?:\.(?!py`)\w+)*)`")
CODE = [page for page in PAGES if REFERENCE.search(page.read_text())]


def links(page: Path) -> list[str]:
    return [link for link in re.findall(r"\]\(([^)#]+)\)", page.read_text()) if "://" not in link]


def resolve(name: str):
    """Return the module or object of the theory room that a page names."""
    first, *rest = name.split(".")
    path = "law" if first == "Law" else first
    found = importlib.import_module(f"autowarmup.lab.theory.{path}")
    if first == "Law":
        rest = ["Law", *rest]
    for part in rest:
        if inspect.ismodule(found) and not hasattr(found, part):
            found = importlib.import_module(f"{found.__name__}.{part}")
        else:
            found = getattr(found, part)
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page):
    found = links(page)
    assert found
    assert [link for link in found if not (DOCS / link).exists()] == []


def test_every_page_is_reached_from_the_index():
    assert {page.name for page in PAGES} - {"index.md"} <= set(links(DOCS / "index.md"))


@pytest.mark.parametrize("page", CODE, ids=lambda page: page.name)
def test_every_code_reference_exists(page):
    text = page.read_text()
    for name in REFERENCE.findall(text):
        found = resolve(name)
        target = re.search(rf"\[`{re.escape(name)}`\]\(([^)]+)\)", text)
        if target and not inspect.ismodule(found):
            source = inspect.getsourcefile(inspect.unwrap(getattr(found, "fget", None) or found))
            assert (DOCS / target[1]).resolve() == Path(source or "").resolve(), name


def test_every_bound_is_on_a_page():
    text = "".join(page.read_text() for page in PAGES)
    missing = []
    for module in pkgutil.iter_modules(bounds.__path__):
        held = importlib.import_module(f"{bounds.__name__}.{module.name}")
        missing += [
            f"bounds.{module.name}.{name}"
            for name, found in vars(held).items()
            if inspect.isfunction(found)
            and found.__module__ == held.__name__
            and name != "ceiled"
            and not name.startswith("_")
            and f"bounds.{module.name}.{name}" not in text
        ]
    assert missing == []
