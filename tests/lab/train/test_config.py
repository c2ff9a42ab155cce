from __future__ import annotations

import dataclasses
import json
import shlex

import pytest

from autowarmup.lab.train import OPTIMIZERS, RECIPES, TrainConfig


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_recipe_fills_every_field(recipe, optimizer):
    config = TrainConfig(recipe=recipe, optimizer=optimizer)
    assert None not in config.to_dict().values()
    assert config.lr == RECIPES[recipe].rates[optimizer]
    assert TrainConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_given_values_win_over_the_recipe():
    config = TrainConfig(recipe="tiny-cpu", lr=0.5, steps=7, batch_size=2, rule="Flat( div=3 )")
    assert (config.lr, config.steps, config.batch_size) == (0.5, 7, 2)
    assert config.rule == "flat(div=3.0)"


def test_published_protocol():
    config = TrainConfig(recipe="llama-124m", optimizer="normsgd")
    size = RECIPES["llama-124m"]
    assert (size.width, size.layers, size.heads) == (768, 12, 12)
    assert (config.batch_size, config.sequence_length, config.steps) == (256, 512, 8000)
    assert (config.weight_decay, config.clip, config.lr) == (0.1, 0.5, 1e-2)
    assert RECIPES["llama-210m"].layers == 24


@pytest.mark.parametrize(
    ("earlier", "rule", "measures"),
    [
        (
            {"warmup": "50", "peak": "watched", "calibrate": True, "div": 100.0},
            "linear 50 steps",
            False,
        ),
        ({"warmup": "5%"}, "linear 5%", False),
        ({"warmup": "1"}, "none", False),
        ({"warmup": "adaptive", "peak": "watched", "calibrate": True}, "watched", False),
        ({"warmup": "adaptive", "peak": "flat", "calibrate": True, "div": 5.0}, "flat", True),
        ({"peak": "flat", "calibrate": False, "div": 5.0}, "flat(div=5.0)", False),
        ({"peak": "0.5", "max_fraction": 0.1}, "gap law(end=0.5, max_fraction=0.1)", True),
        ({"peak": "accurate", "smoothing": 0.5}, "accurate(smoothing=0.5)", True),
    ],
)
def test_configs_of_earlier_versions_are_read(earlier, rule, measures):
    config = TrainConfig.from_dict({"recipe": "tiny-cpu", "optimizer": "lion", **earlier})
    assert (config.rule, config.calibrate) == (rule, measures)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"recipe": "huge"}, r"recipe: expected one of tiny-cpu, .*llama-124m.*, got 'huge'"),
        ({"optimizer": "adam"}, r"optimizer: expected one of muon, lion.*, got 'adam'"),
        ({"steps": 0}, "steps: expected at least 1, got 0"),
        ({"lr": 0.0}, "lr: expected a positive number, got 0.0"),
        ({"lr": float("nan")}, "lr: expected a positive number, got nan"),
        ({"lr": float("inf")}, "lr: expected a positive number, got inf"),
        ({"rule": "flat(div=0.5)"}, "expected div >= 1 .*, got 0.5"),
        (
            {"rule": "linear 300 steps", "steps": 200},
            "expected a warm-up of at most the 200 updates",
        ),
        ({"rule": "linear 101%"}, r"expected a share of the run in \[0, 1\]"),
        ({"rule": "soon"}, "rule: expected 'none', 'linear 5%'"),
        ({"rule": "nan%"}, "rule: expected 'none', 'linear 5%'"),
        ({"rule": "50"}, "a bare number reads like a rate"),
        ({"rule": "flat(max_fraction=0)"}, "expected 0 < max_fraction <= 1"),
        ({"rule": "flat(smoothing=1.0)"}, "expected 0 <= smoothing < 1"),
        (
            {"calibrate": True},
            "calibrate: the rule 'paced' has no first rate to measure; expected",
        ),
        ({"rule": "linear 5%", "calibrate": True}, "the rule 'linear 5%' has no first rate"),
        ({"decay": "poly"}, "decay: expected one of cosine"),
        ({"mixed_precision": "fp8"}, "mixed_precision: expected one of no, fp16, bf16"),
        ({"lower_bound": float("inf")}, "lower_bound: expected a finite loss"),
        ({"seed": -1}, "seed: expected 0 or more"),
        ({"clip": -1.0}, "clip: expected 0"),
        ({"batch_size": 10, "accumulation": 4}, "batch_size: expected a multiple of accumulation"),
    ],
)
def test_wrong_values_get_one_sentence(wrong, sentence):
    with pytest.raises(ValueError, match=sentence):
        TrainConfig(**wrong)


def test_unknown_field():
    with pytest.raises(ValueError, match="expected fields of TrainConfig, got speed"):
        TrainConfig.from_dict({"speed": 1})


def test_command_names_what_was_changed():
    config = TrainConfig(optimizer="lion", calibrate=False, rule="flat(div=50)", clip=1.0)
    words = shlex.split(config.command("some dir"))
    assert words[:2] == ["autowarmup", "train"]
    assert "--no-calibrate" in words
    assert words[words.index("--clip") + 1] == "1.0"
    assert words[words.index("--rule") + 1] == "flat(div=50.0)"
    assert words[words.index("--out") + 1] == "some dir"
    assert "--decay" not in words


def test_config_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        TrainConfig().lr = 1.0  # type: ignore[misc]
