"""Pretraining: a LLaMA from random weights on text that is at hand, from one config to one record.

`train` is in `autowarmup.lab.train.train`; it is not imported here, so that reading a config or a
recipe does not load torch.

Example:
    >>> from autowarmup.lab.train import TrainConfig
    >>> TrainConfig(recipe="tiny-cpu", optimizer="lion", steps=200).eval_interval
    20
"""

from __future__ import annotations

from autowarmup.lab.train.config import OPTIMIZERS, TrainConfig
from autowarmup.lab.train.recipes import RECIPES, Recipe, Suggestion

__all__ = ["OPTIMIZERS", "RECIPES", "Recipe", "Suggestion", "TrainConfig"]
