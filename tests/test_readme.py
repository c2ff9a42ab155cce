"""The README does what it says: its loop runs, its numbers are those of the committed results."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tests.docs.site_pages import Classifier

from autowarmup import Lion

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
CURVATURE = (ROOT / "docs" / "curvature.md").read_text()


def test_the_loop_is_short_and_runs():
    code = re.search(r"```python\n(.*?)```", README, re.DOTALL)[1]
    assert len([line for line in code.splitlines() if line.strip()]) <= 12
    torch.manual_seed(0)
    model = Classifier()
    names = {"model": model, "loader": [torch.randint(0, 10, (32,)) for _ in range(20)]}
    before = model(names["loader"][0]).item()
    exec(code, names)
    assert names["scheduler"].state.step == 20
    assert names["scheduler"].factor > 0
    assert model(names["loader"][0]).item() < before


def test_the_tables_are_those_of_the_committed_results():
    check = [sys.executable, str(ROOT / "tools" / "readme_results.py"), "--check"]
    result = subprocess.run(check, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("page", ["README.md", "docs/curvature.md", "docs/bench.md"])
def test_every_link_into_the_repository_exists(page):
    path = ROOT / page
    links = re.findall(r"\]\(([^)#]+)\)", path.read_text())
    assert links
    missing = [link for link in links if "://" not in link and not (path.parent / link).exists()]
    assert missing == []


def test_it_is_short_and_needs_no_word_that_only_insiders_know():
    assert len(README.split()) <= 700
    assert not re.search(r"regret|LMO|kappa|div\b|gap law|watched", README)


def test_curvature_is_measured_in_a_few_lines(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    code = re.findall(r"```python\n(.*?)```", CURVATURE, re.DOTALL)[0]
    assert len([line for line in code.splitlines() if line.strip()]) <= 6
    before, after = code.split("...")
    torch.manual_seed(0)
    model = Classifier()
    optimizer = Lion(model.parameters(), lr=1e-2)
    names = {"model": model, "optimizer": optimizer, "loss_of": lambda model, batch: model(batch)}
    exec(before, names)
    for _ in range(120):
        names["batch"] = torch.randint(0, 10, (32,))
        optimizer.zero_grad()
        model(names["batch"]).backward()
        optimizer.step()
    exec(after.partition("\n")[2], names)
    assert re.search(r"K (falls|rises|stays)", capsys.readouterr().out)
