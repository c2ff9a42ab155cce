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
from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from torch.optim import Optimizer

UNSEEN = 20
"""Calls in a row without an update that cannot all be overflows: a scale of 2^16 halves to 1 in 16.
"""
MOVED = 3
"""Calls in a row without an update but with other weights after which that is said."""

UNTOLD = 100
"""Steps of each optimizer in a row without a call after which that is said."""

_NEWEST: WeakKeyDictionary[Optimizer, object] = WeakKeyDictionary()
"""By optimizer, a token of the last scheduler made for it: of an earlier one nobody expects calls.
"""


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
        self.optimizers = list(optimizers)
        self._happened = False
        self._overflows: list[Tensor] = []  # one per fused optimizer, if no other one stepped
        self._unseen = self._moved = 0
        self._versions: list[int] = []
        self._live = self._said = False
        self._early: tuple[Tensor | None, int] | None = None
        self._untold = 0
        self._hook()

    def _hook(self) -> None:
        self._token = object()
        for each in self.optimizers:
            _NEWEST[each] = self._token
            each.register_step_post_hook(self._note)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_early": None, "_token": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Watch the optimizers of a copy: theirs have lost their hooks."""
        self.__dict__.update(state)
        self._hook()

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
        self._untold = 0
        if told is not None:
            self.set(told)
        happened, overflows = self._happened, self._overflows
        self._happened = False
        if not happened:
            self._count_unseen()
            return False, None
        if self._unseen:
            self._unseen, self._moved, self._versions = 0, 0, []
        self._live = True
        if not overflows:
            return True, None
        self._overflows = []
        return True, torch.stack(overflows).amin()

    def _note(self, optimizer: Optimizer, *_: Any) -> None:
        """Called after every optimizer step."""
        # A rate that is read, or a number that changes, would break a compiled step up.
        eager = not torch.compiler.is_compiling()
        if eager and not self._live and _all_zero(optimizer):
            return
        if self._early is not None:
            self._say_early()
        if eager:
            self._untold += 1
            if self._untold == UNTOLD * len(self.optimizers):
                self._say_untold(optimizer)
        found_inf = getattr(optimizer, "found_inf", None)
        if found_inf is None or (self.waits and not found_inf.item()):
            self._happened, self._overflows = True, []
        elif not self.waits and (self._overflows or not self._happened):
            self._happened = True
            self._overflows.append(found_inf.detach().reshape(()))

    def _say_early(self) -> None:
        """Say that the scheduler was called first: its call and this step had the same gradients.

        Mixed precision, which may have skipped a step, had them thrown away and made new ones.
        """
        gradient, version = _gradient(self.optimizers)
        if self._early is not None and gradient is self._early[0] and version == self._early[1]:
            warnings.warn(
                "AdaptiveWarmup.step came before optimizer.step and set nothing: expected "
                "optimizer.step(), then step(loss)",
                stacklevel=5,
            )
        self._early = None

    def _say_untold(self, optimizer: Optimizer) -> None:
        """Say that nobody calls the scheduler, or somebody once an epoch."""
        if _NEWEST.get(optimizer) is self._token:
            warnings.warn(
                f"{self._untold} optimizer steps without a call of AdaptiveWarmup.step, and the "
                "rate stands still: expected step(loss) after each (Lightning calls it once an "
                "epoch unless AdaptiveWarmupCallback is there)",
                stacklevel=5,
            )

    def _count_unseen(self) -> None:
        """Count a call without an update, and say once what it may mean."""
        self._unseen += 1
        if self._said:
            return
        versions = [_version(each) for each in self.optimizers]
        self._moved += bool(self._versions) and versions != self._versions
        self._versions = versions
        if self._moved >= MOVED or self._unseen >= UNSEEN:
            calls = "weights change" if self._moved >= MOVED else f"{self._unseen} calls of step"
            told = (
                f"{calls} but AdaptiveWarmup sees no optimizer step, and the rate stands still: "
                "expected optimizer.step() before each step, of the optimizer that it was given; "
                "pass updated=True where no hook can see it (a replayed CUDA graph, a wrapper that "
                "steps by itself)"
            )
            if all(map(_all_zero, self.optimizers)):
                told = f"{calls} but every rate is 0: expected an optimizer with its peak rate"
        else:
            if not self._live and self._unseen == 1:
                self._early = _gradient(self.optimizers)
            return
        self._said = True
        warnings.warn(told, stacklevel=5)


def _version(optimizer: Optimizer) -> int:
    """Return a number that changes where the first weights of the groups are written to."""
    firsts = [group["params"][0] for group in optimizer.param_groups if group["params"]]
    return sum(p._version for p in firsts)


def _gradient(optimizers: Sequence[Optimizer]) -> tuple[Tensor | None, int]:
    """Return the gradient of the smallest parameter and how often it was written to.

    Another backward pass leaves another one, or writes to it.
    """
    parameters = [p for o in optimizers for g in o.param_groups for p in g["params"]]
    gradient = min(parameters, key=Tensor.numel).grad if parameters else None
    return gradient, 0 if gradient is None else gradient._version


def _all_zero(optimizer: Optimizer) -> bool:
    """Return whether no group has a rate.

    torch.distributed.checkpoint steps an optimizer so, before the first update, to make its state.
    """
    for group in optimizer.param_groups:
        lr = group["lr"]
        if (isinstance(lr, Tensor) and not lr.is_cpu) or float(lr) != 0.0:
            return False
    return True
