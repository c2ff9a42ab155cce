"""`Agreement`: losses in, one number an update out, the same one in every process."""

from __future__ import annotations

import copy
import operator
from collections import deque
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor

from autowarmup.agreement.buffer import LossBuffer
from autowarmup.agreement.exchange import Exchange
from autowarmup.agreement.group import Group, check_process_group, find_group
from autowarmup.agreement.reduction import Reduction, reduced, reduction_of

_record: Any = tuple.__new__  # makes a NamedTuple in half the time of its class, at every step


class AgreedLoss(NamedTuple):
    """What all processes know of an update.

    Attributes:
        loss: the loss that they agreed on, `None` where nobody has one.
        skipped: whether mixed precision threw the update away.
    """

    loss: float | None = None
    skipped: bool = False


class Agreement:
    """Collects the losses of an update and hands over what all processes agreed on.

    Args:
        process_group: who agrees: `None` for all processes, a group or a mesh of one dimension, or
            `False` where losses are agreed on before they come here.
        reduce: "mean", "sum", "mean_of_sums", or a callable that gets a list of `LossSum`.
        lag: updates by which the loss comes late; 0 waits for it.

    Raises:
        ValueError: an argument that is none of these.

    Example:
        >>> agreement = Agreement(lag=1)
        >>> for loss in (4.0, 3.0):
        ...     print(agreement.end_update(loss))
        AgreedLoss(loss=None, skipped=False)
        AgreedLoss(loss=4.0, skipped=False)
    """

    def __init__(
        self, process_group: Any = None, reduce: str | Reduction = "mean", lag: int = 0
    ) -> None:
        check_process_group(process_group)
        self.reduce = reduction_of(reduce)
        self._process_group = process_group
        self._mean = reduce == "mean"
        self._alone = False  # not known before the first update
        self._restart(lag)

    def _restart(self, lag: Any) -> None:
        """Begin with nothing on its way."""
        self.lag = _whole(lag)
        self.buffer = LossBuffer(lazy=self.lag > 0)
        self.pending: deque[AgreedLoss | Exchange] = deque()
        self._exchanges: list[Exchange | None] = [None] * (self.lag + 1)
        self._turn = 0

    @property
    def waits(self) -> int:
        """How often the host had to wait for a number that was still on its way."""
        return sum(each.waits for each in self._exchanges if each is not None)

    @cached_property
    def group(self) -> Group | None:
        """The processes to agree with; looked for at the first update, not before."""
        group = find_group(self._process_group)
        self._alone = group is None
        return group

    def end_update(
        self,
        loss: float | Tensor | None = None,
        weight: float | Tensor = 1.0,
        *,
        needed: bool = True,
        overflow: Tensor | None = None,
    ) -> AgreedLoss:
        """End an update and return what is known by now: of this one, or of the one `lag` before.

        Args:
            loss: one more loss of this update.
            weight: its weight.
            needed: where it is false nobody is asked, and a loss that lies on a device is dropped.
            overflow: above 0 on its device if the update was thrown away.
        """
        buffer = self.buffer
        plain = self._alone and self._mean and not self.lag and not buffer.on_host.batches
        if plain and type(weight) is float and weight == 1.0:
            # One CPU and one batch an update: most loops, at every step.
            if type(loss) is float:
                return _record(AgreedLoss, (loss, False))
            if isinstance(loss, Tensor) and loss.is_cpu and loss.numel() == 1:
                return _record(AgreedLoss, (loss.item(), False))
        if loss is not None:
            buffer.add(loss, weight)
        self.pending.append(self._sent(needed, overflow))
        buffer.clear()
        return self._read(self.pending.popleft()) if len(self.pending) > self.lag else AgreedLoss()

    def _sent(self, needed: bool, overflow: Tensor | None) -> AgreedLoss | Exchange:
        group, buffer = self.group, self.buffer
        if not needed and (group is not None or buffer.total is not None):
            buffer.clear()
            group = None
        devices = [each.device for each in (buffer.total, overflow) if each is not None]
        devices = devices if group is None else [group.device]
        if not devices:
            return AgreedLoss(reduced([buffer.read()], self.reduce))
        # Put together on the accelerator if anything lies there.
        device = next((each for each in devices if each.type != "cpu"), devices[0])
        exchange = self._free_exchange(group, device)
        exchange.send(buffer, overflow, wait=self.lag == 0)
        return exchange

    def _free_exchange(self, group: Group | None, device: torch.device) -> Exchange:
        """Return the one whose turn it is: there is one more than can be on the way."""
        self._turn = (self._turn + 1) % len(self._exchanges)
        found = self._exchanges[self._turn]
        if found is None or found.group is not group or found.message.device != device:
            found = self._exchanges[self._turn] = Exchange(group, device)
        return found

    def _read(self, sent: AgreedLoss | Exchange) -> AgreedLoss:
        if isinstance(sent, AgreedLoss):
            return sent
        sums, skipped = sent.read()
        return AgreedLoss(reduced(sums, self.reduce), all(skipped))

    def average(self, numbers: list[float]) -> list[float]:
        """Return the mean of each number over all processes; waits for all of them."""
        if self.group is None:
            return list(numbers)
        rows = self.group.gather_numbers(numbers)
        return [sum(column) / len(rows) for column in zip(*rows, strict=True)]

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy needs: settings and numbers, nothing that is on its way."""
        return {
            "process_group": self._process_group,
            "reduce": self.reduce,
            "mean": self._mean,
            "state": self.state_dict(),
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._process_group, self.reduce = state["process_group"], state["reduce"]
        self._mean, self._alone = state["mean"], False
        self.load_state_dict(state["state"])

    def __deepcopy__(self, memo: dict[int, Any]) -> Agreement:
        """Return a copy that agrees with the same processes: a group of them cannot be copied."""
        made = copy.copy(self)
        memo[id(self)] = made
        return made

    def state_dict(self) -> dict[str, Any]:
        """Return plain numbers; waits for what is on the way."""
        return {
            "lag": self.lag,
            "buffer": self.buffer.state_dict(),
            "pending": [list(self._read(sent)) for sent in self.pending],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over a saved state, its lag included."""
        self._restart(state["lag"])
        self.buffer.load_state_dict(state["buffer"])
        self.pending = deque(AgreedLoss(*each) for each in state["pending"])


def _whole(lag: Any) -> int:
    if not hasattr(lag, "__index__") or operator.index(lag) < 0:
        raise ValueError(f"expected lag to be a whole number of updates >= 0, got {lag!r}")
    return operator.index(lag)
