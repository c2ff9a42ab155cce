"""The pages on hosts do what they say: every loop of the plain page runs, every link leads on."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from torch import nn

DOCS = Path(__file__).parent.parent.parent / "docs"
PAGES = [*sorted((DOCS / "hosts").glob("*.md")), DOCS / "troubleshooting.md"]
BLOCK = re.compile(r"^## ([^\n]*)\n(?:(?!^## ).)*?```python\n(.*?)```", re.DOTALL | re.MULTILINE)
LOOPS = dict(BLOCK.findall((DOCS / "hosts" / "plain-loop.md").read_text(encoding="utf-8")))


class Classifier(nn.Module):
    """Returns its own loss."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(10, 16)
        self.head = nn.Linear(16, 10)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        return nn.functional.cross_entropy(self.head(self.embed(batch)), batch)


@pytest.mark.parametrize("title", LOOPS)
def test_a_loop_of_the_plain_page_trains(title, tmp_path):
    torch.manual_seed(0)
    model = Classifier()
    loader = [torch.randint(0, 10, (32 if k % 2 else 16,)) for k in range(60)]
    names = {"model": model, "loader": loader, "total_steps": 60}
    names |= {"device": "cpu", "path": tmp_path / "run.pt"}
    before = model(loader[0]).item()
    exec(LOOPS[title], names)
    assert names["scheduler"].state.step == names["scheduler"].state.run.total_steps
    assert model(loader[0]).item() < before
    if names["path"].exists():
        exec(LOOPS[title], names)  # goes on where it stopped: all updates are done
        assert names["scheduler"].phase == "done"


def test_the_plain_page_has_its_loops():
    assert len(LOOPS) == 5


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_code_compiles_and_links_lead_on(page):
    text = page.read_text(encoding="utf-8")
    for code in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        compile(code, page.name, "exec")
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", text)
    missing = [link for link in links if not (page.parent / link).exists()]
    assert missing == []
