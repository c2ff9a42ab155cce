from __future__ import annotations

import pytest
import torch

from autowarmup.lab.train import OPTIMIZERS, RECIPES, Recipe

MICRO = Recipe(
    width=16,
    layers=1,
    heads=2,
    hidden=32,
    batch_size=4,
    sequence_length=8,
    accumulation=1,
    steps=20,
    eval_batches=4,
    data="stdlib",
    tokenizer="bytes",
    about="for tests",
    rates=dict.fromkeys(OPTIMIZERS, 1e-2),
)


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def micro(monkeypatch, tmp_path):
    """A recipe that trains in no time, and a cache and a corpus of its own."""
    monkeypatch.setitem(RECIPES, "micro", MICRO)
    monkeypatch.setenv("AUTOWARMUP_CACHE", str(tmp_path / "cache"))
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("".join(f"line {n} of a text to learn from\n" for n in range(400)))
    return {"recipe": "micro", "data": str(corpus), "threads": 1}
