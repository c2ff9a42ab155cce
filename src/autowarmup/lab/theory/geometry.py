"""Norms of points of one shape, for many points side by side: norm, dual norm, lmo, in float64.

`autowarmup.norms` has them for torch parameters, one tensor at a time; here a point is the last
`ndim` axes of an array and everything before is a batch. The polar factor is that of `norms`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from autowarmup.norms.polar import newton_schulz, polar_exact

Floats = NDArray[np.float64]
Name = Literal["l2", "linf", "spectral"]
NAMES: tuple[Name, ...] = ("l2", "linf", "spectral")


@dataclass(frozen=True)
class Geometry:
    """A norm on points with `ndim` axes, 1 for vectors and 2 for matrices.

    "l2" (Frobenius) is its own dual; "linf" has the dual l1, "spectral" the nuclear norm.

    Raises:
        ValueError: an unknown name, or the spectral norm of something that is no matrix.

    Example:
        >>> g = np.array([[3.0, -4.0]])
        >>> linf = Geometry("linf", 1)
        >>> linf.norm(g), linf.dual(g), linf.lmo(g)
        (array([4.]), array([7.]), array([[ 1., -1.]]))
    """

    name: Name
    ndim: int

    def __post_init__(self) -> None:
        if self.name not in NAMES:
            raise ValueError(f"expected a norm among {', '.join(NAMES)}, got {self.name!r}")
        if self.name == "spectral" and self.ndim != 2:
            raise ValueError(f"the spectral norm needs matrices: expected 2 axes, got {self.ndim}")

    @property
    def axes(self) -> tuple[int, ...]:
        """The axes of a point."""
        return tuple(range(-self.ndim, 0))

    def inner(self, x: Floats, y: Floats) -> Floats:
        """Return <x, y>, one number per point."""
        return np.sum(x * y, axis=self.axes)

    def norm(self, x: Floats) -> Floats:
        """Return the norm of each point."""
        if self.name == "linf":
            return np.max(np.abs(x), axis=self.axes)
        if self.name == "spectral":
            return np.linalg.svd(x, compute_uv=False)[..., 0].astype(float, copy=False)
        return np.sqrt(self.inner(x, x))

    def dual(self, g: Floats) -> Floats:
        """Return the dual norm of each gradient."""
        if self.name == "linf":
            return np.sum(np.abs(g), axis=self.axes)
        if self.name == "spectral":
            return np.linalg.svd(g, compute_uv=False).sum(-1)
        return np.sqrt(self.inner(g, g))

    def lmo(self, g: Floats, *, exact: bool = True) -> Floats:
        """Return u with norm <= 1 and <g, u> = dual(g); 0 for g = 0.

        With `exact=False` the spectral norm takes five steps of Newton-Schulz, as Muon does: then u
        has singular values between about 0.7 and 1.2.
        """
        if self.name == "linf":
            return np.sign(g)
        if self.name == "spectral":
            tensor = torch.from_numpy(np.ascontiguousarray(g))
            found = polar_exact(tensor) if exact else newton_schulz(tensor, dtype=torch.float64)
            return found.numpy()
        length = self.expand(self.dual(g))
        return np.divide(g, length, out=np.zeros_like(g), where=length > 0)

    def expand(self, scalars: Floats) -> Floats:
        """Return one number per point in a shape that multiplies points."""
        return np.reshape(scalars, (*np.shape(scalars), *(1,) * self.ndim))


def bisect(
    above: Callable[[Floats], NDArray[np.bool_]], low: Floats, high: Floats, rounds: int
) -> Floats:
    """Return the lower end of the interval, halved so often, at whose upper end `above` holds."""
    for _ in range(rounds):
        middle = (low + high) / 2
        beyond = above(middle)
        low, high = np.where(beyond, low, middle), np.where(beyond, middle, high)
    return low
