"""The rates of optimizers: what their peaks are, which groups there are, how rates are written.

`initial_lr` is torch's word for the peak of a group: every scheduler of torch leaves it there and
scales `lr`. So it is the peak where it stands, and it is never overwritten.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from fractions import Fraction
from typing import Any
from weakref import WeakKeyDictionary

from torch import Tensor
from torch.optim import Optimizer

SIMPLE, OBVIOUS = 100, 10
"""Largest numerator and denominator of a ratio that somebody wrote down, and the product of both
below which nothing else is thought of."""


class Written:
    """What was last written into one optimizer: the peak of every group, and the share of it.

    Attributes:
        peaks: by group.
        factor: of all groups, or of the first, where `factors` says what the others have.
        factors: by group, empty where all have the same.
    """

    __slots__ = ("factor", "factors", "peaks")

    def __init__(self, peaks: list[float]) -> None:
        self.peaks = peaks
        self.factor = 1.0
        self.factors: list[float] = []

    def rate(self, number: int) -> float:
        """Return what was written into a group."""
        own = number < len(self.factors)
        return self.peaks[number] * (self.factors[number] if own else self.factor)


_LAST: WeakKeyDictionary[Optimizer, Written] = WeakKeyDictionary()
"""By optimizer, for a second scheduler: rates that the first one wrote are nobody's choice."""


class Rates:
    """Peak rates of all parameter groups, per optimizer, as floats.

    Groups that join an optimizer later are taken in by whatever is asked first.

    Args:
        optimizers: at least one.

    Example:
        >>> import torch
        >>> optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(2))], lr=0.5)
        >>> rates = Rates([optimizer])
        >>> rates.write(0.1)
        >>> rates.remember()
        >>> optimizer.param_groups[0]["lr"], Rates([optimizer]).peaks
        (0.05, [[0.5]])
    """

    def __init__(self, optimizers: Sequence[Optimizer]) -> None:
        self.optimizers = list(optimizers)
        unclear: list[str] = []
        self._known = [Written(_peaks(each, unclear)) for each in self.optimizers]
        if unclear:
            warnings.warn(
                f"{'; '.join(unclear)}. The peak rate is initial_lr, as for every scheduler of "
                "torch; delete initial_lr from the group if lr is meant",
                stacklevel=3,
            )

    @property
    def peaks(self) -> list[list[float]]:
        """The peak rates of all groups that there are now.

        Raises:
            ValueError: a group has vanished.
        """
        for optimizer, known in zip(self.optimizers, self._known, strict=True):
            if len(known.peaks) != len(optimizer.param_groups):
                _take_in(optimizer, known)
        return [known.peaks for known in self._known]

    @peaks.setter
    def peaks(self, peaks: Sequence[Sequence[float]]) -> None:
        for known, values in zip(self._known, peaks, strict=True):
            known.peaks = list(values)

    @property
    def first(self) -> float:
        """The peak rate of the first group that has one above 0: what is told of a run."""
        rates = [peak for known in self._known for peak in known.peaks]
        return next((peak for peak in rates if peak > 0.0), rates[0])

    def write(self, factor: float) -> None:
        """Set every rate to its peak times the factor; a group added since brings its own peak.

        A tensor is filled in place and stays the same object: torch.compile and CUDA graphs rely on
        it. Groups are looked up each time, because `Optimizer.load_state_dict` replaces them.
        """
        for optimizer, known in zip(self.optimizers, self._known):  # noqa: B905 - strict costs
            groups = optimizer.param_groups
            if len(groups) != len(known.peaks):
                _take_in(optimizer, known)
            known.factor = factor
            for group, peak in zip(groups, known.peaks):  # noqa: B905 - at every step
                # As `set_rate`, but the type first: isinstance with Tensor is slow.
                if type(group["lr"]) is float or not isinstance(group["lr"], Tensor):
                    group["lr"] = peak * factor
                else:
                    group["lr"].fill_(peak * factor)

    def write_each(self, factors: Sequence[Sequence[float]]) -> None:
        """Set every rate to its peak times a factor of its own: per optimizer, per group."""
        peaks = self.peaks
        for optimizer, known, own, shares in zip(
            self.optimizers, self._known, peaks, factors, strict=True
        ):
            known.factor, known.factors = shares[0], list(shares)
            for group, peak, share in zip(optimizer.param_groups, own, shares, strict=True):
                set_rate(group, peak * share)

    def remember(self) -> None:
        """Let a later scheduler of these optimizers know that their rates are scaled."""
        _LAST.update(zip(self.optimizers, self._known, strict=True))


def set_rate(group: dict[str, Any], rate: float) -> None:
    """Set the rate of a group; a tensor is filled in place and stays the same object."""
    if isinstance(group["lr"], Tensor):
        group["lr"].fill_(rate)
    else:
        group["lr"] = rate


def _peaks(optimizer: Optimizer, unclear: list[str]) -> list[float]:
    """Return the peak of every group; say where lr and initial_lr are two choices of the user.

    Raises:
        ValueError: a peak is no finite number.
    """
    peaks: list[float] = []
    last = _LAST.get(optimizer)
    for number, group in enumerate(optimizer.param_groups):
        lr = float(group["lr"])
        peak = float(group.setdefault("initial_lr", lr))
        if isinstance(group["lr"], Tensor) and group["initial_lr"] is group["lr"]:
            group["initial_lr"] = peak  # or it would be scaled along
        if not math.isfinite(peak):
            raise ValueError(
                f"expected finite peak rates, got {peak:g} in group {number} of "
                f"{type(optimizer).__name__}"
            )
        if last is not None and number < len(last.peaks):
            scaled = _same(lr, last.rate(number))
        else:  # what a scheduler of others has left, or a file
            scaled = lr <= peak
        if not (_same(lr, peak) or scaled):
            name = type(optimizer).__name__
            unclear.append(f"group {number} of {name} has lr={lr:g} and initial_lr={peak:g}")
        peaks.append(peak)
    return peaks


def _take_in(optimizer: Optimizer, known: Written) -> None:
    """Take in groups that joined.

    Raises:
        ValueError: one has vanished.
    """
    groups, peaks = optimizer.param_groups, known.peaks
    if len(groups) < len(peaks):
        raise ValueError(
            f"a parameter group has vanished from {type(optimizer).__name__}: expected the "
            f"{len(peaks)} that AdaptiveWarmup knows, got {len(groups)}; make a new AdaptiveWarmup "
            "after changing groups"
        )
    for number in range(len(peaks), len(groups)):
        group = groups[number]
        if "initial_lr" not in group:
            group["initial_lr"] = _joined(group["lr"], groups[: len(peaks)], known, number)
        peaks.append(float(group["initial_lr"]))


def _joined(lr: Any, groups: list[dict[str, Any]], known: Written, number: int) -> float:
    """Return the peak of a group that joins while rates are scaled.

    Its rate is its peak, unless it was taken from a rate that is scaled already: the same tensor,
    or a simple part of the rate in force (Lightning's BackboneFinetuning starts at a tenth of it).
    """
    for group, peak in zip(groups, known.peaks, strict=False):
        if isinstance(lr, Tensor) and group["lr"] is lr:
            return peak
    value = float(lr)
    to_peak = min(_terms(value, peak) for peak in known.peaks)
    to_scaled = min(_terms(value, known.rate(each)) for each in range(len(known.peaks)))
    if known.factor == 1.0 or to_peak <= OBVIOUS or to_scaled >= to_peak:
        return value
    peak = value / known.factor
    warnings.warn(
        f"group {number} joins with lr={value:g}, taken from a rate that stands at "
        f"{known.factor:.3g} of its peak: its peak rate is {peak:g}; give initial_lr with the "
        "group if another is meant",
        stacklevel=4,
    )
    return peak


def _same(one: float, other: float) -> bool:
    """Return whether two rates are equal as float32, the type of tensor rates."""
    return math.isclose(one, other, rel_tol=1e-6)


def _terms(value: float, of: float) -> float:
    """Return numerator times denominator of the ratio of two rates, infinity if it has no simple
    one: the smaller, the more likely somebody wrote it down."""
    if value <= 0.0 or of <= 0.0 or not 1 / SIMPLE <= value / of <= SIMPLE:
        return math.inf
    ratio = value / of
    near = Fraction(ratio).limit_denominator(SIMPLE)
    exact = math.isclose(float(near), ratio, rel_tol=1e-12)
    return near.numerator * near.denominator if exact else math.inf


def on_accelerator(optimizers: Sequence[Optimizer]) -> bool:
    """Return whether any parameter lies on a device that runs beside the host."""
    kinds = {p.device.type for o in optimizers for g in o.param_groups for p in g["params"]}
    return bool(kinds - {"cpu", "meta"})
