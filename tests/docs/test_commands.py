"""Commands on pages exist: every verb, option and make target, every file of a workflow."""

from __future__ import annotations

import re
import shlex

import pytest
import yaml
from site_pages import DOCS, PAGES, ROOT

from autowarmup.lab.cli import VERBS, main

BASH = re.compile(r"^```bash\n(.*?)^```", re.DOTALL | re.MULTILINE)
TEXTS = {page: (DOCS / page).read_text() for page in PAGES}
TEXTS |= {name: (ROOT / name).read_text() for name in ("README.md", "CONTRIBUTING.md")}
LINES = [
    (page, line)
    for page, text in TEXTS.items()
    for block in BASH.findall(text)
    for line in block.replace("\\\n", " ").splitlines()
]
CALLS = {
    (page, line[found.start(1) :])
    for page, line in LINES
    if (found := re.search(r"(?:^|-m )(autowarmup .*)", line))
}


@pytest.fixture(scope="module")
def helps() -> dict[str, str]:
    return {}


@pytest.mark.parametrize(("page", "call"), sorted(CALLS), ids=lambda value: value[:60])
def test_a_command_of_a_page_has_its_verb_and_options(page, call, helps, capsys):
    _, verb, *words = shlex.split(call, comments=True)
    if verb == "--help":
        return
    assert verb in VERBS, page
    if verb not in helps:
        with pytest.raises(SystemExit):
            main([verb, "--help"])
        helps[verb] = capsys.readouterr().out
    for word in words:
        if word.startswith("--"):
            assert re.search(rf"{re.escape(word)}\b", helps[verb]), f"{page}: {call}"


def test_make_targets_of_the_pages_exist():
    named = {
        target
        for text in TEXTS.values()
        for target in re.findall(r"(?:^|`)make ([a-z]+)\b", text, re.MULTILINE)
    }
    makefile = (ROOT / "Makefile").read_text()
    assert {target for target in named if f"\n{target}:" not in makefile} == set()
    assert {"test", "docs", "dist"} <= named


@pytest.mark.parametrize("path", sorted((ROOT / ".github").rglob("*.yml")), ids=lambda p: p.name)
def test_what_a_workflow_runs_is_there(path):
    told = yaml.safe_load(path.read_text())
    assert isinstance(told, dict)
    for job in told.get("jobs", {}).values():
        for step in job["steps"]:
            assert ("run" in step) != ("uses" in step)
            for file in re.findall(r"(?:tools|tests|\.ci)/[\w./]+", step.get("run", "")):
                assert (ROOT / file).exists(), file
