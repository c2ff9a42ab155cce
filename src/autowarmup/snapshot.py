"""What a forward pass changes besides its result, remembered so that it can be set back.

Trial steps and probes run the model's own code between two steps of training. They must change
neither the random numbers that training draws next nor the running statistics of BatchNorm.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn


def remember_random(parameters: Iterable[Tensor]) -> Callable[[], None]:
    """Return what sets the random state back: of the CPU and of the parameters' devices."""
    devices = sorted({p.device.index or 0 for p in parameters if p.is_cuda})
    random, on_device = torch.get_rng_state(), [torch.cuda.get_rng_state(d) for d in devices]

    def set_back() -> None:
        torch.set_rng_state(random)
        for device, state in zip(devices, on_device, strict=True):
            torch.cuda.set_rng_state(state, device)

    return set_back


def remember_buffers(model: nn.Module) -> Callable[[], None]:
    """Return what sets the buffers of a model back: the same tensors with the same values.

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
