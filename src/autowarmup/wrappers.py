"""Which optimizers make the steps: those that a user gives, or those inside what he gives.

Wrappers (Accelerate, SAM, Lookahead) hand the step on, and some never call the hooks of a step
themselves.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch.optim import Optimizer

INNER = ("optimizer", "base_optimizer", "inner_optimizer")
"""Where wrappers keep the one that makes the step."""


def as_list(optimizer: Any) -> list[Optimizer]:
    """Return the optimizers that make the steps, without wrappers around them.

    Args:
        optimizer: a torch optimizer, a wrapper of one, or several of either.

    Raises:
        ValueError: something that is no torch optimizer, nothing at all, or a parameter group
            without a rate.
    """
    several = isinstance(optimizer, Iterable) and not isinstance(optimizer, str | bytes | dict)
    given: list[Any] = list(optimizer) if several else [optimizer]
    optimizers = [_inside(each) for each in given]
    for each in optimizers:
        if not isinstance(each, Optimizer):
            raise ValueError(
                f"expected a torch optimizer or a list of them, got {_described(each)}"
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
    if len({id(each) for each in optimizers}) < len(optimizers):
        raise ValueError("expected every optimizer once, got one of them twice")
    return optimizers


def _inside(optimizer: Any) -> Any:
    """Return what makes the steps of an optimizer: itself, if it wraps none."""
    for name in INNER:
        inner = getattr(optimizer, name, None)
        if isinstance(inner, Optimizer) and inner is not optimizer:
            return _inside(inner)
    return optimizer


def _described(value: Any) -> str:
    return "None" if value is None else type(value).__name__
