"""Named sizes to train: the shape of the model, its batch, its data, and where to start a rate.

A recipe is data only; `TrainConfig` fills what the user left open from it. The `llama-*` recipes
follow the published protocol of arXiv 2602.05813 (section on experiments): FineWeb, GPT-2 tokens,
sequences of 512, batches of 256, weight decay 0.1, gradients clipped at 0.5. Its target losses, to
be given as `lower_bound` to repeat it, are 3.2 for Muon, 3.5 for Lion, 4.3 for normalized SGD.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Recipe:
    """One named size.

    Attributes:
        width: width of the residual stream.
        layers: number of transformer blocks.
        heads: attention heads; divides `width`.
        hidden: width inside each feed-forward block.
        batch_size: sequences per update, over all processes and micro-batches.
        sequence_length: tokens a sequence predicts.
        accumulation: micro-batches per update.
        steps: updates in a run.
        eval_batches: fixed validation batches of the last evaluation.
        data: corpus, as in `TrainConfig.data`.
        tokenizer: tokens, as in `TrainConfig.tokenizer`.
        about: one line for people.
        rates: optimizer name -> suggested peak learning rate.
    """

    width: int
    layers: int
    heads: int
    hidden: int
    batch_size: int
    sequence_length: int
    accumulation: int
    steps: int
    eval_batches: int
    data: str
    tokenizer: str
    about: str
    rates: Mapping[str, float]


# Rates near the best of small grids on the standard-library corpus (byte tokens).
_TINY = Recipe(
    width=96, layers=3, heads=4, hidden=256, batch_size=16, sequence_length=64, accumulation=1,
    steps=1000, eval_batches=32, data="stdlib", tokenizer="bytes",
    about="0.36M parameters on bytes; about a minute on one core",
    rates={"muon": 6e-3, "lion": 1e-3, "signum": 1e-3, "signsgd": 1e-3, "normsgd": 0.3,
           "adamw": 4e-3, "sgd": 0.3},
)  # fmt: skip
_SMALL = replace(
    _TINY, width=192, layers=4, heads=6, hidden=512, sequence_length=128,
    about="1.8M parameters on bytes; about ten minutes on two cores",
)  # fmt: skip
# Published for Muon, Lion and normalized SGD; the other rates are guesses of the same order.
_LLAMA_124M = Recipe(
    width=768, layers=12, heads=12, hidden=2048, batch_size=256, sequence_length=512,
    accumulation=8, steps=8000, eval_batches=8, data="fineweb", tokenizer="gpt2",
    about="the published 124M model: 1.05B tokens of FineWeb, for one or more GPUs",
    rates={"muon": 1e-3, "lion": 1e-3, "signum": 1e-3, "signsgd": 1e-3, "normsgd": 1e-2,
           "adamw": 1e-3, "sgd": 1e-1},
)  # fmt: skip

RECIPES: dict[str, Recipe] = {
    "tiny-cpu": _TINY,
    "small-cpu": _SMALL,
    "llama-124m": _LLAMA_124M,
    "llama-210m": replace(
        _LLAMA_124M, layers=24, about="the published 210M model: twice the layers of llama-124m"
    ),
}


def recipe(name: str) -> Recipe:
    """Return a recipe by name."""
    if name not in RECIPES:
        raise ValueError(f"recipe: expected one of {', '.join(RECIPES)}, got {name!r}")
    return RECIPES[name]
