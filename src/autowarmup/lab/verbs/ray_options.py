"""The options of the commands that make many runs, on this machine or on a Ray cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from autowarmup.lab.bench.ray_pool import RayOptions


def ray_options(
    engine: str, address: str, cpus: int, gpus: float, memory: int, retries: int
) -> RayOptions | None:
    """Return where Ray runs jobs, `None` for this machine.

    Raises:
        ValueError: options of Ray for another engine, or out of range.
    """
    from autowarmup.lab.bench.ray_pool import RayOptions

    wanted = RayOptions(address, cpus, gpus, memory, retries)
    if engine == "ray":
        return wanted
    if wanted != RayOptions():
        raise ValueError("expected --engine ray with the options of Ray, got --engine local")
    return None
