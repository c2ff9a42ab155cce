"""What a fleet can train on: text with a small LLaMA, or handwritten digits with a small network.

A task gives the models of its seeds, the stacked loss, the batch of an update as a pure function of
(seed, step), and fixed batches to evaluate on.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from autowarmup.lab.bench.directions import Stack
from autowarmup.lab.bench.rules import DIGITS_SHAPES
from autowarmup.lab.bench.setups import SIZES, Setup
from autowarmup.lab.bench.stacked import StackedLlama
from autowarmup.lab.problems.data import CLASSES, digits
from autowarmup.lab.train.data import load_corpus
from autowarmup.lab.train.model import build_model

LAST_WINDOWS = 256


class Text:
    """Next-token prediction on bytes."""

    def __init__(self, setup: Setup) -> None:
        self.setup, self.size = setup, SIZES[setup.model]
        self.length = self.size.sequence_length
        self.corpus = load_corpus(setup.data, "bytes", length=self.length, wanted=0)
        self.stacked = StackedLlama(self.model(0))
        windows = self.corpus.fixed_windows(count=LAST_WINDOWS, length=self.length)
        self.windows = torch.from_numpy(windows)

    def model(self, seed: int) -> nn.Module:
        """Return the model of a seed."""
        vocabulary = self.corpus.vocabulary
        return build_model(self.size, vocabulary=vocabulary, sequence_length=self.length, seed=seed)

    def losses(self, parameters: Stack, batch: Tensor) -> Tensor:
        """Return nats per token."""
        return self.stacked.losses(parameters, batch)

    def batch(self, seed: int, step: int) -> Tensor:
        """Return windows, (B, T + 1); noise replaces a share of the tokens by random ones."""
        windows = self.corpus.batch(
            seed=seed, step=step, batch_size=self.setup.batch, length=self.length
        )
        if self.setup.noise:
            draw = np.random.default_rng((seed, step, 1))
            hit = draw.random(windows.shape) < self.setup.noise
            windows = np.where(hit, draw.integers(0, 256, windows.shape), windows)
        return torch.from_numpy(windows)

    def evaluation(self, *, full: bool) -> list[Tensor]:
        """Return the validation windows, or every fourth."""
        return list((self.windows if full else self.windows[::4]).split(8))


class Digits:
    """The 1,797 handwritten digits of scikit-learn (8 x 8 pixels), the last fifth held out.

    Noise replaces a share of the training labels, the same ones in every epoch.
    """

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        examples = digits()
        rows = torch.cat([examples.x.float(), examples.y.float().unsqueeze(1)], 1)
        cut = len(rows) * 4 // 5
        self.train, self.held_out = rows[:cut].clone(), rows[cut:]
        if setup.noise:
            draw = np.random.default_rng(1)
            hit = torch.from_numpy(draw.random(cut) < setup.noise)
            wrong = torch.from_numpy(draw.integers(0, CLASSES, cut)).float()
            self.train[:, -1] = torch.where(hit, wrong, self.train[:, -1])

    def model(self, seed: int) -> nn.Module:
        """Return a network with two hidden layers of 128."""
        torch.manual_seed(seed)
        layers = [nn.Linear(n, m) for m, n in DIGITS_SHAPES]
        return nn.ModuleDict(dict(zip(("first", "second", "head"), layers, strict=True)))

    def losses(self, parameters: Stack, batch: Tensor) -> Tensor:
        """Return the mean cross-entropy in nats per image."""
        x, target = batch[..., :-1], batch[..., -1].long()
        for name in ("first", "second", "head"):
            weight, bias = parameters[f"{name}.weight"], parameters[f"{name}.bias"]
            x = torch.baddbmm(bias.unsqueeze(1), x, weight.mT)
            x = x if name == "head" else x.relu()
        flat = F.cross_entropy(x.flatten(0, 1), target.reshape(-1), reduction="none")
        return flat.view(len(batch), -1).mean(1)

    def batch(self, seed: int, step: int) -> Tensor:
        """Return rows of pixels and label, drawn with replacement."""
        draw = np.random.default_rng((seed, step))
        return self.train[torch.from_numpy(draw.integers(0, len(self.train), self.setup.batch))]

    def evaluation(self, *, full: bool) -> list[Tensor]:
        """Return the held-out images."""
        return [self.held_out]


Task = Text | Digits


def task_of(setup: Setup) -> Task:
    """Return the task of a set-up."""
    return Digits(setup) if setup.model == "digits" else Text(setup)
