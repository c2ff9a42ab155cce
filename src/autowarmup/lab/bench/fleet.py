"""Train many replicas side by side: the same optimizer and shapes, each its own rate and rule.

The loop is that of `lab.train.run`: the loss and the clipped gradient of a batch that is a function
of (seed, step), an update, and the rule's next rate; only that every tensor holds all replicas.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from autowarmup.calibrate import BISECTIONS, largest_fractions
from autowarmup.lab.bench.directions import BETA, Direction, Stack, per_replica
from autowarmup.lab.bench.plan import RunPlan
from autowarmup.lab.bench.rules import build, started
from autowarmup.rules import Status
from autowarmup.rules import step as advance

FORWARD = 1.0 / 3.0
"""Cost of a forward pass in training steps: backward is counted as two forwards."""

Losses = Callable[[Stack, Tensor], Tensor]


@dataclass
class Replica:
    """One run of the fleet.

    Attributes:
        plan: the run.
        lr: peak rate.
        state: of the rule, after the first batch.
        start: measured share of the peak rate.
        extra_forwards: forward passes beyond those of training.
        diverged_at: the update at which the loss stopped being finite.
        lowered: the updates after which the rule lowered the rate.
        updates: that it makes, fewer than planned where it pays for extra passes.
    """

    plan: RunPlan
    lr: float
    state: Any = None
    losses: list[float] = field(default_factory=list)
    factors: list[float] = field(default_factory=list)
    start: float = 1.0
    extra_forwards: float = 0.0
    diverged_at: int | None = None
    lowered: list[int] = field(default_factory=list)
    updates: int = 0

    def __post_init__(self) -> None:
        self.rule = build(self.plan)

    @property
    def measures(self) -> bool:
        """Whether its start is measured; the papers' protocol, in the options, measures none."""
        return self.rule.measured_start is not None and "law" not in self.plan.options

    def begin(self, beta: float) -> None:
        """Make the rule's state; extra passes are paid for in updates."""
        plan = self.plan
        self.updates = plan.setup.steps - math.ceil(self.extra_forwards * FORWARD)
        self.state = started(
            self.rule, plan.setup, self.updates, plan.options, start=self.start, beta=beta
        )

    def see(self, step: int, loss: float, factor: float) -> None:
        """Take in the loss of an update and the factor that it used."""
        if not math.isfinite(loss):
            self.diverged_at = step
            return
        self.losses.append(loss)
        self.factors.append(factor)
        self.state = advance(self.state, loss)
        if self.state.status is Status.LOWERED:
            self.lowered.append(step)


class Fleet:
    """R replicas of one optimizer in training.

    Parameters are stacked, (R, ...); losses: (parameters, batches) -> losses of shape (R,).
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
        """Make one update of every replica that has not ended; batch: shape (R, ...)."""
        losses = self.losses(self.parameters, batch)
        keys = list(self.parameters)
        raw = torch.autograd.grad(losses.sum(), [self.parameters[key] for key in keys])
        with torch.no_grad():
            gradients = dict(zip(keys, raw, strict=True))
            updates = self.direction(self._clipped(gradients), self.parameters)
            if self.step == 0:
                self._begin(batch, losses, gradients, updates)
            self._move(losses.tolist(), updates)
        self.step += 1

    def _clipped(self, gradients: Stack) -> Stack:
        squares = [g.flatten(1).square().sum(1) for g in gradients.values()]
        norms = torch.stack(squares).sum(0).sqrt()
        scale = (self.clip / (norms + 1e-6)).clamp(max=1.0)
        return {key: g * per_replica(scale, g) for key, g in gradients.items()}

    def _begin(self, batch: Tensor, losses: Tensor, gradients: Stack, updates: Stack) -> None:
        """Measure the starts on the first batch and make the states of the rules."""
        chosen = [k for k, r in enumerate(self.replicas) if r.measures]
        if chosen:
            self._measure(chosen, batch, losses, gradients, updates)
        for replica in self.replicas:
            replica.begin(self.beta)

    def _measure(
        self, chosen: list[int], batch: Tensor, losses: Tensor, gradients: Stack, updates: Stack
    ) -> None:
        """Bisect, for all chosen replicas at once, as `autowarmup.calibrate` does for one."""
        replicas = [self.replicas[k] for k in chosen]
        lrs = losses.new_tensor([r.lr for r in replicas])
        part = {key: p[chosen] for key, p in self.parameters.items()}
        moves = {key: self._displacement(key, u)[chosen] for key, u in updates.items()}
        promised = [(g[chosen] * moves[key]).flatten(1).sum(1) for key, g in gradients.items()]
        slope = torch.stack(promised).sum(0) * lrs
        least = losses.new_tensor([r.rule.measured_start for r in replicas])

        def enough(fraction: Tensor) -> Tensor:
            rates = fraction * lrs
            moved = {k: p - per_replica(rates, p) * moves[k] for k, p in part.items()}
            after = self.losses(moved, batch[chosen])
            return (losses[chosen] - after) / (fraction * slope) >= least

        found = largest_fractions(lambda tried: enough(lrs.new_tensor(tried)).tolist(), len(lrs))
        for replica, share in zip(replicas, found, strict=True):
            replica.start = share
            # One probe where the peak rate is borne, else all; and a backward pass of its own.
            replica.extra_forwards += 1 + (0 if share == 1.0 else BISECTIONS) + 3

    def _displacement(self, key: str, u: Tensor) -> Tensor:
        """Return what a rate multiplies: the update with its decoupled decay."""
        x = self.parameters[key].detach()
        decay = self.direction.decay(key, x)
        return u + decay * x if decay else u

    def _move(self, losses: list[float], updates: Stack) -> None:
        factors = [0.0 if self._over(r) else r.state.factor for r in self.replicas]
        lrs = [f * r.lr for f, r in zip(factors, self.replicas, strict=True)]
        rates = next(iter(updates.values())).new_tensor(lrs)
        for key, p in self.parameters.items():
            decay = self.direction.decay(key, p)
            if decay:
                p.mul_(1.0 - per_replica(rates, p) * decay)
            p.sub_(per_replica(rates, p) * updates[key])
        for replica, loss, factor in zip(self.replicas, losses, factors, strict=True):
            if not self._over(replica):
                replica.see(self.step, loss, factor)

    def _over(self, replica: Replica) -> bool:
        return replica.diverged_at is not None or self.step >= replica.updates

    @torch.no_grad()
    def evaluate(self, batches: Sequence[Tensor]) -> list[float]:
        """Return the mean loss of each replica over batches that all of them see."""
        total = next(iter(self.parameters.values())).new_zeros(len(self.replicas))
        for batch in batches:
            shared = batch.unsqueeze(0).expand(len(self.replicas), *batch.shape)
            total += self.losses(self.parameters, shared)
        return (total / len(batches)).tolist()
