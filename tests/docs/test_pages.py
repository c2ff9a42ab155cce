"""Links of the documentation lead on, its reference is whole, its pictures are those of today."""

from __future__ import annotations

import importlib.util
import inspect
import posixpath
import re
import subprocess
import sys
from pathlib import Path

import config_files
import pytest
from site_pages import DOCS, FENCED, PAGES, ROOT, anchors_of, links_of

import autowarmup

AT_THE_ROOT = ["README.md", "CONTRIBUTING.md", "ARCHITECTURE.md", "CHANGELOG.md", "SECURITY.md"]
MODULES = ["autowarmup", "autowarmup.rules", "autowarmup.norms", "autowarmup.measure"]
INTEGRATIONS = [
    "axolotl", "huggingface", "lightning", "llamafactory", "optax", "torchtune", "tracking"
]  # fmt: skip
HOSTS = {"axolotl.integrations.base": "BasePlugin", "llamafactory.hparams": "read_args",
         "llamafactory.train.tuner": "run_exp"}  # fmt: skip
"""What integrations import of hosts that pin other versions of torch; here it is played."""


@pytest.fixture(autouse=True)
def hosts_are_there(monkeypatch):
    for host in ("axolotl", "llamafactory"):
        if importlib.util.find_spec(host) is None:
            monkeypatch.delitem(sys.modules, f"autowarmup.integrations.{host}", raising=False)
            for name, thing in HOSTS.items():
                if name.startswith(host):
                    config_files.stand_in(monkeypatch, name, **{thing: object})
    yield
    for host in ("axolotl", "llamafactory"):
        sys.modules.pop(f"autowarmup.integrations.{host}", None)


@pytest.mark.parametrize("path", [*AT_THE_ROOT, *(f"docs/{page}" for page in PAGES)])
def test_every_link_leads_on(path):
    page, dead = ROOT / path, []
    for link in links_of(page):
        if "://" in link or link.startswith(("mailto:", "data:")):
            continue
        to, _, anchor = link.partition("#")
        target = page.parent / to if to else page
        made = posixpath.normpath(posixpath.join(posixpath.dirname(path), to))
        if made == "docs/tutorial.md":  # made from the notebook when the site is built
            target = ROOT / "examples" / "tutorial.ipynb"
        headed = anchor and target.suffix == ".md"
        if not target.exists() or (headed and anchor not in anchors_of(target)):
            dead.append(link)
    assert dead == []


def public_names() -> set[str]:
    """Return every public name by the place that defines it, as module:name."""
    found = set()
    for module in MODULES:
        room = importlib.import_module(module)
        found |= {f"{module}.{name}" for name in room.__all__}
    for name in INTEGRATIONS:
        module = f"autowarmup.integrations.{name}"
        room = importlib.import_module(module)
        found |= {
            f"{module}.{key}"
            for key, value in vars(room).items()
            if not key.startswith("_") and getattr(value, "__module__", "") == module
        }
    return found


def resolved(name: str) -> object:
    """Return what a dotted name stands for; what has no identity of its own stays its name."""
    module, _, attribute = name.rpartition(".")
    value = getattr(importlib.import_module(module), attribute)
    is_thing = inspect.isclass(value) or inspect.isroutine(value)
    return value if is_thing else attribute


def documented() -> list[str]:
    text = "\n".join(page.read_text() for page in sorted((DOCS / "api").glob("*.md")))
    return re.findall(r"^::: ([\w.]+)$", text, re.MULTILINE)


def test_every_public_name_is_in_the_reference():
    there = {resolved(name) for name in documented()}
    missing = sorted(name for name in public_names() if resolved(name) not in there)
    assert missing == [], "add `::: NAME` to a page of docs/api"


def test_the_reference_names_nothing_twice():
    names = documented()
    assert len(names) == len(set(names))


def test_what_is_in_the_reference_has_a_docstring():
    things = [value for name in documented() if not isinstance(value := resolved(name), str)]
    assert [thing for thing in things if not inspect.getdoc(thing)] == []


def test_the_pictures_are_what_the_library_does_today():
    check = [sys.executable, str(ROOT / "tools" / "docs_pictures.py"), "--check"]
    done = subprocess.run(check, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_pictures_keep_text_as_text_and_say_their_finding():
    for path in sorted((DOCS / "assets").glob("*.svg")):
        text = path.read_text()
        assert re.search(r"<title>[^<]+</title>", text), path.name
        if not path.name.startswith("mark"):
            assert text.count("<text") >= 5, path.name


PICTURE = (
    r"!\[([^\]]+)\]\([^)]*assets/([\w-]+)\.svg"
    r'|<img [^>]*?assets/([\w-]+)\.svg"[^>]*alt="([^"]+)"'
)


@pytest.mark.parametrize("path", ["README.md", "docs/index.md", "docs/how-it-decides.md"])
def test_numbers_in_the_words_for_a_picture_are_those_of_the_picture(path):
    found = re.findall(PICTURE, (ROOT / path).read_text())
    assert found
    for words, name, other_name, other_words in found:
        said = (DOCS / "assets" / f"{name or other_name}.svg").read_text().partition("</title>")[0]
        for number in re.findall(r"\d[\d,.]*\b", words or other_words):
            assert number in said, f"{name or other_name}: {number}"


def test_every_picture_of_a_page_has_words_in_its_place():
    for page in PAGES:
        text = FENCED.sub("", (DOCS / page).read_text())
        assert not re.search(r"!\[\s*\]\(", text), page


def test_the_owner_of_the_repository_is_named_alike():
    pyproject, site = (ROOT / name for name in ("pyproject.toml", "mkdocs.yml"))
    urls = set(re.findall(r"https://github\.com/([\w-]+)/autowarmup", pyproject.read_text()))
    assert urls == set(re.findall(r"https://github\.com/([\w-]+)/autowarmup", site.read_text()))
    assert len(urls) == 1


def test_the_version_stands_in_one_place():
    version = autowarmup.__version__
    assert 'dynamic = ["version"]' in (ROOT / "pyproject.toml").read_text()
    assert f"version: {version}\n" in (ROOT / "CITATION.cff").read_text()
    sections = re.findall(r"^## \[([^\]]+)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert sections[0] in (version, "Unreleased")


def test_pages_and_menu_agree():
    menu = (ROOT / "mkdocs.yml").read_text().partition("\nnav:\n")[2]
    listed = set(re.findall(r"([\w/-]+\.md)", menu))
    made = {"tutorial.md", "changelog.md", "contributing.md", "architecture.md"}
    assert listed - made == set(PAGES)
    assert Path(DOCS / "index.md").exists()
