"""Where a fleet trains: on the CPU, or with all tensors on one accelerator."""

from __future__ import annotations


def checked_device(device: str) -> str:
    """Return the device, which has to be there.

    Raises:
        ValueError: it is none of "cpu", "cuda", "cuda:0", ..., or this machine has none such.

    Example:
        >>> checked_device("cpu")
        'cpu'
    """
    kind, _, number = device.partition(":")
    if kind not in ("cpu", "cuda") or (number and (kind == "cpu" or not number.isdecimal())):
        raise ValueError(f"device: expected cpu, cuda or cuda:NUMBER, got {device!r}")
    if kind == "cuda":
        import torch

        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if int(number or 0) >= count:
            has = f"one with {count}" if count else "one without CUDA"
            raise ValueError(f"device: expected a machine that has {device}, got {has}")
    return device
