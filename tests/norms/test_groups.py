"""Which parameter goes where."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from autowarmup.norms import Muon, assign


def named(model_or_parameters) -> dict[str, list[str]]:
    return {
        norm: [name for name, _ in pairs] for norm, pairs in assign(model_or_parameters).items()
    }


def language_model(tied: bool = False) -> nn.Module:
    block = nn.ModuleDict({"output": nn.Linear(4, 4), "norm": nn.LayerNorm(4)})
    model = nn.ModuleDict(
        {
            "tokens": nn.Embedding(9, 4),
            "layers": nn.ModuleList([block]),
            "lm_head": nn.Linear(4, 9, bias=False),
        }
    )
    if tied:
        model.get_submodule("lm_head").weight = model.get_submodule("tokens").weight
    return model


def test_a_language_model() -> None:
    assert named(language_model()) == {
        "spectral": ["layers.0.output.weight"],
        "adamw": [
            "tokens.weight",
            "layers.0.output.bias",
            "layers.0.norm.weight",
            "layers.0.norm.bias",
            "lm_head.weight",
        ],
    }


def test_a_tied_head_counts_once_and_stays_with_adamw() -> None:
    groups = named(language_model(tied=True))
    assert "tokens.weight" in groups["adamw"]
    assert "lm_head.weight" not in groups["adamw"]
    assert groups["spectral"] == ["layers.0.output.weight"]
    both = language_model(tied=True).named_parameters(remove_duplicate=False)
    assert "tokens.weight" in named(both)["adamw"]


def test_convolutions_go_to_adamw() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(16, 5))
    assert named(model) == {"spectral": ["2.weight"], "adamw": ["0.weight", "0.bias", "2.bias"]}


def test_named_parameters_go_by_name() -> None:
    def matrix() -> nn.Parameter:
        return nn.Parameter(torch.ones(4, 4))

    names = ["embed_tokens.weight", "wte.weight", "layers.0.output.weight", "mlp.up.weight"]
    pairs = [(name, matrix()) for name in [*names, "output.weight", "model.classifier.weight"]]
    assert named(pairs)["spectral"] == ["layers.0.output.weight", "mlp.up.weight"]


def test_frozen_parameters_are_left_out() -> None:
    model = language_model()
    model.get_submodule("tokens").requires_grad_(False)
    assert "tokens.weight" not in named(model)["adamw"]


def test_the_llama_of_transformers() -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.LlamaConfig(
        vocab_size=32,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        tie_word_embeddings=False,
    )
    groups = named(transformers.LlamaForCausalLM(config))
    assert len(groups["spectral"]) == 2 * 7
    assert {name for name in groups["adamw"] if "norm" not in name} == {
        "model.embed_tokens.weight",
        "lm_head.weight",
    }


def test_the_split_can_be_another() -> None:
    groups = assign(language_model(), lambda role: role.parameter.ndim == 2 and not role.head)
    assert [name for name, _ in groups["spectral"]] == ["tokens.weight", "layers.0.output.weight"]


def test_nothing_to_train() -> None:
    with pytest.raises(ValueError, match="expected a model or named parameters to train, got none"):
        Muon(nn.Identity())
    with pytest.raises(ValueError, match=r"\(name, parameter\) pairs, got Parameter items"):
        Muon(nn.Linear(2, 2).parameters())  # pyright: ignore[reportArgumentType]
    x, y = nn.Parameter(torch.ones(2, 2)), nn.Parameter(torch.ones(2, 2))
    with pytest.raises(ValueError, match="expected one parameter per name, got two named 'w'"):
        assign([("w", x), ("w", y)])
