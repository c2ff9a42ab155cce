"""A function for trainers that build their schedule from a name in a configuration file."""

from __future__ import annotations

from typing import Any

from torch.optim import Optimizer

from autowarmup.rules.base import Rule
from autowarmup.rules.registry import DEFAULT_RULE
from autowarmup.rules.timed import Linear
from autowarmup.scheduler import AdaptiveWarmup


def get_adaptive_schedule(
    optimizer: Optimizer,
    num_training_steps: int,
    last_epoch: int = -1,
    *,
    num_warmup_steps: int | None = None,
    rule: str | Rule[Any] | None = None,
    **options: Any,
) -> AdaptiveWarmup:
    """Return an `AdaptiveWarmup` under the names that transformers' and torchtune's factories have.

    Such trainers call `scheduler.step()` without a loss: then warm-up goes by the number of updates
    alone, which is said once, and nothing lowers the rate. Where you can, call `step(loss)`.

    Args:
        optimizer: its groups' `lr` are the peak rates.
        num_training_steps: updates of the whole run.
        last_epoch: index of the last update of a run that goes on, -1 for a new one.
        num_warmup_steps: a length of warm-up to keep; by default the rule finds it.
        rule: as in `AdaptiveWarmup`, instead of a length.
        options: others of `AdaptiveWarmup`.

    Raises:
        ValueError: both a length and a rule, or what `AdaptiveWarmup` refuses.

    Example:
        >>> import torch
        >>> optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.ones(2))], lr=0.5)
        >>> scheduler = get_adaptive_schedule(optimizer, num_training_steps=100, num_warmup_steps=4)
        >>> scheduler.rule.name, scheduler.get_last_lr()
        ('linear 4 steps', [0.125])
    """
    if num_warmup_steps is not None:
        if rule is not None:
            raise ValueError(
                f"expected num_warmup_steps or rule, got both: {num_warmup_steps!r} and {rule!r}"
            )
        rule = Linear(steps=num_warmup_steps) if num_warmup_steps else Linear(0.0)
    return AdaptiveWarmup(
        optimizer, num_training_steps, rule=rule or DEFAULT_RULE, last_epoch=last_epoch, **options
    )
