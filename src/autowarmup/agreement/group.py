"""The processes that agree, and how their numbers are gathered.

Numbers are gathered, not reduced: every process then adds them in the same order, whatever the
algorithm of the backend, and any function of them can take the place of the mean.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


class Group:
    """Two processes or more that make the same updates.

    Attributes:
        size: number of processes.
        device: where a gathered tensor has to lie.
    """

    def __init__(self, handle: Any) -> None:
        self.handle = handle
        self.size: int = dist.get_world_size(handle)
        self.device = _device_of(handle)

    def gather(self, message: Tensor, into: Tensor, *, wait: bool) -> Any:
        """Gather equal vectors of all processes into one; return what can be waited for."""
        # torch 2.13 gave the collective another name.
        gather = getattr(dist, "all_gather_single", None) or dist.all_gather_into_tensor
        return gather(into, message, group=self.handle, async_op=not wait)

    def gather_numbers(self, numbers: list[float]) -> list[list[float]]:
        """Return the numbers of every process, in the order of their ranks; waits for all."""
        message = torch.tensor(numbers, dtype=torch.float64, device=self.device)
        into = message.new_empty(self.size * len(numbers))
        self.gather(message, into, wait=True)
        return into.reshape(self.size, len(numbers)).tolist()


def check_process_group(process_group: Any) -> None:
    """Refuse what can be no process group.

    Raises:
        ValueError: neither `None`, `False`, a process group nor a device mesh of one dimension.
    """
    line = hasattr(process_group, "get_group") and getattr(process_group, "ndim", 0) == 1
    if process_group is None or process_group is False or (dist.is_available() and line):
        return
    if not dist.is_available() or not isinstance(process_group, dist.ProcessGroup):
        raise ValueError(
            "process_group: expected None (all processes), False (the losses are agreed on "
            "already), a torch.distributed.ProcessGroup or a DeviceMesh of one dimension, got "
            f"{process_group!r}"
        )


def find_group(process_group: Any) -> Group | None:
    """Return the processes to agree with, `None` where there are no others."""
    if process_group is False or not dist.is_available() or not dist.is_initialized():
        return None
    if process_group is not None and not isinstance(process_group, dist.ProcessGroup):
        process_group = process_group.get_group()
    handle = process_group or dist.group.WORLD
    return None if dist.get_world_size(handle) == 1 else Group(handle)


def _device_of(handle: Any) -> torch.device:
    """Return the CPU where the group can gather there, else the device of this process."""
    backends = dict(part.split(":") for part in str(dist.get_backend_config(handle)).split(","))
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    if accelerator is not None and backends.get(accelerator.type, "gloo") != "gloo":
        return torch.device(accelerator.type, torch.accelerator.current_device_index())
    return torch.device("cpu")
