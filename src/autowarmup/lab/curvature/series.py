"""A record of measured points as arrays, with the laws fitted to them; no drawing, no fitting."""

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
    """The finite values of one quantity, in the order of training.

    Attributes:
        quantity: K, K_dir, K_next or H.
        step: step of each value, shape (n,), as is every array here.
        value: the measured values, all finite.
        gap: the gap that the fit pairs with each value; nan where the loss was not finite.
        lr: learning rate, nan where it was not recorded.
        inside: whether the value lies in the fitted window.
        missing: measured points whose value was not finite and is left out.
    """

    quantity: str
    step: np.ndarray
    value: np.ndarray
    gap: np.ndarray
    lr: np.ndarray
    inside: np.ndarray
    missing: int

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


def main_quantity(record: Json) -> str:
    """Return the quantity that the record is about: K for trained runs, H for objects."""
    if record.get("main"):
        return record["main"]
    return record["fits"][0]["quantity"] if record["fits"] else "K"


def all_points(record: Json) -> list[Json]:
    """Return the measured points and those of the batches after them, in order of their steps."""
    points = [*record["points"], *record.get("next_points", [])]
    return sorted(points, key=lambda point: point["step"])


def series(record: Json, quantity: str | None = None) -> Series:
    """Return one quantity of a record; the main one where none is named."""
    quantity = quantity or main_quantity(record)
    fit = record["quantities"].get(quantity, {})
    measured = [point for point in all_points(record) if quantity in point]
    kept = [point for point in measured if number(point[quantity]) is not None]
    step = np.array([point["step"] for point in kept], dtype=float)
    gap = np.array([_gap(p, quantity, record["f_star"], fit.get("pairing", "max")) for p in kept])
    window = fit.get("window")
    inside = np.zeros(len(kept), dtype=bool)
    if window:
        inside = (step >= window["first_step"]) & (step <= window["last_step"]) & (gap > 0)
    return Series(
        quantity,
        step,
        value=np.array([float(point[quantity]) for point in kept]),
        gap=gap.astype(float),
        lr=column(kept, "lr"),
        inside=inside,
        missing=len(measured) - len(kept),
    )


def column(points: list[Json], name: str) -> np.ndarray:
    """Return one field of every point, nan where it is missing or not finite."""
    return np.array([_float(point.get(name)) for point in points], dtype=float)


def _float(value: Any) -> float:
    found = number(value)
    return float("nan") if found is None else found


def _gap(point: Json, quantity: str, f_star: float, pairing: str) -> float:
    """Return the gap that belongs to a value, as `measure.fit` pairs them."""
    # JSON has no nan: null stands for a loss that was not finite.
    seen = {key: math.nan if value is None else value for key, value in point.items()}
    return paired_loss(Point.from_dict({"loss": math.nan, **seen}), quantity, pairing) - f_star


def laws(record: Json, quantity: str | None = None) -> list[Json]:
    """Return the laws fitted to a quantity, in the order of the record."""
    quantity = quantity or main_quantity(record)
    return [law for law in record["fits"] if law["quantity"] == quantity]


def drawn_laws(record: Json) -> dict[str, Json]:
    """Return the two laws that the figures show: constraint ("non_negative", "free") -> law.

    For the Hessian norm these are the straight lines H0 + H1 gap of paper B where they were
    fitted; otherwise the laws with the fixed exponent.
    """
    fixed = [law for law in laws(record) if not law.get("rho_searched")]
    straight = [law for law in fixed if "K_rho" not in law["terms"]]
    chosen = straight if straight and main_quantity(record) == "H" else fixed
    found: dict[str, Json] = {}
    for law in chosen:
        found.setdefault(law["constraint"], law)
    return found


def law_values(law: Json, gap: np.ndarray) -> np.ndarray:
    """Return K0 + K1 gap + K_rho gap^rho.

    Example:
        >>> law_values({"K0": 1.0, "K1": 2.0, "K_rho": 0.5, "rho": 2.0}, np.array([0.0, 2.0]))
        array([1., 7.])
    """
    K0, K1, K_rho = (number(law.get(name)) or 0.0 for name in ("K0", "K1", "K_rho"))
    return curve(K0, K1, K_rho, number(law.get("rho")) or 2.0, gap)


@dataclass(frozen=True)
class Noise:
    """Batch noise against curvature: the median of K_noise / K over `points` points."""

    ratio: float
    points: int


def noise(record: Json) -> Noise | None:
    """Return how many times the measured K batch noise alone would give, `None` if not measured.

    K_noise of a point belongs to the update before it: it is compared with the K of that update
    where it was measured, otherwise with the K of the point itself.
    """
    by_step = {point["step"]: number(point.get("K")) for point in all_points(record)}
    ratios = []
    for point in all_points(record):
        share = number(point.get("K_noise"))
        curvature = by_step.get(point["step"] - 1) or by_step[point["step"]]
        if share is not None and curvature is not None and curvature > 0:
            ratios.append(share / curvature)
    return Noise(float(np.median(ratios)), len(ratios)) if ratios else None


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
    first, last = slice(0, count), slice(len(usable) - count, None)
    pairs = [(float(np.median(usable.gap[s])), float(np.median(usable.value[s])))
             for s in (first, last)]  # fmt: skip
    return pairs[0], pairs[1]


def gap_rose(found: Series) -> bool:
    """Return whether the gap was larger at the end than at the beginning."""
    between = ends(found)
    return between is not None and between[1][0] > between[0][0]
