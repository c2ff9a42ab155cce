"""The rates of optimizers: who holds them, what their peaks are, how they are written."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.optim import Optimizer


def as_list(optimizer: Optimizer | Sequence[Optimizer]) -> list[Optimizer]:
    """Return the optimizers themselves, without the wrappers that frameworks put around them.

    Raises:
        ValueError: something that is no torch optimizer, nothing at all, or a parameter group
            without a rate.
    """
    given = [optimizer] if isinstance(optimizer, Optimizer) else list(optimizer)
    optimizers = [_unwrapped(each) for each in given]
    for each in optimizers:
        if not isinstance(each, Optimizer):
            raise ValueError(
                f"expected a torch optimizer or a list of them, got {type(each).__name__}"
            )
        without = [number for number, group in enumerate(each.param_groups) if "lr" not in group]
        if without or not each.param_groups:
            got = f"none in group {without[0]}" if without else "no groups"
            raise ValueError(
                "expected an 'lr' that can be set in every parameter group, "
                f"got {got} of {type(each).__name__}, which owns its rates; pass the optimizers "
                "inside it that have one"
            )
    if not optimizers:
        raise ValueError("expected at least one optimizer, got an empty list")
    return optimizers


def _unwrapped(optimizer: Optimizer) -> Optimizer:
    """Return what a wrapper steps: Accelerate's never calls the hooks of a step itself."""
    inner = getattr(optimizer, "optimizer", None)
    return _unwrapped(inner) if isinstance(inner, Optimizer) else optimizer


def on_accelerator(optimizers: Sequence[Optimizer]) -> bool:
    """Return whether any parameter lies on a device that runs beside the host."""
    kinds = {p.device.type for o in optimizers for g in o.param_groups for p in g["params"]}
    return bool(kinds - {"cpu", "meta"})


def peaks_of(optimizers: Sequence[Optimizer]) -> list[list[float]]:
    """Return the rates of all groups as they are now, per optimizer."""
    return [[float(group["lr"]) for group in o.param_groups] for o in optimizers]


def write(optimizers: Sequence[Optimizer], peaks: Sequence[list[float]], factor: float) -> None:
    """Set every rate to its peak times the factor; a group added since brings its own peak.

    A tensor is filled in place and stays the same object: torch.compile and CUDA graphs rely on it.
    Groups are looked up each time, because `Optimizer.load_state_dict` replaces them.
    """
    for optimizer, known in zip(optimizers, peaks):  # noqa: B905 - strict costs, every step
        groups = optimizer.param_groups
        while len(known) < len(groups):
            added = groups[len(known)]
            known.append(float(added["lr"]))
            added["initial_lr"] = known[-1]
        for group, peak in zip(groups, known):  # noqa: B905
            # The type first: isinstance with Tensor is slow.
            if type(group["lr"]) is float or not isinstance(group["lr"], Tensor):
                group["lr"] = peak * factor
            else:
                group["lr"].fill_(peak * factor)
