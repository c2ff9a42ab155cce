"""Which calls of the scheduler follow an update: told by the hooks of the optimizers' steps.

This one mechanism covers accumulation, steps that mixed precision skips, and frameworks that call a
scheduler once per process or once more than there are updates. An optimizer that GradScaler does
not call has made no update. A fused one is always called and skips by itself where its `found_inf`
is above 0, which only the device knows.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

UNSEEN = 100
"""Calls in a row without an update that cannot all be overflows."""


class Updates:
    """Whether an update happened since the last call.

    Args:
        optimizers: any of them stepping is an update.
        waits: read `found_inf` at once; otherwise it goes along with the loss, see `take`.

    Example:
        >>> weight = torch.nn.Parameter(torch.ones(2))
        >>> optimizer = torch.optim.SGD([weight], lr=0.5)
        >>> updates = Updates([optimizer], waits=True)
        >>> optimizer.step()
        >>> updates.take(), updates.take()
        ((True, None), (False, None))
    """

    def __init__(self, optimizers: Sequence[Optimizer], *, waits: bool) -> None:
        self.waits = waits
        self._happened = False
        self._overflows: list[Tensor] = []  # one per fused optimizer, if no other one stepped
        self._unseen = 0
        self._live = False
        for each in optimizers:
            each.register_step_post_hook(self._note)

    @property
    def happened(self) -> bool:
        """Whether there was an update; waits for the device where only that knows."""
        skipped = bool(self._overflows) and all(bool(each) for each in self._overflows)
        return self._happened and not skipped

    def set(self, happened: bool) -> None:
        """Say whether there was an update."""
        self._happened, self._overflows = happened, []

    def take(self, told: bool | None = None) -> tuple[bool, Tensor | None]:
        """Return whether there was an update since the last call and what may take it back.

        The second is above 0 on its device if every optimizer skipped, `None` if that is settled.

        Args:
            told: overrides what the hooks saw.
        """
        if told is not None:
            self.set(told)
        happened, overflows = self._happened, self._overflows
        self._happened = False
        if not happened:
            self._count_unseen()
            return False, None
        self._unseen, self._live = 0, True
        if not overflows:
            return True, None
        self._overflows = []
        return True, torch.stack(overflows).amin()

    def _note(self, optimizer: Optimizer, *_: Any) -> None:
        """Called after every optimizer step."""
        if not self._live and _all_zero(optimizer):
            return
        found_inf = getattr(optimizer, "found_inf", None)
        if found_inf is None or (self.waits and not found_inf.item()):
            self._happened, self._overflows = True, []
        elif not self.waits and (self._overflows or not self._happened):
            self._happened = True
            self._overflows.append(found_inf.detach().reshape(()))

    def _count_unseen(self) -> None:
        self._unseen += 1
        if self._unseen == UNSEEN:
            warnings.warn(
                f"AdaptiveWarmup.step was called {UNSEEN} times without an optimizer step: "
                "expected optimizer.step() before each; pass updated=True where no hook can see "
                "it (a replayed CUDA graph)",
                stacklevel=4,
            )


def _all_zero(optimizer: Optimizer) -> bool:
    """Return whether no group has a rate.

    torch.distributed.checkpoint steps an optimizer so, before the first update, to make its state.
    """
    for group in optimizer.param_groups:
        lr = group["lr"]
        if (isinstance(lr, Tensor) and not lr.is_cpu) or float(lr) != 0.0:
            return False
    return True
