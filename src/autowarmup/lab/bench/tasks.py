"""What a fleet can train on: text with a language model, or pictures with a network for them.

A task gives the models of its seeds, the stacked loss, the batch of an update as a pure function of
(seed, step), and fixed batches to evaluate on.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from autowarmup.lab.bench.directions import Stack
from autowarmup.lab.bench.image_networks import Network, Perceptron, ResNet, ViT
from autowarmup.lab.bench.rules import DIGITS_SHAPES
from autowarmup.lab.bench.setups import SIZES, Setup
from autowarmup.lab.bench.stacked import StackedLlama, cross_entropies
from autowarmup.lab.bench.stacked_lstm import StackedLstm
from autowarmup.lab.problems import glyphs
from autowarmup.lab.problems.data import CLASSES, Examples, digits
from autowarmup.lab.train.data import load_corpus
from autowarmup.lab.train.model import build_model

LAST_WINDOWS = 256


class Text:
    """Next-token prediction on bytes."""

    def __init__(self, setup: Setup) -> None:
        self.setup, self.size = setup, SIZES.get(setup.model)  # an LSTM has no size
        self.length = SIZES["micro"].sequence_length if not self.size else self.size.sequence_length
        self.corpus = load_corpus(setup.data, "bytes", length=self.length, wanted=0)
        self.stacked = StackedLlama(self.model(0)) if self.size else StackedLstm()
        windows = self.corpus.fixed_windows(count=LAST_WINDOWS, length=self.length)
        self.windows = torch.from_numpy(windows)

    def model(self, seed: int) -> nn.Module:
        """Return the model of a seed."""
        vocabulary = self.corpus.vocabulary
        if self.size is None:
            torch.manual_seed(seed)
            return StackedLstm().model(vocabulary)
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


class Images:
    """Pictures and their classes, split once and for all.

    Noise replaces a share of the training labels, the same ones in every epoch.

    Attributes:
        train: rows of pixels and label, float32 of shape (pictures, pixels + 1).
        held_out: the same to evaluate on; `parts` are evaluated at a time, and every
            `thinned`-th in passing.
    """

    def __init__(
        self,
        setup: Setup,
        network: Network,
        train: Examples,
        held_out: Examples,
        *,
        classes: int,
        thinned: int = 1,
        parts: int | None = None,
    ) -> None:
        self.setup, self.network = setup, network
        self.train, self.held_out = _rows(train), _rows(held_out)
        self.thinned, self.parts = thinned, parts or len(self.held_out)
        if setup.noise:
            draw, count = np.random.default_rng(1), len(self.train)
            hit = torch.from_numpy(draw.random(count) < setup.noise)
            wrong = torch.from_numpy(draw.integers(0, classes, count)).float()
            self.train[:, -1] = torch.where(hit, wrong, self.train[:, -1])

    def model(self, seed: int) -> nn.Module:
        """Return the layers of a seed's network."""
        torch.manual_seed(seed)
        return self.network.model()

    def losses(self, parameters: Stack, batch: Tensor) -> Tensor:
        """Return the mean cross-entropy in nats per picture."""
        logits = self.network.logits(parameters, batch[..., :-1])
        return cross_entropies(logits, batch[..., -1].long())

    def batch(self, seed: int, step: int) -> Tensor:
        """Return rows of pixels and label, drawn with replacement."""
        draw = np.random.default_rng((seed, step))
        return self.train[torch.from_numpy(draw.integers(0, len(self.train), self.setup.batch))]

    def evaluation(self, *, full: bool) -> list[Tensor]:
        """Return the held-out pictures, or some of them."""
        rows = self.held_out if full else self.held_out[:: self.thinned]
        return list(rows.split(self.parts))


def _rows(examples: Examples) -> Tensor:
    return torch.cat([examples.x.float(), examples.y.float().unsqueeze(1)], 1)


class Digits(Images):
    """The 1,797 handwritten digits of scikit-learn (8 x 8 pixels), the last fifth held out."""

    def __init__(self, setup: Setup) -> None:
        held = digits()
        cut = len(held.y) * 4 // 5
        sides = (Examples(held.x[:cut], held.y[:cut]), Examples(held.x[cut:], held.y[cut:]))
        super().__init__(setup, Perceptron(DIGITS_SHAPES), *sides, classes=CLASSES)


class Glyphs(Images):
    """Rendered characters of 62 classes (16 x 16 pixels), distortions held out."""

    def __init__(self, setup: Setup) -> None:
        classes = len(glyphs.CHARACTERS)
        kind = {"glyph-resnet": ResNet, "glyph-vit": ViT}[setup.model]
        network = kind(glyphs.SIDE, classes)
        super().__init__(setup, network, *glyphs.glyphs(), classes=classes, thinned=8, parts=100)


Task = Text | Images


def task_of(setup: Setup) -> Task:
    """Return the task of a set-up."""
    if setup.model == "digits":
        return Digits(setup)
    return Glyphs(setup) if setup.model.startswith("glyph-") else Text(setup)
