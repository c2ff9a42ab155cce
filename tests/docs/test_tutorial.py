"""The tutorial runs from a fresh kernel, and prints what it says it prints."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest
from site_pages import ROOT, anchors_of

NOTEBOOK = ROOT / "examples" / "tutorial.ipynb"
CELLS = json.loads(NOTEBOOK.read_text())["cells"]


def test_a_fresh_kernel_prints_the_same(tmp_path):
    folders = {f"JUPYTER_{name}_DIR": str(tmp_path) for name in ("CONFIG", "DATA", "RUNTIME")}
    paths = {"PYTHONPATH": os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "notebook.py"), "--check"],
        env={**os.environ, **folders, **paths, "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_every_drawing_has_words_in_its_place():
    drawn = [
        cell
        for cell in CELLS
        if any("image/png" in output.get("data", {}) for output in cell.get("outputs", ()))
    ]
    assert len(drawn) == 4
    assert all(len(cell["metadata"]["alt"]) > 20 for cell in drawn)


@pytest.mark.parametrize("cell", [cell for cell in CELLS if cell["cell_type"] == "markdown"])
def test_its_links_lead_on(cell):
    for link in re.findall(r"\]\(([^)\s]+)\)", "".join(cell["source"])):
        path, _, anchor = link.partition("#")
        target = NOTEBOOK.parent / path
        assert target.exists(), link
        assert not anchor or anchor in anchors_of(target), link
