"""Steps on sharded parameters beside the same steps on whole ones; run as a script.

Four processes and sizes that four does not divide, so that shards are uneven and some are empty.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import torch
import torch._dynamo  # before the fork: the first optimizer of each process would import it
from torch import distributed, nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.tensor import DTensor, Replicate, Shard, distribute_tensor

from autowarmup.norms import LMOOptimizer

SHAPES = [(6, 5), (6, 5), (4, 8), (2, 7), (7,), (400, 700)]
PAGE = Path(__file__).parents[2] / "docs" / "add-a-norm.md"
OUTSIDE: dict[str, Any] = {"__name__": "page"}
CODE = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)[0]
exec(compile(CODE, PAGE.name, "exec", dont_inherit=True), OUTSIDE)
CASES = [
    (norm, style)
    for norm in ("linf", "frobenius", "spectral", "adamw")
    for style in ("nesterov", "lion", "none")
    if norm != "adamw" or style == "none"
] + [("rows", "nesterov")]


def draw(shape: tuple[int, ...], seed: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def share(x: torch.Tensor, mesh: DeviceMesh, placements: list) -> DTensor:
    """Shard what every process holds already: nothing is sent."""
    return distribute_tensor(x, mesh, placements, src_data_rank=None)


def build(params: list[nn.Parameter], norm: str, style: str) -> LMOOptimizer:
    scale = "match_rms_adamw" if norm == "spectral" else "none"
    chosen = OUTSIDE["RowNorm"]() if norm == "rows" else norm
    return LMOOptimizer(
        params, lr=0.02, norm=chosen, momentum_style=style, weight_decay=0.1, scale=scale
    )


def difference(
    norm: str, style: str, mesh: DeviceMesh, placements: list, dtype: torch.dtype = torch.float32
) -> float:
    """Return the largest difference between whole and gathered parameters after three steps."""
    shapes = SHAPES
    if norm in ("spectral", "rows"):  # matrices, and none that takes long
        shapes = [s for s in SHAPES if len(s) == 2 and s[0] < 400]
    whole = [nn.Parameter(draw(s, k).to(dtype)) for k, s in enumerate(shapes)]
    parts = [nn.Parameter(share(p.detach(), mesh, placements)) for p in whole]
    both = [build(whole, norm, style), build(parts, norm, style)]
    for step in range(3):
        for k, (p, part) in enumerate(zip(whole, parts, strict=True)):
            p.grad = draw(tuple(p.shape), 100 * (step + 1) + k).to(dtype)
            if k == 4 and step == 1:
                p.grad.zero_()
            part.grad = share(p.grad, mesh, placements)
        for optimizer in both:
            optimizer.step()
    held = [s[key] for s in both[1].state.values() for key in s.keys() - {"step"}]
    assert all(isinstance(x, DTensor) and x.dtype == torch.float32 for x in held)
    gathered = [part.full_tensor() for part in parts]
    assert all(
        largest(p, draw(s, k)) > 0.01 for k, (p, s) in enumerate(zip(whole, shapes, strict=True))
    )
    return max(largest(p, g) for p, g in zip(whole, gathered, strict=True))


def largest(x: torch.Tensor, y: torch.Tensor) -> float:
    return float((x.detach() - y.detach()).abs().max())


def work(rank: int) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo")
    line = init_device_mesh("cpu", (4,))
    found = {f"{n}/{s}": difference(n, s, line, [Shard(0)]) for n, s in CASES}
    found |= {
        f"{n}/bfloat16": difference(n, "nesterov", line, [Shard(0)], torch.bfloat16)
        for n in ("linf", "frobenius", "spectral", "adamw")
    }
    square = init_device_mesh("cpu", (2, 2))  # hybrid: shards within a row, a copy in the other
    found |= {
        f"{n}/hybrid": difference(n, "ema", square, [Replicate(), Shard(0)])
        for n in ("linf", "frobenius", "spectral")
    }
    if rank == 0:
        print(json.dumps(found))
    distributed.destroy_process_group()


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from ranks import fork_ranks

    raise SystemExit(max(map(abs, fork_ranks(4, work))))
