"""A step can be recorded in a CUDA graph: it never waits for the device and reads nothing there.

A machine without a device shows it twice. On the CPU every operation of a step is looked at: none
asks for a number. And on fake tensors that say they are on a device, the ways that only a device
takes are followed (the rate is a tensor there, counts are too), with shapes instead of numbers.
benchmarks/gpu_syncs.py records the graphs where there is a device.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from autowarmup.norms import Lion, Muon, NormalizedSGD, SignSGD, Signum, kernels

SHAPES = {"embed": (40, 16), "hidden.0": (16, 16), "hidden.1": (16, 24), "bias": (16,)}
LONG = {"long": (512, 768), "tall": (768, 512)}
KINDS: dict[str, Callable[..., Any]] = {
    "Muon": Muon,
    "Muon, polar express": lambda named: Muon(named, method="polar_express"),
    "Muon, three steps": lambda named: Muon(named, method="three_steps"),
    "Muon, kernels": lambda named: Muon(named, orthogonalize=kernels()),
    "Lion": Lion,
    "Signum": Signum,
    "signSGD": SignSGD,
    "NormalizedSGD": NormalizedSGD,
}


class Waits(TorchDispatchMode):
    """Writes down what makes the host wait: numbers that it reads, copies from the device."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        reads = func is torch.ops.aten._local_scalar_dense.default
        sources = {a.device.type for a in args if isinstance(a, torch.Tensor)}
        back = isinstance(result, torch.Tensor) and result.device.type == "cpu"
        if reads or (back and "cuda" in sources):
            self.seen.append(str(func))
        return result


def waits_of(
    make: Callable[..., Any], shapes: dict[str, Any], device: str, dtype: torch.dtype, rate: Any
) -> list[str]:
    """Take two steps; return what in the second of them made the host wait."""
    named = [
        (name, nn.Parameter(torch.zeros(shape, dtype=dtype, device=device)))
        for name, shape in shapes.items()
    ]
    optimizer = make(named)
    for group in optimizer.param_groups:
        group["lr"] = rate() if callable(rate) else rate
    for _, p in named:
        p.grad = torch.ones_like(p)
    optimizer.step()  # the first begins the state
    with Waits() as waits:
        optimizer.step()
    return waits.seen


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_step_reads_no_number(kind: str, dtype: torch.dtype) -> None:
    assert waits_of(KINDS[kind], {**SHAPES, **LONG}, "cpu", dtype, 0.1) == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rate", [0.1, lambda: torch.tensor(0.1, device="cuda")])
def test_a_step_on_a_device_reads_nothing_there(
    kind: str, rate: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    if kind.startswith("Muon") and not torch.cuda.is_available():
        # Without CUDA nothing can be written to given memory there, not even in pretence.
        monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device=None: (8, 0))
    with FakeTensorMode():
        assert waits_of(KINDS[kind], SHAPES, "cuda", torch.float32, rate) == []


def test_waiting_would_be_seen() -> None:
    class Reads(torch.optim.SGD):
        def step(self, closure: Any = None) -> None:
            if self.param_groups[0]["params"][0].sum() > 0:
                float(self.param_groups[0]["lr"])

    seen = waits_of(Reads, SHAPES, "cpu", torch.float32, torch.tensor(0.1))
    assert set(seen) == {"aten._local_scalar_dense.default"}
