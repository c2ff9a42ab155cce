"""Accelerate: the plain loop works; this only finds the optimizer inside a prepared one.

The scheduler stays out of `accelerator.prepare`, which would step it once per process; should it
be prepared all the same, the extra calls follow no update and change nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from accelerate.optimizer import AcceleratedOptimizer
from torch.optim import Optimizer

from autowarmup.scheduler import AdaptiveWarmup


def unwrapped(optimizer: Optimizer) -> Optimizer:
    """Return the torch optimizer behind one that `accelerator.prepare` returned, else itself.

    The wrapper is an `Optimizer` by name only: it has no hooks by which an update could be noticed.
    """
    while isinstance(optimizer, AcceleratedOptimizer):
        optimizer = optimizer.optimizer
    return optimizer


class AcceleratedWarmup(AdaptiveWarmup):
    """`AdaptiveWarmup` for optimizers that may have been through `accelerator.prepare`.

    Args:
        optimizer: one optimizer or a list of them, prepared or not.
        total_steps: optimizer steps of the whole run, not micro-batches and not times processes.
        options: those of `AdaptiveWarmup`.
    """

    def __init__(
        self, optimizer: Optimizer | Sequence[Optimizer], total_steps: int, **options: Any
    ) -> None:
        given = [optimizer] if isinstance(optimizer, Optimizer) else list(optimizer)
        super().__init__([unwrapped(each) for each in given], total_steps, **options)
