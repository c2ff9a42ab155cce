"""One update of one or several optimizers: what happens before it and after it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from torch.optim import Optimizer

from autowarmup.calibrate import is_trial_step


class UpdateHooks:
    """Calls back before the first and after the last optimizer that makes an update.

    The trial steps of `AdaptiveWarmup.calibrate` are no updates.

    Args:
        optimizers: step one after another in every update.
        before: called before the first of them steps.
        after: called after the last of them has stepped.
    """

    def __init__(
        self,
        optimizers: Sequence[Optimizer],
        before: Callable[[], None],
        after: Callable[[], None],
    ) -> None:
        self.before, self.after, self.count = before, after, len(optimizers)
        self.stepped: set[int] = set()
        self.inside = False  # between before and after
        self.handles = []
        for index, each in enumerate(optimizers):
            self.handles.append(each.register_step_pre_hook(partial(self._before, index)))
            self.handles.append(each.register_step_post_hook(partial(self._after, index)))

    def _before(self, index: int, *_: Any) -> None:
        later = self.stepped and index not in self.stepped
        if later or is_trial_step():
            return
        self.stepped, self.inside = set(), True
        self.before()

    def _after(self, index: int, *_: Any) -> None:
        if is_trial_step():
            return
        self.stepped.add(index)
        if len(self.stepped) == self.count:
            self.stepped, self.inside = set(), False
            self.after()

    def remove(self) -> None:
        """Let the optimizers step as if there had been no hooks."""
        for handle in self.handles:
            handle.remove()
