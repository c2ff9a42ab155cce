"""Loss and gradient of one batch, however many processes and micro-batches share it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.utils.checkpoint import checkpoint as recompute

from autowarmup.lab.train.config import TrainConfig
from autowarmup.lab.train.model import token_loss
from autowarmup.norms.sharded import is_sharded

See = Callable[[torch.Tensor], None]


def windows_at_once(config: TrainConfig, processes: int) -> int:
    """Return the sequences that one process takes through the model at a time."""
    parts = processes * config.accumulation
    if config.batch_size % parts:
        raise ValueError(
            f"batch_size: expected a multiple of processes times accumulation ({parts}), "
            f"got {config.batch_size}"
        )
    return config.batch_size // parts


class BatchGradient:
    """The part of every batch that this process takes, and the means over all of them.

    Attributes:
        wrapped: the model as the processes share it; calls go through it.
        model: the model itself.
        chunks: token windows of this process in the current batch, one micro-batch each.
    """

    def __init__(self, config: TrainConfig, accelerator: Any, wrapped: Any) -> None:
        self.accelerator, self.wrapped = accelerator, wrapped
        self.model = accelerator.unwrap_model(wrapped)
        self.parameters = list(wrapped.parameters())
        self.clip = config.clip or math.inf  # infinity measures and clips nothing
        self.size = windows_at_once(config, accelerator.num_processes)
        self.chunks: tuple[torch.Tensor, ...] = ()

    def take(self, windows: np.ndarray) -> None:
        """Begin a batch of token windows, shape (batch, length + 1), the same in all processes."""
        self.chunks = self._mine(windows)

    def gradient(self, *, wish: bool, see: See | None) -> tuple[float, float, bool]:
        """Leave the clipped gradient of the whole batch in the parameters.

        Args:
            wish: whether this process has a wish, which all learn of.
            see: told the loss where these gradients are those of the batch, unscaled.

        Returns:
            mean loss, norm of the gradient before clipping, whether any process has a wish.
        """
        accelerator = self.accelerator
        alone = accelerator.num_processes == 1 and accelerator.scaler is None
        losses: list[torch.Tensor] = []
        grad_norm = torch.zeros(())
        for chunk in self.chunks:
            with accelerator.accumulate(self.wrapped):
                loss = self._loss(chunk)
                accelerator.backward(loss)
                losses.append(loss.detach())
                if accelerator.sync_gradients:
                    if see is not None and alone:
                        see(torch.stack(losses).mean())
                    norm = accelerator.clip_grad_norm_(self.parameters, self.clip)
                    grad_norm = norm.full_tensor() if is_sharded(norm) else torch.as_tensor(norm)
        # One look at the device an update: everything comes over at once.
        wishes = torch.full_like(losses[0], float(wish))
        told = self._mean(torch.stack([torch.stack(losses).mean(), grad_norm, wishes])).tolist()
        return told[0], told[1], told[2] > 0.0

    @torch.no_grad()
    def mean_loss(self, windows: np.ndarray) -> float:
        """Return the mean loss over token windows, without a gradient."""
        self.wrapped.eval()
        losses = [self._loss(chunk) for chunk in self._mine(windows)]
        self.wrapped.train()
        return float(self._mean(torch.stack(losses).mean()))

    def own_loss(self) -> torch.Tensor:
        """Return the loss of this process's part with its graph, in the memory of one chunk."""
        if len(self.chunks) == 1:
            return token_loss(self.model, self.chunks[0])
        losses = [recompute(token_loss, self.model, c, use_reentrant=False) for c in self.chunks]
        return torch.stack([loss for loss in losses if loss is not None]).mean()

    def whole_loss(self) -> torch.Tensor:
        """Return the loss of the whole batch with a graph; collective, not for shards.

        Its value is the mean over processes and so is its gradient, although the graphs of the
        other processes are not here: it is the value plus <g, x - x> with g the mean gradient.
        """
        loss = self.own_loss()
        if self.accelerator.num_processes == 1:
            return loss
        total = self._mean(loss.detach())
        if loss.requires_grad:
            gradients = torch.autograd.grad(loss, self.parameters, allow_unused=True)
            for p, g in zip(self.parameters, gradients, strict=True):
                if g is not None:
                    total = total + torch.sum(self._mean(g) * (p - p.detach()))
        return total

    def _mine(self, windows: np.ndarray) -> tuple[torch.Tensor, ...]:
        mine = windows[self.accelerator.process_index :: self.accelerator.num_processes]
        return torch.from_numpy(mine).to(self.accelerator.device).split(self.size)

    def _loss(self, chunk: torch.Tensor) -> torch.Tensor:
        with self.accelerator.autocast():  # `prepare` does the same; FSDP2 models do without it
            return token_loss(self.wrapped, chunk)

    def _mean(self, values: torch.Tensor) -> torch.Tensor:
        if self.accelerator.num_processes == 1:
            return values
        mean = self.accelerator.reduce(values, "mean")
        assert isinstance(mean, torch.Tensor)
        return mean
