"""Parameters in shards (FSDP2): spread over the processes, gathered, laid out again."""

from __future__ import annotations

from typing import Any

import torch

from autowarmup.lab.train.processes import count
from autowarmup.norms.sharded import is_sharded


def shard(model: Any, device: torch.device) -> None:
    """Spread the parameters of a `LlamaForCausalLM` over all processes, block by block."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh(device.type, (count(),))
    model.to(device)
    for block in model.model.layers:  # gathered one at a time, just before its turn
        fully_shard(block, mesh=mesh)
    fully_shard(model, mesh=mesh)


def whole(value: Any, *, keep: bool = True) -> Any:
    """Return a nested state with every sharded tensor gathered; collective if there is any.

    Where `keep` is false, this process only helps the others: nothing is kept here.
    """
    if isinstance(value, dict):
        return {key: whole(item, keep=keep) for key, item in value.items()}
    if isinstance(value, list):
        return [whole(item, keep=keep) for item in value]
    if isinstance(value, torch.Tensor) and is_sharded(value):
        gathered = value.full_tensor()  # pyright: ignore[reportAttributeAccessIssue]
        return gathered.detach().cpu() if keep else None
    return value


def laid_out_like(value: torch.Tensor, pattern: torch.Tensor) -> torch.Tensor:
    """Return a whole tensor as the one it will replace: in shards if that is."""
    if not is_sharded(pattern):
        return value
    from torch.distributed.tensor import DTensor, distribute_tensor

    assert isinstance(pattern, DTensor)
    mesh, placements = pattern.device_mesh, pattern.placements
    # Every process has the whole tensor, so none needs to be sent any.
    return distribute_tensor(value.to(pattern.device), mesh, placements, src_data_rank=None)
