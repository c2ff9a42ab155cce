"""On the way to the host: what was seen of an update, known at once or some updates later."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from autowarmup.agreement.buffer import LossBuffer, widest
from autowarmup.agreement.group import Group
from autowarmup.agreement.reduction import Part, Reduction

FIELDS = 4
"""Numbers that a process tells of an update: those of `Part`, and whether it was thrown away."""


class Seen(NamedTuple):
    """What the schedule gets to know of an update.

    Attributes:
        loss: the loss that all agreed on, `None` where nobody has one.
        skipped: mixed precision threw the update away.
    """

    loss: float | None = None
    skipped: bool = False


def agreed(parts: list[Part], reduce: Reduction) -> float | None:
    """Return the loss of an update from the parts of all processes; `None` if all are empty."""
    told = [part for part in parts if part.batches and part.weight]
    return float(reduce(told)) if told else None


class Slot:
    """One message of this process, what the others sent with it, and where the host reads it.

    Memory and views are made once: an update launches a few tiny kernels and allocates nothing.
    Reading goes through numpy and cannot wait for a device by accident.
    """

    def __init__(self, group: Group | None, device: torch.device) -> None:
        self.group = group
        self.message = torch.zeros(FIELDS, dtype=widest(device), device=device)
        self.fields = self.message.unbind()
        size = 1 if group is None else group.size
        self.gathered = self.message if group is None else self.message.new_empty(size * FIELDS)
        self.landed = self.gathered
        self.courier = None
        if device.type != "cpu":
            self.courier = courier_of(device)
            pinned = self.courier is not None
            self.landed = torch.empty(size * FIELDS, dtype=widest(device), pin_memory=pinned)
        self.view: Any = self.landed.numpy()
        self.work: Any = None

    @torch.no_grad()
    def send(self, buffer: LossBuffer, overflow: Tensor | None, *, wait: bool) -> None:
        """Write down this process's part and set it on its way, gathered with the others'."""
        total, weight, count, skipped = self.fields
        stays = self.courier is not None  # a copy into plain host memory has to be complete
        for field, known, more in zip(
            (total, weight, count), buffer.known, (buffer.total, buffer.weight, None), strict=True
        ):
            if more is None:
                field.fill_(known)
            else:
                field.copy_(more, non_blocking=stays)
                if known:
                    field.add_(known)
        if overflow is None:
            skipped.zero_()
        else:
            skipped.copy_(overflow, non_blocking=stays)
        if self.courier is not None:
            self.courier.carry(self)
        elif self.group is not None:
            self.work = self.group.gather(self.message, self.gathered, wait=wait)

    def read(self) -> list[tuple[Part, bool]]:
        """Return every process's part and whether it was skipped; waits if they are on the way."""
        if self.courier is not None:
            self.courier.wait()
        else:
            if self.work is not None:
                self.work.wait()
                self.work = None
            if self.landed is not self.gathered:  # a device without streams: wait for all of it
                self.landed.copy_(self.gathered)
        rows = self.view.reshape(-1, FIELDS).tolist()
        return [(Part(*row[:3]), row[3] > 0) for row in rows]


class Courier:
    """Carries a message off an accelerator on a stream of its own, beside the training."""

    def __init__(self, device: torch.device, stream: Any) -> None:
        self.module: Any = torch.get_device_module(device)
        self.stream, self.event, self.device = stream, self.module.Event(), device
        self.waits = 0

    def carry(self, slot: Slot) -> None:
        """Gather and copy once the training stream has written the message."""
        self.stream.wait_stream(self.module.current_stream(self.device))
        with self.module.stream(self.stream):
            if slot.group is not None:
                work = slot.group.gather(slot.message, slot.gathered, wait=False)
                work.wait()  # makes this stream wait, not the host
            slot.landed.copy_(slot.gathered, non_blocking=True)
            self.event.record(self.stream)

    def wait(self) -> None:
        """Wait until the copy has landed; a lag of one update makes that the rare case."""
        if not self.event.query():
            self.waits += 1
            self.event.synchronize()


_STREAMS: dict[torch.device, Any] = {}


def courier_of(device: torch.device) -> Courier | None:
    """Return a courier for a device that has streams and events."""
    module = torch.get_device_module(device)
    if not hasattr(module, "Stream") or not hasattr(module, "Event"):
        return None
    if device not in _STREAMS:
        _STREAMS[device] = module.Stream(device)
    return Courier(device, _STREAMS[device])
