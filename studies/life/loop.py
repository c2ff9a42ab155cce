"""The loop of both studies: a small LLaMA on bytes, the library's optimizers and scheduler."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from autowarmup import AdaptiveWarmup, Lion, Muon
from autowarmup.lab.bench.setups import Setup
from autowarmup.lab.bench.tasks import Text

BATCH = 8
Made = Callable[[torch.optim.Optimizer], AdaptiveWarmup]


def text(data: str = "stdlib") -> Text:
    """Return 0.03M parameters' worth of next-byte prediction, 256 tokens an update."""
    return Text(replace(Setup("adamw", 0.0), data=data, batch=BATCH))


def optimizer_of(name: str, model: nn.Module, lr: float) -> torch.optim.Optimizer:
    """Return an optimizer with the settings that the benchmark uses."""
    if name == "adamw":
        return torch.optim.AdamW(model.parameters(), lr=lr, betas=(0.9, 0.95), weight_decay=0.1)
    if name == "lion":
        return Lion(model.named_parameters(), lr=lr, weight_decay=0.1)
    return Muon(model, lr=lr, weight_decay=0.1)


class Training:
    """One model in training, update by update, on batches that are a function of (seed, step)."""

    def __init__(self, task: Text, seed: int, model: nn.Module | None = None) -> None:
        self.task, self.seed, self.at = task, seed, 0
        self.model = task.model(seed) if model is None else model
        self.optimizer: torch.optim.Optimizer | None = None
        self.scheduler: AdaptiveWarmup | None = None

    def begin(self, name: str, lr: float, made: Made) -> AdaptiveWarmup:
        """Give it a new optimizer and a scheduler."""
        self.optimizer = optimizer_of(name, self.model, lr)
        self.scheduler = made(self.optimizer)
        return self.scheduler

    def update(self, updates: int) -> None:
        """Make so many updates."""
        assert self.optimizer is not None
        assert self.scheduler is not None
        for _ in range(updates):
            loss = self.loss(self.task.batch(self.seed, self.at))
            self.optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(self.model.parameters(), 0.5)
            self.optimizer.step()
            self.scheduler.step(loss)
            self.at += 1

    def loss(self, windows: torch.Tensor) -> torch.Tensor:
        """Return the mean cross-entropy in nats per token."""
        logits = self.model(windows[:, :-1]).logits
        return nn.functional.cross_entropy(logits.flatten(0, 1), windows[:, 1:].flatten())

    @torch.no_grad()
    def validation(self) -> float:
        """Return the loss on the held-out windows."""
        parts = self.task.evaluation(full=True)
        return statistics.fmean(self.loss(part).item() for part in parts)


def paired(one: Sequence[float], other: Sequence[float]) -> dict[str, Any]:
    """Return the mean relative difference of two rows of losses, and its standard error."""
    differences = [a / b - 1.0 for a, b in zip(one, other, strict=True)]
    error = statistics.stdev(differences) / len(differences) ** 0.5
    return {"mean": statistics.fmean(differences), "error": error, "seeds": len(differences)}
