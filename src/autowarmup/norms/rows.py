"""What a step reads and writes of one parameter, in a layout and a precision that it can rely on.

Layout: weight, gradient and state may lie in memory in any way (transposed, channels last, a column
of a larger tensor, a piece of a flat buffer). Operations of torch follow the strides, kernels that
run over raw memory do not; these get contiguous copies, which are written back.

Precision: a bfloat16 weight has 8 significant bits. A step that moves it by less than half of the
last one would be lost, and decay by 0.0025 is such a step. So arithmetic is in float32 at least,
the state of a 16-bit weight is float32, and `rest` keeps what its type has no room for: weight +
rest is the weight in float32. Without `masters` all is stored in the weight's own type, and every
step is rounded once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from autowarmup.norms.sharded import shard_of


class Row(NamedTuple):
    """One parameter, or a piece of one, and what belongs to it.

    Attributes:
        param: the parameter, which may be sharded; the others are this process's part.
        weight: the entries of the parameter, sharing memory with it.
        grad: its gradient.
        average: the momentum, or AdamW's first average; `None` for an optimizer without.
        square: AdamW's second average.
        step: AdamW's count of steps.
        rest: what the weight's type has no room for, float32.
    """

    param: Tensor
    weight: Tensor
    grad: Tensor
    average: Tensor | None
    square: Tensor | None
    step: Tensor | None
    rest: Tensor | None


def row_of(p: Tensor, state: dict[str, Any], group: Mapping[str, Any]) -> Row:
    """Return the row of a parameter that has a gradient, and begin its state where it has none.

    Raises:
        ValueError: a sparse gradient.
    """
    grad = p.grad
    if grad is None or grad.is_sparse:
        got = "none" if grad is None else f"a sparse one of shape {tuple(grad.shape)}"
        raise ValueError(f"expected dense gradients, got {got}")
    masters = group["masters"] and is_short(p)
    if group["norm"] == "adamw":
        names = ["exp_avg", "exp_avg_sq"]
        # Kernels of a GPU count on the GPU; on a CPU the count is one wherever the weight is.
        device = p.device if p.is_cuda else torch.device("cpu")
        step = state.get("step")
        state["step"] = (
            torch.zeros((), dtype=torch.float32, device=device) if step is None else step.to(device)
        )
    else:
        names = [] if group["momentum_style"] == "none" else ["momentum_buffer"]
    for name in names + ["rest"] * masters:
        if name not in state:
            state[name] = torch.zeros_like(p, dtype=torch.float32 if masters else None)
        elif masters and is_short(state[name]):  # of a run without them
            state[name] = state[name].to(torch.float32)
    held = [shard_of(state[name]) for name in names] + [None, None]
    rest = shard_of(state["rest"]) if masters else None
    return Row(p, shard_of(p), shard_of(grad), held[0], held[1], state.get("step"), rest)


def is_short(x: Tensor) -> bool:
    """Whether the type has fewer bits than float32."""
    return x.dtype.itemsize < 4


def opened(rows: Iterable[Row]) -> list[tuple[Tensor, Tensor, Tensor | None]]:
    """Return weight, gradient and average of each row in float32 at least.

    What has the precision already is the stored tensor itself.
    """
    return [_opened(row) for row in rows]


def close(row: Row, weight: Tensor, average: Tensor | None) -> None:
    """Write back what `opened` had to convert."""
    if weight is not row.weight:
        row.weight.copy_(weight)
        if row.rest is not None:
            torch.sub(weight, row.weight, out=row.rest)
    if average is not row.average and average is not None and row.average is not None:
        row.average.copy_(average)


def in_parts(rows: list[Row], most: int) -> Iterator[list[Row]]:
    """Yield runs of rows with at most this many entries together, or one row."""
    part: list[Row] = []
    size = 0
    for row in rows:
        if part and size + row.weight.numel() > most:
            yield part
            part, size = [], 0
        part.append(row)
        size += row.weight.numel()
    if part:
        yield part


def is_plain(row: Row) -> bool:
    """Whether a kernel that runs over raw memory may have the stored tensors themselves."""
    stored = [x for x in (row.weight, row.grad, row.average, row.square) if x is not None]
    return not is_short(row.weight) and all(
        x.is_contiguous() and x.dtype == row.weight.dtype for x in stored
    )


def own_memory(value: Tensor) -> Tensor:
    """Return the tensor, or a copy where several of its entries may share memory (`expand`)."""
    return value.contiguous() if is_expanded(value) else value


def is_expanded(x: Tensor) -> bool:
    """Whether several entries lie in one place, as `expand` makes them."""
    return any(size > 1 and stride == 0 for size, stride in zip(x.shape, x.stride(), strict=True))


def _opened(row: Row) -> tuple[Tensor, Tensor, Tensor | None]:
    weight = _weight(row)
    average = None if row.average is None else row.average.to(weight.dtype)
    return weight, row.grad.to(weight.dtype), average


def _weight(row: Row) -> Tensor:
    if not is_short(row.weight):
        return row.weight
    weight = row.weight.to(torch.float32)
    if row.rest is None:
        return weight
    # Whoever wrote to the weight since (a mask, a checkpoint, an average) meant what he wrote.
    whole = weight + row.rest
    return torch.where(whole.to(row.weight.dtype) == row.weight, whole, weight)
