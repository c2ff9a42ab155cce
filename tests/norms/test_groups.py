"""Which parameter goes where."""

from __future__ import annotations

import copy
from itertools import pairwise

import pytest
import torch
from torch import nn

from autowarmup.norms import Muon, assign, polar_exact


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


def test_kernels_go_to_adamw_or_flat_to_the_matrices() -> None:
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 6, 3), nn.Flatten(), nn.Linear(24, 5)
    )
    assert named(model)["spectral"] == []
    flat = Muon(model, lr=0.5, weight_decay=0.0, flatten=True, method="exact", momentum=0.0)
    assert [group.get("param_names") for group in flat.param_groups] == [
        ["0.weight", "2.weight"],
        ["0.bias", "2.bias", "4.weight", "4.bias"],
    ]
    kernel = model[2].weight
    before = kernel.detach().clone()
    kernel.grad = torch.randn(6, 4, 3, 3, generator=torch.Generator().manual_seed(0))
    flat.step()
    moved = (before - kernel.detach()).view(6, 36)
    torch.testing.assert_close(moved, 0.5 * 0.2 * 6.0 * polar_exact(kernel.grad.view(6, 36)))


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


def parts(**modules: nn.Module | nn.Parameter) -> nn.Module:
    """Return a model with these parts, in this order, under these names."""
    model = nn.Module()
    for name, part in modules.items():
        setattr(model, name, part)
    return model


def mlp(*sizes: int, bias: bool = True) -> nn.Sequential:
    layers: list[nn.Module] = []
    for m, n in pairwise(sizes):
        layers += [nn.Linear(m, n, bias=bias), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def table(rows: int, width: int = 16) -> nn.Parameter:
    return nn.Parameter(torch.zeros(rows, width))


def blocks(number: int = 2) -> nn.ModuleList:
    return nn.ModuleList([nn.TransformerEncoderLayer(16, 2, 64) for _ in range(number)])


def tied() -> nn.Module:
    model = parts(lookup=nn.Embedding(50, 16), h=blocks(), norm=nn.LayerNorm(16),
                  decoder=nn.Linear(16, 50, bias=False))  # fmt: skip
    model.decoder.weight = model.lookup.weight
    return model


MODELS = {
    "an image classifier": (parts(conv=nn.Conv2d(3, 8, 3), fc=nn.Linear(8, 10)), ["fc"]),
    "a perceptron": (mlp(784, 64, 64, 10), ["4"]),
    "a regression": (mlp(8, 32, 32, 1), ["4"]),
    "an autoencoder": (parts(encoder=mlp(784, 64, 8), decoder=mlp(8, 64, 784)), ["decoder.2"]),
    "two parts": (
        parts(
            features=nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 16, 3)),
            classifier=nn.Sequential(nn.Dropout(), nn.Linear(784, 32), nn.ReLU(), nn.Linear(32, 9)),
        ),
        ["classifier.3"],
    ),
    "policy and value": (
        parts(body=mlp(8, 64, 64), pi=nn.Linear(64, 4), v=nn.Linear(64, 1)),
        ["pi", "v"],
    ),
    "bare tables": (
        parts(tok=table(100), pos=table(12), h=blocks(), score=nn.Linear(16, 100)),
        ["tok", "pos", "score"],
    ),
    "bare tables of any name": (
        parts(a=table(100), b=table(12), h=blocks(1), n=nn.LayerNorm(16),
              out_proj=nn.Linear(16, 100)),
        ["a", "b", "out_proj"],
    ),
    "a recurrent net": (
        parts(emb=nn.Embedding(50, 16), rnn=nn.LSTM(16, 32, 2), dec=nn.Linear(32, 50)),
        ["emb", "dec"],
    ),
    "a head that comes first": (
        parts(emb=nn.Embedding(50, 16), lm=nn.Linear(16, 50), h=mlp(16, 16, 16)),
        ["emb", "lm"],
    ),
    "a tied head": (tied(), ["lookup"]),
    "no head at all": (parts(emb=nn.Embedding(50, 16), h=blocks(), end=nn.Linear(16, 16)), ["emb"]),
    "a trunk": (nn.Transformer(16, 2, 2, 2, 32, batch_first=True), []),
    "one layer": (nn.Linear(4, 4), []),
}  # fmt: skip


@pytest.mark.parametrize("form", ["module", "named parameters"])
@pytest.mark.parametrize("case", MODELS)
def test_what_a_matrix_is_shows_in_types_and_shapes(case: str, form: str) -> None:
    model, outside = MODELS[case]
    found = named(model if form == "module" else model.named_parameters())
    matrices = [name for name, p in model.named_parameters() if p.ndim == 2]
    others = {n for n in matrices if n in outside or n.rpartition(".")[0] in outside}
    assert [name for name in matrices if name not in others] == found["spectral"]
    assert set(found["adamw"]) == {n for n, _ in model.named_parameters()} - set(found["spectral"])


def test_where_names_and_shapes_cannot_know_the_optimizer_says_so() -> None:
    model = mlp(784, 64, 10, bias=False)  # matrices alone may be a choice of matrices
    assert named(model)["spectral"] == ["0.weight"]
    with pytest.warns(
        UserWarning, match=r"whether 2.weight is the output: expected the module, or"
    ):
        assert named(model.named_parameters())["spectral"] == ["0.weight", "2.weight"]
    assert "give the module" in repr(Muon(model.named_parameters(), heads=[]))
    assert "give the module" not in repr(Muon(model))


@pytest.mark.parametrize(
    "name",
    ["BertForSequenceClassification", "BertModel", "BertForMaskedLM", "ViTForImageClassification",
     "RobertaForSequenceClassification", "GPT2LMHeadModel", "T5ForConditionalGeneration"],
)  # fmt: skip
def test_models_of_transformers(name: str) -> None:
    transformers = pytest.importorskip("transformers")
    kind = getattr(transformers, name)
    config = kind.config_class(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, vocab_size=50,
        intermediate_size=32, num_labels=5, image_size=8, patch_size=4, d_kv=8, d_ff=32,
        bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    model = kind(config)
    for form in (model, model.named_parameters()):
        found = named(form)
        kept = [n for n, p in model.named_parameters() if p.ndim == 2 and n in found["adamw"]]
        words = ("embedding", "wte", "wpe", "shared", "relative_attention_bias")
        heads = {"classifier.weight", "classifier.out_proj.weight", "qa_outputs.weight"}
        assert all(n in heads or any(word in n for word in words) for n in kept)
        tables = [n for n, p in model.named_parameters() if p.ndim == 2 and p.shape[0] == 50]
        assert set(tables) <= set(kept)
        wanted = {n for n, _ in model.named_parameters()} & heads
        assert wanted <= set(kept)


def test_heads_and_embeddings_can_be_told() -> None:
    model = parts(a=table(30), body=mlp(16, 32, 16), end=nn.Linear(16, 16))
    assert named(model)["spectral"] == ["a", "body.0.weight", "body.2.weight", "end.weight"]
    for heads, embeddings in ((["end"], ["a"]), ([model.end], [model.a]), (["end.weight"], ["a"])):
        groups = assign(model, heads=heads, embeddings=embeddings)
        assert [name for name, _ in groups["spectral"]] == ["body.0.weight", "body.2.weight"]
    classifier = mlp(784, 64, 10)
    assert Muon(classifier, heads=[]).param_groups[0]["param_names"] == ["0.weight", "2.weight"]
    with pytest.raises(ValueError, match="heads: expected parts of what is trained, got 'tail'"):
        Muon(model, heads=["tail"])
    with pytest.raises(ValueError, match=r"embeddings: expected parts .*, got Linear"):
        Muon(model, embeddings=[nn.Linear(2, 2)])


def placed(optimizer: Muon) -> list[tuple[str, list[str], float, float]]:
    return [
        (group["norm"], group["param_names"], group["lr"], group["weight_decay"])
        for group in optimizer.param_groups
    ]


def test_groups_beside_the_automatic_ones() -> None:
    model = mlp(8, 32, 32, 5)
    groups = [
        {"params": ["0"], "lr": 0.5},
        {"params": [model[4].bias], "weight_decay": 0.3},
    ]
    assert placed(Muon(model, lr=0.1, adamw_lr=0.2, groups=groups, decay_vectors=False)) == [
        ("spectral", ["2.weight"], 0.1, 0.1),
        ("adamw", ["4.weight"], 0.2, 0.1),
        ("adamw", ["2.bias"], 0.2, 0.0),
        ("spectral", ["0.weight"], 0.5, 0.1),
        ("adamw", ["0.bias"], 0.5, 0.0),
        ("adamw", ["4.bias"], 0.2, 0.3),
    ]
    with pytest.raises(ValueError, match="expected one group per parameter, got two"):
        Muon(model, groups=[{"params": ["0"]}, {"params": ["0.bias"]}])
    with pytest.raises(ValueError, match="groups: expected dicts with 'params', got one without"):
        Muon(model, groups=[{"lr": 1.0}])


def test_groups_like_those_of_torch() -> None:
    model = mlp(8, 32, 32, 5)
    slow = {"params": model[0].named_parameters(prefix="0"), "lr": 0.01, "weight_decay": 0.0}
    rest = {"params": [*model[2].named_parameters("2"), *model[4].named_parameters("4")]}
    assert placed(Muon([slow, rest], lr=0.1)) == [
        ("spectral", ["0.weight"], 0.01, 0.0),
        ("adamw", ["0.bias"], 0.01, 0.0),
        ("spectral", ["2.weight"], 0.1, 0.1),
        ("adamw", ["2.bias", "4.weight", "4.bias"], 0.1, 0.1),
    ]
    bare = [nn.Parameter(torch.ones(3, 3)), nn.Parameter(torch.ones(3))]
    assert placed(Muon([{"params": bare, "lr": 0.5}])) == [
        ("spectral", ["params.0.0"], 0.5, 0.1),
        ("adamw", ["params.0.1"], 0.5, 0.1),
    ]
    assert placed(Muon([{"params": bare[:1], "norm": "linf", "scale": "none"}]))[0][0] == "linf"


def test_a_group_that_is_added_is_split_too() -> None:
    model, late = mlp(8, 32, 5), nn.Linear(6, 6)
    optimizer = Muon(model, lr=0.1)
    optimizer.add_param_group({"params": list(late.parameters()), "lr": 0.5})
    optimizer.add_param_group({"params": [nn.Parameter(torch.ones(2))]})
    assert placed(optimizer)[2:] == [
        ("spectral", ["added.0.0"], 0.5, 0.1),
        ("adamw", ["added.0.1"], 0.5, 0.1),
        ("adamw", ["added.2.0"], 0.1, 0.1),
    ]


def test_groups_own_their_rates() -> None:
    rate = torch.tensor(0.1)
    model = mlp(8, 32, 5)
    groups = Muon(model, lr=rate, groups=[{"params": ["0"], "lr": rate}]).param_groups
    assert len({id(group["lr"]) for group in groups}) == len(groups) == 3


def test_the_optimizer_shows_what_went_where_and_why() -> None:
    model = parts(tokens=nn.Embedding(50, 16), body=mlp(16, 32, 16), decoder=nn.Linear(16, 50))
    optimizer = Muon(model)
    for shown in (repr(optimizer), repr(copy.deepcopy(optimizer))):
        assert shown.endswith(
            "What went where, by group:\n"
            "  0 spectral: 2 matrix: body.0.weight, body.2.weight\n"
            "  1 adamw: 1 embedding (Embedding): tokens.weight\n"
            "  1 adamw: 2 vector: body.0.bias, body.2.bias\n"
            "  1 adamw: 2 head (output of 50): decoder.weight, decoder.bias"
        )
