"""Parameters that lie in shards over several processes (DTensor, as FSDP2 makes them).

Momentum, decay and the move act entry by entry, so each process does them on its own shard. Only
the lmo may need more, and its norm says what: nothing (l_inf looks at one entry), a sum over all
shards (Frobenius: one small all-reduce for all blocks), or the whole block (spectral: gathered in
every process). A step equals that of whole parameters, bit for bit but for the order in which the
Frobenius norm is summed.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from torch import Tensor, distributed


def is_sharded(x: Tensor) -> bool:
    """Whether this is a DTensor, without loading what makes them."""
    module = sys.modules.get("torch.distributed.tensor")
    return module is not None and isinstance(x, module.DTensor)


def shard_of(x: Tensor) -> Tensor:
    """Return the part of a DTensor that this process holds, sharing memory; else `x` itself.

    The part of a process that holds nothing has no entries.
    """
    return x.to_local() if is_sharded(x) else x  # pyright: ignore[reportAttributeAccessIssue]


def sum_over_shards(values: Tensor, params: Sequence[Tensor]) -> Tensor:
    """Return the sums over all shards of one value per parameter, shape (len(params),).

    Collective: one all-reduce per layout and mesh dimension that is sharded.
    """
    sums, layouts = values.clone(), defaultdict[Any, list[int]](list)
    for index, p in enumerate(params):
        if is_sharded(p):
            layouts[p.device_mesh, p.placements].append(index)  # pyright: ignore[reportAttributeAccessIssue]
    for (mesh, placements), indices in layouts.items():
        part = sums[indices]
        for dimension, placement in enumerate(placements):
            if placement.is_shard():  # replicas hold the same and would be counted twice
                distributed.all_reduce(part, group=mesh.get_group(dimension))
        sums[indices] = part
    return sums


def whole_blocks(shards: Sequence[Tensor], params: Sequence[Tensor]) -> list[Tensor]:
    """Return the whole block of each shard; collective."""
    from torch.distributed.tensor import DTensor

    return [
        DTensor.from_local(
            shard, p.device_mesh, p.placements, shape=p.shape, stride=p.stride()
        ).full_tensor()
        if isinstance(p, DTensor)
        else shard
        for shard, p in zip(shards, params, strict=True)
    ]


def own_shards(blocks: Sequence[Tensor], params: Sequence[Tensor]) -> list[Tensor]:
    """Return this process's shard of each whole block; nothing is sent."""
    from torch.distributed.tensor import DTensor, distribute_tensor

    return [
        distribute_tensor(block, p.device_mesh, p.placements, src_data_rank=None).to_local()
        if isinstance(p, DTensor)
        else block
        for block, p in zip(blocks, params, strict=True)
    ]
