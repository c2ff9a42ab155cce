"""What docs/replay.md and docs/compare.md show runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[3] / "docs"


@pytest.mark.parametrize("page", ["replay.md", "compare.md"])
def test_the_python_of_a_page_runs_and_its_links_exist(page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    text = (DOCS / page).read_text()
    for code in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        names: dict = {}
        exec(code, names)
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    assert [link for link in links if not (DOCS / link).exists()] == []
    printed = capsys.readouterr().out
    if page == "replay.md":
        assert "2 0.001 decay" in printed
    else:
        assert [row["runs"] for row in names["summary"]["rules"]] == [3, 3, 3]


@pytest.mark.parametrize("page", ["replay.md", "compare.md"])
def test_every_option_that_a_page_names_is_one(page):
    import subprocess
    import sys

    verb = page.removesuffix(".md")
    shown = subprocess.run(
        [sys.executable, "-m", "autowarmup", verb, "--help"], capture_output=True, text=True
    ).stdout
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", (DOCS / page).read_text()))
    assert named
    assert {option for option in named if option not in shown} == set()
