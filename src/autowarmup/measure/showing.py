"""What an observer says of its measurements, and their picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from autowarmup.history import Trace
from autowarmup.measure.fit import CurvatureFit, fit_curvature
from autowarmup.picture import LAW, LOSS, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def observed(trace: Trace, updates: int, norm: str, lower_bound: float) -> str:
    """Return sentences: how much was measured, and what the curvature does as the gap falls."""
    measured = sum(point.K is not None for point in trace)
    said = f"Curvature was measured at {measured:,} of {updates:,} updates, in the norm {norm!r}."
    fit = _fit(trace, lower_bound)
    if isinstance(fit, str):
        return f"{said} Nothing can be said yet: {fit}."
    return f"{said} {fit.sentence}"


def draw_curvature(trace: Trace, lower_bound: float, axes: Axes | None) -> Axes:
    """Draw K over the gap, both logarithmic, and the law if there is one.

    Raises:
        ModuleNotFoundError: matplotlib is missing.
        ValueError: what is given is no axes.
    """
    axes = new_axes(axes)
    rows = [(p.loss - lower_bound, p.K) for p in trace if p.K is not None]
    rows = [row for row in rows if min(row) > 0 and np.isfinite(row).all()]
    if rows:
        gaps, values = zip(*rows, strict=True)
        axes.plot(gaps, values, "o", color=LOSS, markersize=4, alpha=0.6, label="measured")
        axes.set_xscale("log")
        axes.set_yscale("log")
    fit = _fit(trace, lower_bound)
    if isinstance(fit, CurvatureFit):
        across = np.geomspace(fit.gaps.min(), fit.gaps.max(), 100)
        axes.plot(across, fit.best.curvature(across), color=LAW, linewidth=2, label="fitted law")
    axes.set_xlabel("gap: loss minus its lower bound")
    axes.set_ylabel("curvature K")
    axes.set_title("CurvatureObserver", loc="left", fontsize=10)
    if rows:
        axes.legend(loc="best", frameon=False, fontsize=9)
    return axes


def _fit(trace: Trace, lower_bound: float) -> CurvatureFit | str:
    try:
        return fit_curvature(trace, lower_bound=lower_bound)
    except ValueError as error:
        return str(error)
