"""`Agreement`: losses in, one number an update out, the same one in every process."""

from __future__ import annotations

import operator
from collections import deque
from typing import Any

import torch
from torch import Tensor

from autowarmup.agreement.arrival import Seen, Slot, agreed
from autowarmup.agreement.buffer import LossBuffer, single
from autowarmup.agreement.group import Group, check_option, resolve
from autowarmup.agreement.reduction import Reduction, reduction


class Agreement:
    """Collects the losses of an update and hands over what all processes agreed on.

    Args:
        process_group: who agrees: `None` for all processes, a group or a mesh of one dimension, or
            `False` where losses are agreed on before they come here.
        reduce: "mean", "sum", "mean_of_sums", or a callable that gets a list of `Part`.
        lag: updates by which the loss comes late; 0 waits for it.

    Example:
        >>> agreement = Agreement(lag=1)
        >>> for loss in (4.0, 3.0):
        ...     print(agreement.next(loss))
        Seen(loss=None, skipped=False)
        Seen(loss=4.0, skipped=False)
    """

    def __init__(
        self, process_group: Any = None, reduce: str | Reduction = "mean", lag: int = 0
    ) -> None:
        check_option(process_group)
        self.reduce = reduction(reduce)
        self.lag = _whole(lag)
        self.buffer = LossBuffer(stays=self.lag > 0)
        self.pending: deque[Seen | Slot] = deque()
        self._option = process_group
        self._group: Group | None = None
        self._resolved = False
        self._slots: list[Slot | None] = [None] * (self.lag + 1)
        self._turn = 0
        self._plain = reduce == "mean" and self.lag == 0

    @property
    def waits(self) -> int:
        """How often the host had to wait for a number that was still on its way."""
        couriers = [slot.courier for slot in self._slots if slot is not None]
        return sum(courier.waits for courier in couriers if courier is not None)

    @property
    def group(self) -> Group | None:
        """The processes to agree with; looked for at the first update, not before."""
        if not self._resolved:
            self._group = resolve(self._option)
            self._resolved = True
            self._plain = self._plain and self._group is None
        return self._group

    def next(
        self,
        loss: float | Tensor | None = None,
        weight: float | Tensor = 1.0,
        *,
        needed: bool = True,
        overflow: Tensor | None = None,
    ) -> Seen:
        """End an update and return what is known by now: of this one, or of the one `lag` before.

        Args:
            loss: one more loss of this update.
            weight: its weight.
            needed: where it is false nobody is asked, and a loss that lies on a device is dropped.
            overflow: above 0 on its device if the update was thrown away.
        """
        buffer = self.buffer
        if self._plain and self._resolved and type(weight) is float and weight == 1.0:
            # One CPU and one batch an update: most loops, at every step.
            if type(loss) is float and not buffer.known.batches:
                return Seen(loss)
            if isinstance(loss, Tensor) and loss.is_cpu and not buffer.known.batches:
                return Seen(single(loss, "loss").item())
        if loss is not None:
            buffer.add(loss, weight)
        self.pending.append(self._on_its_way(needed, overflow))
        buffer.clear()
        if len(self.pending) <= self.lag:
            return Seen()
        return self._read(self.pending.popleft())

    def _on_its_way(self, needed: bool, overflow: Tensor | None) -> Seen | Slot:
        group, buffer = self.group, self.buffer
        if not needed and (group is not None or buffer.device is not None):
            buffer.clear()
            group = None
        if group is None and buffer.device is None and overflow is None:
            return Seen(agreed([buffer.read()], self.reduce))
        slot = self._slot(group, self._place(group, overflow))
        slot.send(buffer, overflow, wait=self.lag == 0)
        return slot

    def _place(self, group: Group | None, overflow: Tensor | None) -> torch.device:
        """Return where to put an update together: on the accelerator if anything lies there."""
        if group is not None:
            return group.device
        lie = [self.buffer.device, None if overflow is None else overflow.device]
        devices = [device for device in lie if device is not None]
        assert devices, "something lies on a device here"
        return next((device for device in devices if device.type != "cpu"), devices[0])

    def _slot(self, group: Group | None, device: torch.device) -> Slot:
        """Return the slot whose turn it is: one more than can be on the way."""
        self._turn = (self._turn + 1) % len(self._slots)
        slot = self._slots[self._turn]
        if slot is None or slot.group is not group or slot.message.device != device:
            slot = self._slots[self._turn] = Slot(group, device)
        return slot

    def _read(self, sent: Seen | Slot) -> Seen:
        if isinstance(sent, Seen):
            return sent
        rows = sent.read()
        return Seen(
            agreed([part for part, _ in rows], self.reduce), all(skipped for _, skipped in rows)
        )

    def average(self, numbers: list[float]) -> list[float]:
        """Return the mean of each number over all processes; waits for all of them."""
        if self.group is None:
            return list(numbers)
        rows = self.group.gather_numbers(numbers)
        return [sum(column) / len(rows) for column in zip(*rows, strict=True)]

    def state_dict(self) -> dict[str, Any]:
        """Return plain numbers; waits for what is on the way."""
        return {
            "lag": self.lag,
            "buffer": self.buffer.state_dict(),
            "pending": [list(self._read(sent)) for sent in self.pending],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over a saved state, its lag included."""
        self.lag = _whole(state["lag"])
        self._plain = self._plain and self.lag == 0
        self.buffer = LossBuffer(stays=self.lag > 0)
        self.buffer.load_state_dict(state["buffer"])
        self.pending = deque(Seen(*each) for each in state["pending"])
        self._slots[:] = [None] * (self.lag + 1)
        self._turn = 0


def _whole(lag: Any) -> int:
    try:
        value = operator.index(lag)
    except TypeError:
        value = -1
    if value < 0:
        raise ValueError(f"expected lag to be a whole number of updates >= 0, got {lag!r}")
    return value
