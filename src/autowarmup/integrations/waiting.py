"""A scheduler for hosts that call `step()` before they know the loss of the update."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from autowarmup.scheduler import AdaptiveWarmup


class WaitingWarmup(AdaptiveWarmup):
    """`AdaptiveWarmup` whose bare `step()` does nothing; it waits for the host's callback.

    Lightning and the Hugging Face Trainer call `step()` right after the optimizer, and tell their
    callbacks the loss only later. `AdaptiveWarmup` would count that call as an update without a
    loss. Here only a call that comes with the loss, or `settle`, moves the schedule.

    Example:
        >>> import torch
        >>> optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(2))], lr=0.5)
        >>> scheduler = WaitingWarmup(optimizer, total_steps=100)
        >>> optimizer.step()
        >>> scheduler.step()  # the framework
        >>> scheduler.state.step
        0
        >>> scheduler.step(4.0)  # the callback
        >>> scheduler.state.step
        1
    """

    def step(
        self,
        loss: float | Tensor | None = None,
        *,
        metrics: float | Tensor | None = None,
        **more: Any,
    ) -> None:
        """Advance if the loss is given; a bare call is the host's and does nothing."""
        given = metrics if loss is None else loss
        if given is not None:
            super().step(given, **more)

    def settle(self) -> None:
        """Advance on what `observe` was given since the last update; the end of every update."""
        super().step()
