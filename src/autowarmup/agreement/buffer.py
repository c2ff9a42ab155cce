"""The losses of one update, summed where they lie."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any

import torch
from torch import Tensor

from autowarmup.agreement.reduction import LossSum


class LossBuffer:
    """Sums weight times loss over the micro-batches of one update.

    A loss on the CPU is read at once unless the buffer is lazy; one on an accelerator stays there,
    in float64 where the device has it, and nothing waits for it.

    Args:
        lazy: read no tensor, not even on the CPU, before `read`.

    Attributes:
        on_host: what is known as numbers.
        total: what lies on a device of the sum of weight times loss, `None` if nothing does.
        weight: the same of the sum of weights.

    Example:
        >>> buffer = LossBuffer()
        >>> buffer.add(4.0)
        >>> buffer.add(3.0, weight=3.0)
        >>> buffer.on_host
        LossSum(total=13.0, weight=4.0, batches=2.0)
    """

    def __init__(self, *, lazy: bool = False) -> None:
        self.lazy = lazy
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self.on_host = LossSum()
        self.total: Tensor | None = None
        self.weight: Tensor | None = None

    def add(self, loss: float | Tensor, weight: float | Tensor = 1.0) -> None:
        """Take in a scalar loss; a tensor loses its graph.

        Raises:
            ValueError: a loss that is no number or has more than one element, or a weight that is
                negative or no number.
        """
        loss = self._scalar(loss, "loss") if isinstance(loss, Tensor) else number(loss, "loss")
        if isinstance(weight, Tensor):
            weight = self._scalar(weight, "weight")
        elif type(weight) is not float:
            weight = number(weight, "weight")
        if not isinstance(weight, Tensor) and not 0.0 <= weight < math.inf:
            raise ValueError(f"expected weight to be a finite number >= 0, got {weight}")
        if isinstance(loss, Tensor) or isinstance(weight, Tensor):
            self._add_on_device(loss, weight)
            return
        before = self.on_host
        # An empty micro-batch has weight 0 and often a loss of 0 / 0.
        product = loss * weight if weight else 0.0
        self.on_host = LossSum(before.total + product, before.weight + weight, before.batches + 1)

    def _scalar(self, value: Tensor, what: str) -> float | Tensor:
        check_scalar(value, what)
        if value.is_cpu and not self.lazy:
            return value.item()
        return value.detach().reshape(())

    @torch.no_grad()
    def _add_on_device(self, loss: float | Tensor, weight: float | Tensor) -> None:
        if self.total is None:
            devices = [each.device for each in (loss, weight) if isinstance(each, Tensor)]
            device = next((each for each in devices if each.type != "cpu"), devices[0])
            self.total = torch.zeros((), dtype=widest(device), device=device)
        before = self.on_host
        if isinstance(weight, Tensor):
            if self.weight is None:
                self.weight = torch.zeros_like(self.total)
            weight = weight.to(self.total)  # a product in the type of the loss would be rounded
            self.weight.add_(weight)
            self.total.add_(torch.where(weight > 0, weight * loss, 0.0))
            weight = 0.0
        elif weight:
            self.total.add_(loss, alpha=weight)
        self.on_host = before._replace(weight=before.weight + weight, batches=before.batches + 1)

    def read(self) -> LossSum:
        """Return the sums as numbers; waits for the device where a part of them lies there."""
        total, weight, batches = self.on_host
        total += 0.0 if self.total is None else self.total.item()
        weight += 0.0 if self.weight is None else self.weight.item()
        return LossSum(total, weight, batches)

    def state_dict(self) -> dict[str, Any]:
        """Return the sums as plain numbers; waits for the device."""
        return self.read()._asdict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over saved sums."""
        self.clear()
        self.on_host = LossSum(**state)


def number(value: Any, what: str) -> float:
    """Return a number, or the one element of an array of another library, as a float.

    Raises:
        ValueError: it is neither.

    Example:
        >>> import numpy
        >>> number(numpy.array([2.0]), "loss"), number(3, "loss")
        (2.0, 3.0)
    """
    if isinstance(value, float | int):
        return float(value)
    item, shape = getattr(value, "item", None), getattr(value, "shape", ())
    if callable(item) and math.prod(shape) == 1:
        value = item()
    if isinstance(value, Real):
        return float(value)
    got = f"one of shape {tuple(shape)}" if shape else f"{type(value).__name__} {value!r:.60}"
    raise ValueError(f"expected {what} to be a number or a tensor of one element, got {got}")


def check_scalar(value: Tensor, what: str) -> Tensor:
    """Return a tensor of one element as it is.

    Raises:
        ValueError: it has another number of elements, or is complex.
    """
    if value.numel() != 1:
        raise ValueError(f"expected a scalar {what}, got a tensor of shape {tuple(value.shape)}")
    if value.is_complex():
        raise ValueError(f"expected a real {what}, got a tensor of dtype {value.dtype}")
    return value


def widest(device: torch.device) -> torch.dtype:
    """Return the widest floating type of a device."""
    return torch.float32 if device.type == "mps" else torch.float64
