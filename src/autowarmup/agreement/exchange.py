"""The loss sums of an update on their way: to the other processes, and to the host."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from autowarmup.agreement.buffer import LossBuffer, widest
from autowarmup.agreement.group import Group
from autowarmup.agreement.reduction import LossSum

FIELDS = 4
"""Numbers that a process sends: those of `LossSum`, and whether the update was thrown away."""


class Exchange:
    """The message of this process, what the others sent with it, and where the host reads them.

    Memory and views are made once: an update launches a few tiny kernels and allocates nothing.
    Reading goes through numpy and cannot wait for a device by accident.

    Args:
        group: the processes to exchange with; `None` only brings the numbers to the host.
        device: where the message is put together.
    """

    def __init__(self, group: Group | None, device: torch.device) -> None:
        self.group = group
        self.message = torch.zeros(FIELDS, dtype=widest(device), device=device)
        self.fields = self.message.unbind()
        size = 1 if group is None else group.size
        self.gathered = self.message if group is None else self.message.new_empty(size * FIELDS)
        self.stream = None if device.type == "cpu" else copy_stream(device)
        self.landed = self.gathered
        if device.type != "cpu":
            pinned = self.stream is not None
            self.landed = torch.empty(size * FIELDS, dtype=widest(device), pin_memory=pinned)
        self.view: Any = self.landed.numpy()
        self.work: Any = None

    @property
    def waits(self) -> int:
        """How often the host had to wait for the copy."""
        return 0 if self.stream is None else self.stream.waits

    @torch.no_grad()
    def send(self, buffer: LossBuffer, overflow: Tensor | None, *, wait: bool) -> None:
        """Write down this process's sums and set them on their way."""
        stays = self.stream is not None  # a copy into plain host memory has to be complete
        on_device = (buffer.total, buffer.weight, None, overflow)
        for field, number, more in zip(self.fields, (*buffer.on_host, 0.0), on_device, strict=True):
            if more is None:
                field.fill_(number)
            else:
                field.copy_(more, non_blocking=stays)
                if number:
                    field.add_(number)
        if self.stream is not None:
            self.stream.carry(self)
        elif self.group is not None:
            self.work = self.group.gather(self.message, self.gathered, wait=wait)

    def read(self) -> tuple[list[LossSum], list[bool]]:
        """Return every process's sums, and whether it skipped; waits if they are on the way."""
        if self.stream is not None:
            self.stream.wait()
        else:
            if self.work is not None:
                self.work.wait()
                self.work = None
            if self.landed is not self.gathered:  # a device without streams: wait for all of it
                self.landed.copy_(self.gathered)
        rows = self.view.reshape(-1, FIELDS).tolist()
        return [LossSum(*row[:3]) for row in rows], [row[3] > 0 for row in rows]


class CopyStream:
    """Copies a message off an accelerator on a stream of its own, beside the training."""

    def __init__(self, device: torch.device, stream: Any) -> None:
        self.module: Any = torch.get_device_module(device)
        self.stream, self.event, self.device = stream, self.module.Event(), device
        self.waits = 0

    def carry(self, exchange: Exchange) -> None:
        """Gather and copy once the training stream has written the message."""
        self.stream.wait_stream(self.module.current_stream(self.device))
        with self.module.stream(self.stream):
            if exchange.group is not None:
                work = exchange.group.gather(exchange.message, exchange.gathered, wait=False)
                work.wait()  # makes this stream wait, not the host
            exchange.landed.copy_(exchange.gathered, non_blocking=True)
            self.event.record(self.stream)

    def wait(self) -> None:
        """Wait until the copy has landed; a lag of one update makes that the rare case."""
        if not self.event.query():
            self.waits += 1
            self.event.synchronize()


_STREAMS: dict[torch.device, Any] = {}


def copy_stream(device: torch.device) -> CopyStream | None:
    """Return what copies off a device that has streams and events; they share one stream."""
    module = torch.get_device_module(device)
    if not hasattr(module, "Stream") or not hasattr(module, "Event"):
        return None
    if device not in _STREAMS:
        _STREAMS[device] = module.Stream(device)
    return CopyStream(device, _STREAMS[device])
