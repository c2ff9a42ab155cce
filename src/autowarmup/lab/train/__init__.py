"""Pretraining: a LLaMA from random weights on text that is at hand, from one config to one record.

`train` is in `autowarmup.lab.train.train`; reading a config or a recipe does not load torch.
"""

from __future__ import annotations

from autowarmup.lab.train.config import OPTIMIZERS, TrainConfig
from autowarmup.lab.train.recipes import RECIPES, Recipe

__all__ = ["OPTIMIZERS", "RECIPES", "Recipe", "TrainConfig"]
