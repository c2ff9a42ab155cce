"""Steps on parameters that lie in shards over several processes (DTensor, as FSDP2 makes them).

Momentum, decay and the move act entry by entry, so each process does them on its own shard. Only
the lmo may need the whole block:

    l_inf       the sign looks at one entry: the shard is enough
    Frobenius   the sum of squares runs over all shards: one small all-reduce for all blocks
    spectral    the polar factor mixes all entries: the direction is gathered, every process
                computes the same factor of the whole matrix and keeps its shard of it

so that a step equals that of the whole parameter; bit for bit but for the order in which the
Frobenius norm is summed.
"""

# torch has its grouped ("foreach") operations under private names only.
# pyright: reportPrivateImportUsage=false
from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Sequence

import torch
from torch import Tensor, distributed

from autowarmup.norms.elementwise import Frobenius, LInf
from autowarmup.norms.norm import Norm


def is_sharded(x: Tensor) -> bool:
    """Say whether this is a DTensor, without loading what makes them."""
    module = sys.modules.get("torch.distributed.tensor")
    return module is not None and isinstance(x, module.DTensor)


def shard_of(x: Tensor) -> Tensor:
    """Return the part of a DTensor that this process holds, sharing memory; else `x` itself.

    The part of a process that holds nothing has no entries.
    """
    return x.to_local() if is_sharded(x) else x  # pyright: ignore[reportAttributeAccessIssue]


def shards_of(xs: Sequence[Tensor]) -> list[Tensor]:
    """Return `shard_of` each."""
    return [shard_of(x) for x in xs]


def lmo_of_shards(norm: Norm, shards: list[Tensor], params: Sequence[Tensor]) -> list[Tensor]:
    """Return this process's shards of the lmo of each whole block.

    Collective unless the norm is l_inf: every process of the mesh calls it for the same blocks.

    Args:
        norm: the norm whose lmo is wanted.
        shards: the local part of each direction.
        params: the parameters, which know how the blocks are laid out; plain ones are whole.
    """
    if isinstance(norm, LInf) or not any(is_sharded(p) for p in params):
        return norm.lmo_many(shards)
    if isinstance(norm, Frobenius):
        return _divided_by_whole_norm(shards, params)
    return _through_whole_blocks(norm, shards, params)


def _divided_by_whole_norm(shards: list[Tensor], params: Sequence[Tensor]) -> list[Tensor]:
    squares = torch.stack(list(torch._foreach_norm(shards))).double().square()
    layouts: defaultdict[object, list[int]] = defaultdict(list)
    for index, p in enumerate(params):
        if is_sharded(p):
            layouts[p.device_mesh, p.placements].append(index)  # pyright: ignore[reportAttributeAccessIssue]
    for (mesh, placements), indices in layouts.items():  # pyright: ignore[reportGeneralTypeIssues]
        part = squares[indices]
        for dimension, placement in enumerate(placements):
            if placement.is_shard():  # replicas hold the same and would be counted twice
                distributed.all_reduce(part, group=mesh.get_group(dimension))
        squares[indices] = part
    kind = shards[0].dtype
    # The floor is that of `Frobenius.lmo_many`.
    norms = squares.sqrt().to(kind).clamp_min(torch.finfo(kind).tiny ** 0.5)
    return list(torch._foreach_div(shards, list(norms.unbind())))


def _through_whole_blocks(
    norm: Norm, shards: list[Tensor], params: Sequence[Tensor]
) -> list[Tensor]:
    from torch.distributed.tensor import DTensor, distribute_tensor

    whole = []
    for shard, p in zip(shards, params, strict=True):
        if isinstance(p, DTensor):
            shard = DTensor.from_local(
                shard, p.device_mesh, p.placements, shape=p.shape, stride=p.stride()
            ).full_tensor()
        whole.append(shard)
    updates = norm.lmo_many(whole)
    return [
        # Every process has the whole update: nothing is sent, each cuts out its own shard.
        distribute_tensor(update, p.device_mesh, p.placements, src_data_rank=None).to_local()
        if isinstance(p, DTensor)
        else update
        for update, p in zip(updates, params, strict=True)
    ]
