"""Train many replicas side by side: the same optimizer and shapes, each its own rate and rule.

The loop is that of `pretrain.run`: the loss and the clipped gradient of a batch that is a function
of (seed, step), an update, and the schedule's next rate; only that every tensor holds all replicas.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from autowarmup.lab.bench.directions import BETA, Direction, Stack
from autowarmup.rules.base import Rule, Seen
from autowarmup.rules.config import ScheduleConfig

SMALLEST, BISECTIONS = 1e-3, 10
FORWARD = 1.0 / 3.0
"""Cost of a forward pass in training steps: backward is counted as two forwards."""

Losses = Callable[[Stack, Tensor], Tensor]


@dataclass
class Replica:
    """One run of the fleet.

    Attributes:
        rule: what chooses its rates.
        lr: peak rate.
        seed: of its weights and data.
        total_steps: updates, as if it paid for no extra pass.
        options: further settings of the rule (lower_bound, smoothing).
        state: of the rule, once begun.
        losses: of each update, as the rule saw them.
        factors: of each update.
        trusts: (update, trust ratio) where probed.
        start: measured share of the peak rate.
        extra_forwards: forward passes beyond those of training.
        diverged: the update at which the loss stopped being finite.
        updates: that it makes, known once it has begun.
    """

    rule: Rule
    lr: float
    seed: int
    total_steps: int
    options: dict[str, Any] = field(default_factory=dict)
    state: Any = None
    losses: list[float] = field(default_factory=list)
    factors: list[float] = field(default_factory=list)
    trusts: list[tuple[int, float]] = field(default_factory=list)
    start: float = 1.0
    extra_forwards: float = 0.0
    diverged: int | None = None
    updates: int = 0

    def begin(self, beta: float) -> None:
        """Make the rule's state; its extra passes, also those to come, are paid for in updates."""
        paid = math.ceil(self.extra_forwards * FORWARD) + math.ceil(
            self.rule.budget * self.total_steps
        )
        self.updates = self.total_steps - paid
        told = {"div": 1.0 / self.start, "beta": beta, **self.options}
        self.state = self.rule.init(ScheduleConfig(self.updates, **told))


class Fleet:
    """R replicas in training.

    Args:
        replicas: all of one optimizer.
        optimizer: its name.
        parameters: stacked, (R, ...), by name.
        losses: (parameters, batches) -> losses of shape (R,).
        weight_decay: decoupled, of the matrices.
        clip: largest Euclidean norm of a replica's gradient.
    """

    def __init__(
        self,
        replicas: Sequence[Replica],
        optimizer: str,
        parameters: Stack,
        losses: Losses,
        *,
        weight_decay: float = 0.1,
        clip: float = 0.5,
    ) -> None:
        self.replicas, self.losses, self.clip = list(replicas), losses, clip
        self.parameters = {key: p.requires_grad_() for key, p in parameters.items()}
        self.direction = Direction(optimizer, parameters, weight_decay=weight_decay)
        self.beta = BETA[optimizer]
        self.step = 0

    @property
    def over(self) -> bool:
        """Whether every replica has made its updates or diverged."""
        return self.step > 0 and all(self._over(r) for r in self.replicas)

    def update(self, batch: Tensor) -> None:
        """Make one update of every replica that has not ended.

        Args:
            batch: shape (R, ...), the batch of each replica.
        """
        losses = self.losses(self.parameters, batch)
        keys = list(self.parameters)
        raw = torch.autograd.grad(losses.sum(), [self.parameters[key] for key in keys])
        with torch.no_grad():
            gradients = dict(zip(keys, raw, strict=True))
            updates = self.direction(self._clipped(gradients), self.parameters)
            seen = losses.tolist()
            if self.step == 0:
                self._begin(batch, seen, gradients, updates)
            self._move(batch, seen, gradients, updates)
        self.step += 1

    def _clipped(self, gradients: Stack) -> Stack:
        squares = [g.flatten(1).square().sum(1) for g in gradients.values()]
        norms = torch.stack(squares).sum(0).sqrt()
        scale = (self.clip / (norms + 1e-6)).clamp(max=1.0)
        return {key: g * _per_replica(scale, g) for key, g in gradients.items()}

    def _begin(self, batch: Tensor, losses: list[float], gradients: Stack, updates: Stack) -> None:
        """Measure the starts on the first batch and make the states of the rules."""
        chosen = [k for k, r in enumerate(self.replicas) if r.rule.c is not None]
        if chosen:
            self._measure(chosen, batch, losses, gradients, updates)
        for replica in self.replicas:
            replica.begin(self.beta)

    def _measure(
        self,
        chosen: list[int],
        batch: Tensor,
        losses: list[float],
        gradients: Stack,
        updates: Stack,
    ) -> None:
        """Bisect, for all chosen replicas at once, as `autowarmup.calibrate` does for one."""
        replicas = [self.replicas[k] for k in chosen]
        lrs = torch.tensor([r.lr for r in replicas])
        slope = self._slope(gradients, updates)[chosen] * lrs
        part = {key: p[chosen] for key, p in self.parameters.items()}
        moves = {key: self._displacement(key, u)[chosen] for key, u in updates.items()}
        before = torch.tensor([losses[k] for k in chosen])
        least = torch.tensor([r.rule.c for r in replicas])

        def enough(fraction: Tensor) -> Tensor:
            rates = fraction * lrs
            moved = {k: p - _per_replica(rates, p) * moves[k] for k, p in part.items()}
            after = self.losses(moved, batch[chosen])
            return (before - after) / (fraction * slope) >= least

        low = torch.full_like(lrs, math.log(SMALLEST))
        high = torch.zeros_like(lrs)
        whole = enough(torch.ones_like(lrs))
        for _ in range(BISECTIONS):
            middle = (low + high) / 2
            good = enough(middle.exp())
            low, high = torch.where(good, middle, low), torch.where(good, high, middle)
        for replica, bears, share in zip(replicas, whole.tolist(), low.exp().tolist(), strict=True):
            replica.start = 1.0 if bears else share
            # One probe where the peak rate is borne, else all; and a backward pass of its own.
            replica.extra_forwards += 1 + (0 if bears else BISECTIONS) + 3

    def _displacement(self, key: str, u: Tensor) -> Tensor:
        """Return what a rate multiplies: the update with its decoupled decay."""
        x = self.parameters[key].detach()
        decay = self.direction.decay(key, x)
        return u + decay * x if decay else u

    def _slope(self, gradients: Stack, updates: Stack) -> Tensor:
        """Return, per replica, the decrease that the gradient promises for rate 1."""
        parts = [
            (g * self._displacement(key, updates[key])).flatten(1).sum(1)
            for key, g in gradients.items()
        ]
        return torch.stack(parts).sum(0)

    def _move(self, batch: Tensor, losses: list[float], gradients: Stack, updates: Stack) -> None:
        factors = [0.0 if self._over(r) else r.state.factor for r in self.replicas]
        rates = torch.tensor([f * r.lr for f, r in zip(factors, self.replicas, strict=True)])
        probed = [
            k
            for k, r in enumerate(self.replicas)
            if r.rule.wants_trust is not None and not self._over(r) and r.rule.wants_trust(r.state)
        ]
        slope = self._slope(gradients, updates) if probed else None
        for key, p in self.parameters.items():
            decay = self.direction.decay(key, p)
            if decay:
                p.mul_(1.0 - _per_replica(rates, p) * decay)
            p.sub_(_per_replica(rates, p) * updates[key])
        trusts: dict[int, float] = {}
        if slope is not None:
            part = {key: p[probed] for key, p in self.parameters.items()}
            after = self.losses(part, batch[probed]).tolist()
            for k, value in zip(probed, after, strict=True):
                trusts[k] = (losses[k] - value) / max(float(slope[k] * rates[k]), 1e-30)
        for k, replica in enumerate(self.replicas):
            if self._over(replica):
                continue
            self._note(replica, losses[k], factors[k], trusts.get(k))

    def _over(self, replica: Replica) -> bool:
        return replica.diverged is not None or self.step >= replica.updates

    def _note(self, replica: Replica, loss: float, factor: float, trust: float | None) -> None:
        if not math.isfinite(loss):
            replica.diverged = self.step
            return
        replica.losses.append(loss)
        replica.factors.append(factor)
        if trust is not None:
            replica.trusts.append((self.step, trust))
            replica.extra_forwards += 1
        replica.state = replica.rule.step(replica.state, Seen(loss, trust))

    @torch.no_grad()
    def evaluate(self, batches: Sequence[Tensor]) -> list[float]:
        """Return the mean loss of each replica over batches that all of them see."""
        total = torch.zeros(len(self.replicas))
        for batch in batches:
            shared = batch.unsqueeze(0).expand(len(self.replicas), *batch.shape)
            total += self.losses(self.parameters, shared)
        return (total / len(batches)).tolist()


def _per_replica(values: Tensor, like: Tensor) -> Tensor:
    """Shape one value per replica so that it multiplies a stacked tensor."""
    return values.view(-1, *[1] * (like.ndim - 1))
