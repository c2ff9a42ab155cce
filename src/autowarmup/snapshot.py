"""Setting back what trial steps and probes change between two steps of training.

They run the model's own code, which draws random numbers and moves the running statistics of
BatchNorm, and may step its optimizer. Every function here remembers something as it is now and
returns what sets it back, bit for bit; tensors stay the same objects.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

SetBack = Callable[[], None]


def remember_random(parameters: Iterable[Tensor]) -> SetBack:
    """Return what sets the random state back: of the CPU and of the parameters' devices."""
    devices = sorted({p.device.index or 0 for p in parameters if p.is_cuda})
    random, on_device = torch.get_rng_state(), [torch.cuda.get_rng_state(d) for d in devices]

    def set_back() -> None:
        torch.set_rng_state(random)
        for device, state in zip(devices, on_device, strict=True):
            torch.cuda.set_rng_state(state, device)

    return set_back


def remember_buffers(model: nn.Module) -> SetBack:
    """Return what sets the buffers of a model back.

    Example:
        >>> model = nn.BatchNorm1d(1)
        >>> set_back = remember_buffers(model)
        >>> _ = model(torch.tensor([[1.0], [3.0]]))
        >>> set_back()
        >>> model.running_mean
        tensor([0.])
    """
    held = [
        (module, name, buffer, buffer.clone())
        for module in model.modules()
        for name, buffer in module._buffers.items()
        if buffer is not None
    ]

    @torch.no_grad()
    def set_back() -> None:
        for module, name, buffer, value in held:
            module._buffers[name] = buffer  # a forward pass may have put another one there
            if 0 not in buffer.stride():  # an expanded one cannot be written to by anybody
                buffer.copy_(value)

    return set_back


def remember_optimizers(optimizers: Iterable[Optimizer]) -> SetBack:
    """Return what sets optimizers back: their state and the settings of their groups."""
    held = [
        (o, {key: _copy(values) for key, values in o.state.items()}, [*map(_copy, o.param_groups)])
        for o in optimizers
    ]

    def set_back() -> None:
        for optimizer, state, groups in held:
            for key in set(optimizer.state) - set(state):
                del optimizer.state[key]
            for key, saved in state.items():
                _write_back(optimizer.state[key], saved)
            for group, saved in zip(optimizer.param_groups, groups, strict=True):
                _write_back(group, saved)

    return set_back


def _copy(values: dict[str, Any]) -> dict[str, Any]:
    return {
        key: value.detach().clone() if isinstance(value, Tensor) else copy.deepcopy(value)
        for key, value in values.items()
        if key != "params"
    }


def _write_back(current: dict[str, Any], saved: dict[str, Any]) -> None:
    """Write `saved` back, into the same tensors where they still stand, and drop what is new."""
    for key in set(current) - {*saved, "params"}:
        del current[key]
    for key, value in saved.items():
        present = current.get(key)
        if not isinstance(value, Tensor):
            current[key] = copy.deepcopy(value)
        elif isinstance(present, Tensor) and present.shape == value.shape:
            present.detach().copy_(value)
        else:
            current[key] = value.clone()
