"""The arithmetic of a step: momentum, lmo, decay and move; and the AdamW step beside it."""

# torch has its grouped ("foreach") operations under private names only.
# pyright: reportPrivateImportUsage=false
from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.optim.adamw import adamw

from autowarmup.norms.norm import BATCH, Norm
from autowarmup.norms.rows import Row, close, in_parts, is_plain, opened

# Updates entry by entry on a CPU go through pieces of this many entries: those of parameter,
# gradient, momentum and update (4 x 512 KiB in float32) then stay in the second-level cache between
# the five or six operations, instead of passing through main memory each time.
_PIECE = 131072


def rate_of(group: Mapping[str, Any], rows: list[Row]) -> float | Tensor:
    """Return the rate of a group as a number, or as a 0-d tensor where reading it would wait.

    Reading a tensor on an accelerator stops the host until all work before is done; in a compiled
    step it would become a constant, and every new rate another compilation. A rate that lies on
    another device than some weight is read all the same.
    """
    lr = group["lr"]
    if isinstance(lr, Tensor):
        if torch.compiler.is_compiling():
            return lr.reshape(())
        if lr.device.type != "cpu" and all(row.weight.device == lr.device for row in rows):
            return lr.reshape(())
    return float(lr)


def move(group: Mapping[str, Any], norm: Norm, rows: list[Row]) -> None:
    """Take one step of the group: m, d <- momentum(m, g); x <- (1 - lr wd) x - lr scale lmo(d)."""
    rate, decay = rate_of(group, rows), group["weight_decay"]
    for batch in _batches(norm, rows):
        work = opened(batch)
        weights = [weight for weight, _, _ in work]
        averages = [average for _, _, average in work if average is not None]
        direction = _direction(group, [grad for _, grad, _ in work], averages)
        updates = norm.lmo_of_shards(direction, [row.param for row in batch])
        if decay:
            torch._foreach_mul_(weights, 1.0 - rate * decay)
        factor = -rate * _scale(group["scale"], batch[0].param)
        if isinstance(factor, Tensor):  # `alpha` takes numbers only
            updates = [u.to(w.dtype) for u, w in zip(updates, weights, strict=True)]
            torch._foreach_add_(weights, torch._foreach_mul(updates, factor))
        else:
            torch._foreach_add_(weights, updates, alpha=factor)
        for row, (weight, _, average) in zip(batch, work, strict=True):
            close(row, weight, average)


def adamw_step(group: Mapping[str, Any], rows: list[Row]) -> None:
    """Take one step of AdamW with torch's own kernels."""
    plain = [row for row in rows if is_plain(row)]
    if plain:
        _adamw(group, plain)
    # Other rows are computed on contiguous copies in float32, a few at a time.
    for part in in_parts([row for row in rows if not is_plain(row)], BATCH):
        copies = [
            row._replace(
                weight=weight.contiguous(),
                grad=grad.contiguous(),
                average=None if average is None else average.contiguous(),
                square=None if row.square is None else row.square.to(weight.dtype).contiguous(),
            )
            for row, (weight, grad, average) in zip(part, opened(part), strict=True)
        ]
        _adamw(group, copies)
        for row, copy in zip(part, copies, strict=True):
            close(row, copy.weight, copy.average)
            if row.square is not None and copy.square is not None:
                row.square.copy_(copy.square)


def _adamw(group: Mapping[str, Any], rows: list[Row]) -> None:
    rate = rate_of(group, rows)
    devices, compiling = {row.weight.device.type for row in rows}, torch.compiler.is_compiling()
    fused = devices <= {"cpu", "cuda"} and not compiling  # one pass over memory
    adamw(
        [row.weight for row in rows],
        [row.grad for row in rows],
        [row.average for row in rows if row.average is not None],
        [row.square for row in rows if row.square is not None],
        [],
        [row.step for row in rows if row.step is not None],
        fused=fused or None,
        foreach=True if compiling else None,
        capturable=compiling,  # reads neither the count nor the rate on the host
        amsgrad=False,
        beta1=group["betas"][0],
        beta2=group["betas"][1],
        lr=rate if fused or compiling else float(rate),
        weight_decay=group["weight_decay"],
        eps=group["eps"],
        maximize=False,
    )


def _direction(group: Mapping[str, Any], grads: list[Tensor], ms: list[Tensor]) -> list[Tensor]:
    """Update the momentum in place and return what the lmo sees (never changed by it)."""
    style, b = group["momentum_style"], group["momentum"]
    if style == "none":
        return grads
    if style == "lion":
        b1, b2 = group["betas"]
        direction = list(torch._foreach_mul(ms, b1))
        torch._foreach_add_(direction, grads, alpha=1.0 - b1)
        torch._foreach_mul_(ms, b2)
        torch._foreach_add_(ms, grads, alpha=1.0 - b2)
        return direction
    if style == "heavy_ball":
        torch._foreach_mul_(ms, b)
        torch._foreach_add_(ms, grads)
        return ms
    torch._foreach_lerp_(ms, grads, 1.0 - b)
    return ms if style == "ema" else list(torch._foreach_lerp(grads, ms, b))


def _batches(norm: Norm, rows: list[Row]) -> Iterator[list[Row]]:
    """Yield what is worth doing together: cache-sized pieces where entries are on their own."""
    on_cpu = all(row.param.device.type == "cpu" for row in rows)
    if norm.entrywise and on_cpu and not torch.compiler.is_compiling():
        for row in rows:
            for piece in _pieces(row):
                yield [piece]
        return
    for indices in norm.batches([row.param for row in rows]):
        yield [rows[index] for index in indices]


def _pieces(row: Row) -> list[Row]:
    parts = (row.weight, row.grad, row.average, row.rest)
    if row.weight.numel() <= _PIECE or not all(x is None or x.is_contiguous() for x in parts):
        return [row]
    # `detach` makes the pieces plain views, so that writing to them is writing to the parameter.
    cut = [None if x is None else x.detach().view(-1).split(_PIECE) for x in parts]
    return [
        Row(w, w, g, None if cut[2] is None else cut[2][k], None, None,
            None if cut[3] is None else cut[3][k])
        for k, (w, g) in enumerate(zip(cut[0] or (), cut[1] or (), strict=True))
    ]  # fmt: skip


def _scale(kind: str, p: Tensor) -> float:
    if kind == "none":
        return 1.0
    m, n = p.shape[0], math.prod(p.shape[1:])
    return 0.2 * math.sqrt(max(m, n)) if kind == "match_rms_adamw" else math.sqrt(max(1.0, m / n))
