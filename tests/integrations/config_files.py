"""A tiny model, tokenizer and data on the disk, and the lines of a configuration that docs show."""

from __future__ import annotations

import json
import re
import sys
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "hosts" / "config-driven.md"


def shown(title: str) -> str:
    """Return the lines of a configuration in the documentation."""
    (lines,) = re.findall(
        rf'^```yaml title="{title}"\n(.*?)^```$', PAGE.read_text(encoding="utf-8"), re.M | re.S
    )
    return lines


def write_model(folder: Path) -> None:
    """Write a LLaMA of 0.1M parameters with a tokenizer of 512 words of the README."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    bytes_of_words = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made = Tokenizer(models.BPE())
    made.pre_tokenizer, made.decoder = bytes_of_words, decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=512,
        special_tokens=["<s>", "</s>", "<pad>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    made.train_from_iterator(lines(), trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=made, bos_token="<s>", eos_token="</s>", pad_token="<pad>"
    )
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=512, hidden_size=64, intermediate_size=128, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=256,
        bos_token_id=0, eos_token_id=1, pad_token_id=2,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)


def lines() -> list[str]:
    text = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    return [line for line in text if len(line) > 30]


def rows() -> list[dict[str, str]]:
    """Return what to learn: from one line of the README the next."""
    told = lines()
    return [{"instruction": a, "input": "", "output": b} for a, b in pairwise(told)] * 4


def seen_and_logged(checkpoint: Path) -> tuple[list[float], list[float]]:
    """Return the losses that the schedule of a checkpoint saw, and those that were logged."""
    import torch

    state = torch.load(checkpoint / "scheduler.pt", weights_only=True)
    history: list[dict[str, Any]] = json.loads((checkpoint / "trainer_state.json").read_text())[
        "log_history"
    ]
    return [row[1] for row in state["history"]["rows"]], [r["loss"] for r in history if "loss" in r]


def stand_in(monkeypatch, name: str, **held) -> ModuleType:
    """Put a module with these names where the real one would be, and its parents."""
    parts = name.split(".")
    for end in range(1, len(parts)):
        parent = ".".join(parts[:end])
        if parent not in sys.modules:
            monkeypatch.setitem(sys.modules, parent, ModuleType(parent))
    module = ModuleType(name)
    module.__dict__.update(held)
    monkeypatch.setitem(sys.modules, name, module)
    return module
