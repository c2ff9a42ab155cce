"""Trainings that cost nothing, imported by other processes too."""

from __future__ import annotations

import math
import os
from pathlib import Path

GAIN = {"paced": 0.0, "none": 0.1, "linear 5%": -0.1, "linear 20%": 0.0}
"""What each rule adds to the loss of a seed."""


def loss_of(rule: str, seed: int) -> float:
    return 2.0 + seed + GAIN[rule] + 0.01 * math.sin(10 * seed + len(rule))


def train(rule: str, seed: int) -> float:
    if folder := os.environ.get("SEEN_BY"):
        (Path(folder) / f"{rule} {seed} {os.getpid()}").touch()
    return loss_of(rule, seed)


def diverges_without_warmup(rule: str, seed: int) -> float:
    return math.inf if rule == "none" else loss_of(rule, seed)


def fails_on_seed_1(rule: str, seed: int) -> float:
    if seed == 1:
        raise RuntimeError("out of memory")
    return loss_of(rule, seed)
