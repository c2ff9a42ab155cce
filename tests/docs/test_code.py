"""Every block of Python in the documentation runs and prints what the page says."""

from __future__ import annotations

import ast
import contextlib
import io
import re

import pytest
import torch
from site_pages import DOCS, PAGES, ROOT, Classifier, code_of

ELSEWHERE = {
    "add-a-host.md": "tests/test_extending.py",
    "add-a-norm.md": "tests/norms/test_contract.py",
    "add-a-rule.md": "tests/test_extending.py",
    "curvature.md": "tests/test_readme.py",
    "hosts/accelerate.md": "tests/integrations/test_accelerate.py",
    "hosts/config-driven.md": "tests/integrations/test_config_driven.py",
    "hosts/huggingface.md": "tests/integrations/test_huggingface.py",
    "hosts/lightning.md": "tests/integrations/test_lightning.py",
    "hosts/optax.md": "tests/integrations/test_optax.py",
    "hosts/plain-loop.md": "tests/scheduler/test_host_pages.py",
    "hosts/tracking.md": "tests/integrations/test_tracking.py",
    "open-end.md": "tests/scheduler/test_life.py",
}
"""Pages that another test runs, because their code needs a host around it."""
TOO_MUCH = {"bench.md", "hosts/distributed.md", "hosts/ray.md"}
"""Pages whose code needs several processes or hours: it compiles, and what it imports exists."""
HERE = [page for page in PAGES if code_of(page) and page not in {*ELSEWHERE, *TOO_MUCH}]
NUMBER = re.compile(r"-?\d[\d,]*\.?\d*(?:e[-+]?\d+)?")


def agree(printed: str, said: str) -> None:
    """Compare words exactly and numbers nearly: machines round losses differently."""
    assert NUMBER.sub("N", printed).strip() == NUMBER.sub("N", said).strip()
    numbers = ([float(n.replace(",", "")) for n in NUMBER.findall(t)] for t in (printed, said))
    got, wanted = numbers
    assert got == pytest.approx(wanted, rel=0.1, abs=5e-4)


@pytest.mark.parametrize("page", HERE)
def test_a_page_runs_as_it_stands(page, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    loader = [torch.randint(0, 10, (32,)) for _ in range(60)]
    model = Classifier()
    names = {"model": model, "loader": loader, "total_steps": 60, "__name__": "page"}
    names |= {"backbone": list(model.hidden.parameters()), "head": list(model.head.parameters())}
    for number, (code, said) in enumerate(code_of(page)):
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(compile(code, f"{page}, block {number}", "exec", dont_inherit=True), names)
        if said is not None:
            agree(out.getvalue(), said)


@pytest.mark.parametrize("page", sorted(ELSEWHERE))
def test_another_test_runs_the_rest(page):
    assert code_of(page)
    text = (ROOT / ELSEWHERE[page]).read_text()
    assert page.removeprefix("hosts/").removesuffix(".md") in text


@pytest.mark.parametrize("page", sorted(TOO_MUCH))
def test_code_that_is_too_much_to_run_compiles_and_its_imports_exist(page):
    assert code_of(page)
    for code, _ in code_of(page):
        tree = ast.parse(code, page)
        tree.body = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
        exec(compile(tree, page, "exec"), {})


def test_the_tables_name_no_page_that_is_gone():
    assert all((DOCS / page).exists() for page in {*ELSEWHERE, *TOO_MUCH})
    assert {"quick-start.md", "moving.md", "faq.md", "how-it-decides.md"} <= set(HERE)
