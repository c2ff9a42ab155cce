"""Agree on the loss before it touches a rate: the one place where micro-batches become one number.

Averaging over processes belongs here too; so far each process agrees with itself.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class LossBuffer:
    """Sums the losses of one update on their own device and reads the mean once.

    Example:
        >>> buffer = LossBuffer()
        >>> buffer.add(4.0)
        >>> buffer.add(3.0)
        >>> buffer.take(), buffer.take()
        (3.5, None)
    """

    def __init__(self) -> None:
        self._sum: float | Tensor = 0.0
        self._count = 0

    def add(self, loss: float | Tensor) -> None:
        """Take in a scalar loss; a tensor on an accelerator stays there and loses its graph.

        Raises:
            ValueError: a tensor of more than one element.
        """
        self._sum = self._sum + _detached(loss)
        self._count += 1

    def take(self, last: float | Tensor | None = None, *, needed: bool = True) -> float | None:
        """Return the mean of what was added and start anew; `None` if there was nothing.

        Args:
            last: one more loss to add first.
            needed: where it is false, a loss on an accelerator is dropped rather than waited for.
        """
        if last is not None:
            if self._count == 0 and type(last) is float:
                return last
            self.add(last)
        total, count = self._sum, self._count
        self._sum, self._count = 0.0, 0
        if count == 0:
            return None
        if isinstance(total, Tensor):
            if not needed:
                return None
            total = total.item()
        return total / count

    def clear(self) -> None:
        """Forget what was added since the last `take`."""
        self._sum, self._count = 0.0, 0

    def state_dict(self) -> dict[str, Any]:
        """Return what was added since the last `take`, as plain numbers."""
        return {"sum": float(self._sum), "count": self._count}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over a saved buffer."""
        self._sum, self._count = state["sum"], state["count"]


def _detached(loss: float | Tensor) -> float | Tensor:
    if not isinstance(loss, Tensor):
        return float(loss)
    if loss.numel() != 1:
        raise ValueError(f"expected a scalar loss, got a tensor of shape {tuple(loss.shape)}")
    if loss.is_cpu:
        return loss.item()
    value = loss.detach().reshape(())
    return value if value.dtype is torch.float64 else value.float()
