"""What the benchmark trains: set-ups, each a model, an optimizer, a peak rate and a batch."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, replace
from typing import Any

from autowarmup.lab.train.recipes import Recipe, recipe

WEIGHT_DECAY = {"sgd": 1e-4}
"""Where it is not 0.1. SGD adds the decay to a gradient that momentum multiplies by 10 and whose
rate is about 1: with 0.1 the weights vanish and every rate ends at the same loss (2.73)."""


@dataclass(frozen=True)
class Setup:
    """Everything of a run that is not warm-up and not the seed.

    Attributes:
        optimizer: muon, lion, signum, normsgd, adamw or sgd.
        lr: peak rate.
        model: a recipe of `autowarmup train` ("tiny-cpu"), trained as a single run; or one of
            `SIZES` or `NETWORKS`, or "digits", of which many are trained side by side.
        batch: sequences (or images) per update.
        steps: updates, before what extra passes cost.
        data: corpus, as in `TrainConfig.data`.
        noise: share of targets that are replaced by random ones in training.
        scale: factor on the loss, by which SGD's rate is divided: the other optimizers do not
            see the unit of the loss.
        trained: updates of AdamW on the standard library that came before, as in fine-tuning.
        init: factor on the initial weights of all matrices: far below 1 the loss hardly moves at
            first. Of set-ups that are trained side by side only.
    """

    optimizer: str
    lr: float
    model: str = "micro"
    batch: int = 8
    steps: int = 2500
    data: str = "stdlib"
    noise: float = 0.0
    scale: float = 1.0
    trained: int = 0
    init: float = 1.0

    @property
    def family(self) -> Setup:
        """The same without the rate: what a fleet can train together."""
        return replace(self, lr=0.0)

    @property
    def stacked(self) -> bool:
        """Whether many of these models can be trained side by side, as a fleet."""
        return self.model in SIZES or self.model in ("digits", *NETWORKS)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values; `trained` and `init` only where they are told."""
        values = asdict(self)
        for name, plain in (("trained", 0), ("init", 1.0)):
            if values[name] == plain:  # records from before there was the field stay what they are
                del values[name]
        return values

    @property
    def id(self) -> str:
        """A readable name, different for different set-ups."""
        if self.model == OWN:
            return re.sub(r"\W+", "-", self.optimizer)
        name = f"{self.optimizer}-lr{self.lr:g}-{self.model}-b{self.batch}-{self.steps}"
        if self.data != "stdlib":
            name += f"-{self.data.strip('/').split('/')[-1]}"
        if self.noise:
            name += f"-noise{self.noise:g}"
        if self.trained:
            name += "-trained"
        if self.init != 1.0:
            name += f"-init{self.init:g}"
        return name + (f"-x{self.scale:g}" if self.scale != 1.0 else "")


_SMALL = replace(
    recipe("tiny-cpu"), width=32, layers=2, heads=2, hidden=96, sequence_length=32,
    about="0.03M parameters on bytes",
)  # fmt: skip
SIZES: dict[str, Recipe] = {
    "micro": _SMALL,
    "mini": replace(_SMALL, width=48, heads=3, hidden=128, about="0.07M parameters on bytes"),
}
"""LLaMA shapes small enough for hundreds of runs of 2,500 updates on two cores."""

NETWORKS: dict[str, tuple[tuple[int, int], ...]] = {
    "lstm": ((256, 32), (192, 32), *[(192, 48)] * 3, (256, 48)),
    "glyph-resnet": (
        *[(8, 9), (8, 72), (8, 72)],
        *[(16, 72), (16, 144), (16, 8)],
        *[(32, 144), (32, 288), (32, 16), (62, 32)],
    ),
    "glyph-vit": ((32, 16), (16, 32), *[*[(32, 32)] * 4, (96, 32), (32, 96)] * 2, (62, 32)),
}
"""What else is trained side by side, beside "digits": two LSTM layers on bytes; a ResNet of three
blocks and a vision transformer of two on rendered characters. The shapes of their matrices, each
(outputs, inputs), kernels flattened."""

OWN = "own"
"""The model of a training that is the user's own; its set-up is called what the user calls it."""

BEST = {"muon": 0.012, "lion": 0.001, "signum": 0.002, "normsgd": 0.05, "adamw": 0.008, "sgd": 0.5}
"""Per optimizer, the best peak rate of a sweep in factors of two with 5 % warm-up (micro, batch 8);
the runs of this and of the next two sweeps are in `results/bench`."""

BEST_DIGITS = {
    "muon": 0.0015,
    "lion": 0.000125,
    "signum": 0.00025,
    "normsgd": 0.2,
    "adamw": 0.001,
    "sgd": 0.03125,
}
"""The same for the network on handwritten digits: 1,000 updates, two seeds."""

BEST_TUNED = {
    "muon": 0.012,
    "lion": 0.002,
    "signum": 0.002,
    "normsgd": 0.025,
    "adamw": 0.008,
    "sgd": 0.25,
}
"""The same for a trained model on English prose: 600 updates after 2,500, two seeds."""


LARGE_BATCH = 128
"""Sequences of a batch that is large for these models: 4,096 tokens."""

BEST_LARGE = {"muon": 0.048, "lion": 0.004, "signum": 0.004, "normsgd": 0.1, "adamw": 0.016,
              "sgd": 0.25}  # fmt: skip
"""The same for the large batch: 600 updates, one seed."""


BEST_NETWORKS: dict[str, dict[str, float]] = {
    "lstm": {"muon": 0.048, "lion": 0.0005, "signum": 0.002, "normsgd": 0.4, "adamw": 0.128,
             "sgd": 4.0},
    "glyph-resnet": {"muon": 0.024, "lion": 0.008, "signum": 0.008, "normsgd": 0.05,
                     "adamw": 0.016, "sgd": 0.25},
    "glyph-vit": {"muon": 0.024, "lion": 0.004, "signum": 0.002, "normsgd": 0.025,
                  "adamw": 0.008, "sgd": 0.25},
}  # fmt: skip
"""The same for `NETWORKS`: 600 updates, one seed, batch 8 for `lstm` and 32 for pictures."""


def best_rate(setup: Setup) -> float:
    """Return the best peak rate of the sweep that is nearest to a set-up.

    Example:
        >>> best_rate(Setup("lion", 0.0)), best_rate(Setup("lion", 0.0, batch=128))
        (0.001, 0.004)
    """
    if setup.model in BEST_NETWORKS:
        return BEST_NETWORKS[setup.model][setup.optimizer]
    if setup.model == "digits":
        return BEST_DIGITS[setup.optimizer]
    if setup.trained:
        return BEST_TUNED[setup.optimizer]
    return (BEST_LARGE if setup.batch >= LARGE_BATCH else BEST)[setup.optimizer]


def key(values: dict[str, Any]) -> str:
    """Return a canonical text of plain values, to compare and to hash."""
    return json.dumps(values, sort_keys=True)
