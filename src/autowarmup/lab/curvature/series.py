"""The points of a record as arrays, with the laws fitted to them; no drawing, no fitting."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from autowarmup.history import Point
from autowarmup.lab.report.numbers import number
from autowarmup.measure.law_fit import curve
from autowarmup.measure.points import paired_loss

Json = Mapping[str, Any]

MOST_DRAWN = 1200
"""Points that a figure shows at most; a page need not draw ten thousand."""


@dataclass(frozen=True)
class Series:
    """The finite values of one quantity, in the order of training; arrays of shape (n,)."""

    quantity: str
    step: np.ndarray
    value: np.ndarray
    gap: np.ndarray  # the one that the fit pairs with each value; nan where the loss was not finite
    lr: np.ndarray  # nan where it was not recorded
    inside: np.ndarray  # whether the value lies in the fitted window
    missing: int  # measured points whose value was not finite and is left out

    def __len__(self) -> int:
        return len(self.step)

    def where(self, mask: np.ndarray) -> Series:
        """Return the chosen points only."""
        arrays = (x[mask] for x in (self.step, self.value, self.gap, self.lr, self.inside))
        return Series(self.quantity, *arrays, missing=self.missing)

    def thinned(self, most: int = MOST_DRAWN) -> Series:
        """Return at most `most` points, evenly spaced."""
        stride = max(1, -(-len(self) // most))
        return self.where(np.arange(len(self)) % stride == 0)


def all_points(record: Json) -> list[Json]:
    """Return the measured points and those of the batches after them, in order of their steps."""
    points = [*record["points"], *record.get("next_points", [])]
    return sorted(points, key=lambda point: point["step"])


def series(record: Json, quantity: str | None = None) -> Series:
    """Return one quantity of a record; the main one where none is named."""
    quantity = quantity or str(record["main"])
    fit = record["quantities"].get(quantity, {})
    measured = [point for point in all_points(record) if quantity in point]
    kept = [point for point in measured if number(point[quantity]) is not None]
    pairing = fit.get("pairing", "max")
    gap = np.array([_loss(point, quantity, pairing) for point in kept]) - record["lower_bound"]
    step, inside = column(kept, "step"), np.zeros(len(kept), dtype=bool)
    if window := fit.get("window"):
        inside = (step >= window["first_step"]) & (step <= window["last_step"]) & (gap > 0)
    return Series(
        quantity,
        step,
        value=column(kept, quantity),
        gap=gap,
        lr=column(kept, "lr"),
        inside=inside,
        missing=len(measured) - len(kept),
    )


def column(points: list[Json], name: str) -> np.ndarray:
    """Return one field of every point, nan where it is missing or not finite."""
    found = [number(point.get(name)) for point in points]
    return np.array([math.nan if value is None else value for value in found], dtype=float)


def _loss(point: Json, quantity: str, pairing: str) -> float:
    """Return the loss that belongs to a value, as `fit_curvature` pairs them."""
    # JSON has no nan: null stands for a loss that was not finite.
    seen = {key: math.nan if value is None else value for key, value in point.items()}
    return paired_loss(Point.from_dict({"loss": math.nan, **seen}), quantity, pairing)


def laws(record: Json, quantity: str | None = None) -> list[Json]:
    """Return the laws fitted to a quantity (the main one), in the order of the record."""
    quantity = quantity or record["main"]
    return [law for law in record["fits"] if law["quantity"] == quantity]


def drawn_laws(record: Json) -> dict[str, Json]:
    """Return the law of each constraint that the figures show, for H the lines of paper B."""
    fixed = [law for law in laws(record) if not law.get("rho_searched")]
    straight = [law for law in fixed if "K_rho" not in law["terms"]]
    found: dict[str, Json] = {}
    for law in straight if straight and record["main"] == "H" else fixed:
        found.setdefault(law["constraint"], law)
    return found


def law_values(law: Json, gap: np.ndarray) -> np.ndarray:
    """Return K0 + K1 gap + K_rho gap^rho; a term that was not fitted is 0."""
    K0, K1, K_rho = (number(law.get(name)) or 0.0 for name in ("K0", "K1", "K_rho"))
    return curve(K0, K1, K_rho, number(law.get("rho")) or 2.0, gap)


def noise(record: Json) -> tuple[float, int] | None:
    """Return the median of K_noise / K and of how many points, `None` if not measured."""
    # K_noise belongs to the update before its point: that K is meant, else the K of the point.
    by_step = {point["step"]: number(point.get("K")) for point in all_points(record)}
    ratios = []
    for point in all_points(record):
        noise = number(point.get("K_noise"))
        curvature = by_step.get(point["step"] - 1) or by_step[point["step"]]
        if noise is not None and curvature is not None and curvature > 0:
            ratios.append(noise / curvature)
    return (float(np.median(ratios)), len(ratios)) if ratios else None


def trust_median(record: Json) -> float | None:
    """Return the median of the trust ratio, `None` where it was not measured."""
    ratios = column(record["points"], "trust_ratio")
    ratios = ratios[np.isfinite(ratios)]
    return float(np.median(ratios)) if len(ratios) else None


def ends(found: Series, count: int = 5) -> tuple[tuple[float, float], tuple[float, float]] | None:
    """Return (gap, value) at the beginning and at the end: medians of up to `count` points each."""
    usable = found.where(found.gap > 0)
    if len(usable) < 2:
        return None
    count = min(count, len(usable) // 2)
    first, last = (
        (float(np.median(usable.gap[part])), float(np.median(usable.value[part])))
        for part in (slice(0, count), slice(len(usable) - count, None))
    )
    return first, last


def gap_rose(found: Series) -> bool:
    """Return whether the gap was larger at the end than at the beginning."""
    between = ends(found)
    return between is not None and between[1][0] > between[0][0]
