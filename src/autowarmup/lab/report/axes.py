"""What the figures of measured curvature share: scales that fit the data, points coloured by time.

Early steps are dark, late ones light; the fitted law is a full line, the law with free signs a
dashed one. A gap axis runs from large to small, as training does.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from autowarmup.lab.report import palette, style
from autowarmup.lab.report.numbers import short
from autowarmup.lab.report.words import broken

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

LAW_COLOURS = {"non_negative": palette.THEORY, "free": palette.INK}
LAW_NAMES = {"non_negative": "fitted law, constants ≥ 0", "free": "the same, free signs"}
GAP_LABEL = "gap = loss − f*, falling →"


def time_colours() -> Any:
    """Return the colour map of time."""
    from matplotlib.colors import ListedColormap

    return ListedColormap(palette.TIME, name="time")


def wide(values: Iterable[float], factor: float) -> bool:
    """Return whether positive values span more than a factor, so that they need a log axis.

    Example:
        >>> wide([1.0, 5.0, 100.0], 10), wide([2.0, 3.0], 10), wide([-1.0, 1000.0], 10)
        (True, False, False)
    """
    found = [value for value in values if math.isfinite(value)]
    return bool(found) and bool(min(found) > 0 and max(found) > factor * min(found))


def scale(axis: Axis, values: Iterable[float], *, factor: float = 10.0, room: float = 0.06) -> bool:
    """Fit an axis to values: logarithmic where they span decades, with a margin; return which.

    Equal values get a readable stretch around them instead of a microscope.
    """
    found = np.array([value for value in values if math.isfinite(value)], dtype=float)
    if not len(found):
        return False
    low, high = float(found.min()), float(found.max())
    logarithmic = wide(found, factor)
    sideways = axis is axis.axes.xaxis
    set_limits = axis.axes.set_xlim if sideways else axis.axes.set_ylim
    if logarithmic:
        (axis.axes.set_xscale if sideways else axis.axes.set_yscale)("log")
        margin = (high / low) ** room
        set_limits(low / margin, high * margin)
        _plain_decades(axis, low, high)
    else:
        span = max(high - low, 0.2 * max(abs(high), abs(low)), 1e-12)
        middle = (high + low) / 2
        set_limits(middle - (0.5 + room) * span, middle + (0.5 + room) * span)
    return logarithmic


def _plain_decades(axis: Axis, low: float, high: float) -> None:
    """Label a log axis with plain numbers, at 1, 2 and 5 where it spans few decades."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    sideways = axis is axis.axes.xaxis
    decades = math.log10(high / low) * (1.5 if sideways and style.is_narrow() else 1)
    steps = (1.0, 2.0, 5.0) if decades < 2.2 else (1.0, 3.0) if decades < 3.2 else (1.0,)
    axis.set_major_locator(LogLocator(subs=steps, numticks=5 if sideways and high > 1e4 else 12))
    axis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))
    axis.set_minor_formatter(NullFormatter())


def gap_axis(axes: Axes, gaps: Iterable[float]) -> None:
    """Fit the x axis to gaps, the largest on the left, and label it."""
    scale(axes.xaxis, gaps, factor=20.0, room=0.04)
    axes.invert_xaxis()
    axes.set_xlabel(GAP_LABEL)


def time_points(
    axes: Axes,
    x: np.ndarray,
    y: np.ndarray,
    step: np.ndarray,
    inside: np.ndarray | None = None,
    *,
    last: float | None = None,
) -> Any:
    """Scatter points coloured by step; those outside the window are small and pale.

    The lightest colour is the last step, or `last`. Returns what a colour bar needs.
    """
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    if last is None:
        last = float(step.max()) if len(step) else 1.0
    first = min(float(step.min()), last - 1.0) if len(step) else 0.0
    shades = ScalarMappable(Normalize(first, last), time_colours())
    inside = np.ones(len(x), dtype=bool) if inside is None else inside
    size = 34 if len(x) < 60 else 24 if len(x) < 300 else 13
    for mask, area, alpha, order in ((~inside, 0.6 * size, 0.28, 2), (inside, size, 0.95, 3)):
        colours = shades.to_rgba(step[mask])
        axes.scatter(x[mask], y[mask], s=area, c=colours, alpha=alpha, zorder=order, linewidths=0)
    return shades


def step_bar(figure: Figure, shades: Any, axes: Any, label: str = "step") -> None:
    """Put the colour bar of time beside the axes; below many, where there is no room beside."""
    below = isinstance(axes, list) and style.is_narrow()
    long = figure.get_figheight() / 0.18 if isinstance(axes, list) else 28
    look = {"location": "bottom", "aspect": 28, "pad": 0.004} if below else {"aspect": long}
    bar = figure.colorbar(shades, ax=axes, **{"pad": 0.02, **look})
    bar.set_label(label, color=palette.MUTED)
    whole_steps(bar.ax.xaxis if below else bar.ax.yaxis)
    bar.outline.set_visible(False)  # type: ignore[operator]
    # Drawn as areas, neighbouring shades would show the white between them.
    if bar.solids is not None:
        bar.solids.set_edgecolor("face")
    bar.ax.grid(False)


def whole_steps(axis: Axis, most: int = 7) -> None:
    """Label an axis of steps with whole numbers."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(most, integer=True))


def law_line(constraint: str) -> dict[str, Any]:
    """Return how a law is drawn: the two can be told apart without colour."""
    if constraint == "free":
        return {"color": LAW_COLOURS["free"], "linewidth": 1.8, "dashes": (4, 2.5), "zorder": 6}
    return {"color": LAW_COLOURS["non_negative"], "linewidth": 2.8, "zorder": 5}


def title(axes: Axes, record: Mapping[str, Any]) -> None:
    """Put the label of the run above its first panel."""
    axes.set_title(broken(record["label"], 36 if style.is_narrow() else 62))


def gap_grid(low: float, high: float, count: int = 200) -> np.ndarray:
    """Return gaps to draw a curve at, dense in decades where they span some."""
    if low > 0 and high > 20 * low:
        return np.geomspace(low, high, count)
    return np.linspace(low, high, count)
