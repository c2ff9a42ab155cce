from __future__ import annotations

import math

import pytest
import torch

from autowarmup.lab.train import RECIPES
from autowarmup.lab.train.model import build_model, token_loss, weights_sha256


def build(seed=0):
    return build_model(RECIPES["tiny-cpu"], vocabulary=256, sequence_length=64, seed=seed)


def digest(model):
    return weights_sha256(dict(model.named_parameters()))


def test_weights_are_a_function_of_the_seed():
    one = digest(build())
    torch.rand(7)
    assert digest(build()) == one
    assert digest(build(seed=1)) != one


def test_one_changed_bit_changes_the_digest():
    model = build()
    before = digest(model)
    with torch.no_grad():
        model.model.norm.weight[3] = math.nextafter(1.0, 2.0) + 2**-23
    assert digest(model) != before


def test_untrained_loss_is_about_uniform():
    windows = torch.randint(0, 256, (8, 65))
    with torch.no_grad():
        assert abs(token_loss(build(), windows).item() - math.log(256)) < 0.2


def test_loss_predicts_the_next_token():
    model = build()
    windows = torch.randint(0, 256, (2, 65))
    with torch.no_grad():
        theirs = model(input_ids=windows, labels=windows).loss
        torch.testing.assert_close(token_loss(model, windows), theirs)


@pytest.mark.parametrize(("recipe", "millions"), [("llama-124m", 124), ("llama-210m", 209)])
def test_published_sizes(recipe, millions):
    with torch.device("meta"):
        model = build_model(RECIPES[recipe], vocabulary=50257, sequence_length=512, seed=0)
    assert model.config.vocab_size == 50304  # a multiple of 64
    count = sum(p.numel() for p in model.parameters())
    assert abs(count / 1e6 - millions) < 1.0
    matrices = [p for p in model.parameters() if p.ndim == 2]
    if recipe == "llama-124m":  # kappa of the spectral norm, arXiv 2602.05813
        assert sum(min(p.shape) for p in matrices) == 65280
