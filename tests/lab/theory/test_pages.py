"""The pages on the theorems: their links lead somewhere, their code exists, none is forgotten."""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
import re
from pathlib import Path

import pytest

from autowarmup.lab.theory import bounds, count_figures, counts

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs" / "theory"
PAGES = sorted(DOCS.glob("*.md"))
REFERENCE = re.compile(
    r"`((?:bounds|rules|counterexamples|checks_networks|networks|Law)(?:\.(?!py`)\w+)*)`"
)
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
        if module.name == "printed":
            continue
        held = importlib.import_module(f"{bounds.__name__}.{module.name}")
        missing += [
            f"bounds.{module.name}.{name}"
            for name, found in vars(held).items()
            if inspect.isfunction(found)
            and found.__module__ == held.__name__
            and name != "ceiled"
            and f"bounds.{module.name}.{name}" not in text
        ]
    assert missing == []


def test_counts_are_below_their_bounds_and_drawn(tmp_path):
    record = counts.count(2, 0, most=100)
    held = record["statements"]
    assert set(held) == {name for names in counts.FIGURES.values() for name in names}
    for name, entry in held.items():
        assert len(entry["measured"]) >= 8, name
        pairs = zip(entry["measured"], entry["bound"], strict=True)
        assert all(taken <= allowed for taken, allowed in pairs), name
    count_figures.draw(record, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        f"{name}.{ending}" for name in counts.FIGURES for ending in ("svg", "png")
    }


def test_the_committed_records_are_clean():
    counted = json.loads((ROOT / "results" / "theory" / counts.FILE).read_text())
    assert counted["environment"]
    for entry in counted["statements"].values():
        pairs = zip(entry["measured"], entry["bound"], strict=True)
        assert all(taken <= allowed for taken, allowed in pairs)
    neural = json.loads((ROOT / "results" / "theory" / "neural.json").read_text())
    random = [row for row in neural["rows"] if row["objective"] == "random small nets"]
    assert sum(row["instances"] for row in random) >= 10_000
    assert all((row["verdict"] == "fail") == row["expected_fail"] for row in neural["rows"])
