"""The figures of one measured run, drawn from its record, never from training.

`draw(record, folder)` writes each, wide and narrow, and leaves out what was not measured:
    1 curvature_gap    K against the gap, points coloured by step, with the fitted laws
    2 curvature_step   K, and below it the gap, against the step
    3 curvature_rate   K against the learning rate
    4 trust_ratio      actual over promised decrease of the loss
    5 residuals        measured over fitted, against gap and step
For objects the same with the Hessian norm H.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from autowarmup.lab.curvature.findings import finding
from autowarmup.lab.curvature.names import quantity_name
from autowarmup.lab.curvature.series import (
    Series,
    all_points,
    column,
    drawn_laws,
    gap_rose,
    law_values,
    series,
)
from autowarmup.lab.report import axes as look
from autowarmup.lab.report import palette, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Json = Mapping[str, Any]

FIGURES = ("curvature_gap", "curvature_step", "curvature_rate", "trust_ratio", "residuals")

# Beside the main quantity; told apart by their dashes, for they have no meaning in colour.
_OTHERS = {
    "K": (palette.INK, "-"),
    "K_dir": (palette.INK, (0, (5, 1.5))),
    "K_next": (palette.OTHER, "-"),
    "K_noise": (palette.OTHER, (0, (1.2, 1.2))),
}
_TRUST_RANGE = (-1.5, 2.2)
_TRUST_LEVELS = {
    "1: the loss fell as promised": (1.0, "-"),
    "0: nothing gained; below 0 the loss rose": (0.0, (0, (5, 2))),
}


def draw(record: Json, folder: str | Path) -> list[str]:
    """Write every figure that the record has data for and return the names."""
    drawings: tuple[Callable[[Json], Figure | None], ...] = (
        _curvature_gap, _curvature_step, _curvature_rate, _trust_ratio, _residuals,
    )  # fmt: skip
    return style.save_all(
        {
            name: (partial(drawing, record), partial(finding, name, record))
            for name, drawing in zip(FIGURES, drawings, strict=True)
        },
        Path(folder),
        "curvature",
    )


def _panel(width: float, height: float) -> tuple[Figure, Axes]:
    figure, ((axes,),) = style.panels(1, width=width, height=height - 0.5)
    return figure, axes


def _curvature_gap(record: Json) -> Figure | None:
    found = series(record)
    found = found.where(found.gap > 0).thinned()
    if not len(found):
        return None
    figure, axes = _panel(8.6, 4.9)
    entries = draw_points_and_laws(axes, record, found)
    look.title(axes, record)
    axes.set_ylabel(quantity_name(found.quantity))
    look.gap_axis(axes, found.gap)
    look.step_bar(figure, entries.pop("step"), axes)
    if entries:
        style.legend(figure, entries)
    return figure


def draw_points_and_laws(axes: Axes, record: Json, found: Series) -> dict[str, Any]:
    """Draw a quantity against the gap with its laws; return the legend, under "step" the shades."""
    logarithmic = look.scale(axes.yaxis, found.value)
    inside = found.inside if record["window"] else None  # without a fit no point is outside
    entries = {"step": look.time_points(axes, found.gap, found.value, found.step, inside)}
    gaps = found.gap[found.inside]
    if not len(gaps):
        return entries
    grid = look.gap_grid(float(gaps.min()), float(gaps.max()))
    for constraint, law in drawn_laws(record).items():
        curve = law_values(law, grid)
        if logarithmic:
            curve = np.where(curve > 0, curve, np.nan)
        (line,) = axes.plot(grid, curve, **look.law_line(constraint))
        entries[look.LAW_NAMES[constraint]] = line
    return entries


def _curvature_step(record: Json) -> Figure | None:
    from matplotlib.lines import Line2D

    main = series(record).thinned()
    if not len(main):
        return None
    figure, ((top, bottom),) = style.panels(1, rows_each=2, width=6.2, height=2.85)
    others = {}
    for name in _OTHERS:
        points = [point for point in all_points(record) if name in point]
        if len(points) > 1:
            others[name] = column(points, "step"), column(points, name)
    # The panel must hold all values: noise may dwarf everything else.
    shown = [main.value, *(value[np.isfinite(value) & (value > 0)] for _, value in others.values())]
    logarithmic = look.scale(top.yaxis, np.concatenate(shown))
    entries: dict[str, Any] = {}
    for name, (step, value) in others.items():
        if name == main.quantity:
            continue
        value = np.where(value > 0, value, np.nan) if logarithmic else value
        colour, dash = _OTHERS[name]
        (line,) = top.plot(step, value, color=colour, linestyle=dash, linewidth=1.3, zorder=2)
        entries["batch noise alone, K_noise" if name == "K_noise" else name] = line
    shades = look.time_points(top, main.step, main.value, main.step)
    top.set_ylabel(quantity_name(main.quantity))
    look.title(top, record)
    known = main.where(np.isfinite(main.gap))
    bottom.plot(known.step, known.gap, color=palette.LINE, linewidth=1.2, zorder=2)
    look.time_points(bottom, known.step, known.gap, known.step)
    look.scale(bottom.yaxis, known.gap, factor=20.0)
    bottom.set_ylabel("gap = loss − f*")
    bottom.set_xlabel("step")
    bottom.sharex(top)
    look.whole_steps(bottom.xaxis)
    _shade_window(top, record)
    _shade_window(bottom, record, " fitted window")
    if entries:
        dot = Line2D([], [], color=shades.cmap(0.4), marker="o", markersize=6, linestyle="none")
        style.legend(figure, {f"points: {main.quantity}": dot, **entries})
    return figure


def _shade_window(axes: Axes, record: Json, words: str = "") -> None:
    window = record["window"]
    if not window or window["last_step"] <= window["first_step"]:
        return
    axes.axvspan(
        window["first_step"], window["last_step"], color=palette.BAND, zorder=0, linewidth=0
    )
    rose = gap_rose(series(record))  # the words stand in the corner that the gap leaves free
    side = "top" if rose else "bottom"
    place = {"transform": axes.get_xaxis_transform(), "ha": "left", "va": side}
    ink = {"fontsize": 9, "color": palette.MUTED, "gid": "halo", "zorder": 7}
    axes.text(window["first_step"], 0.98 if rose else 0.02, words, **place, **ink)


def _curvature_rate(record: Json) -> Figure | None:
    found = series(record)
    found = found.where(found.lr > 0).thinned()
    if len(found) < 2 or found.lr.max() <= found.lr.min() * 1.001:
        return None  # one rate throughout says nothing here
    figure, axes = _panel(6.2, 3.5)
    shades = look.time_points(axes, found.lr, found.value, found.step)
    look.scale(axes.yaxis, found.value)
    # Not logarithmic: a decay to zero would take most of the width.
    axes.set_xlim(0, 1.05 * found.lr.max())
    axes.locator_params(axis="x", nbins=5)
    axes.set_xlabel("learning rate of the update")
    axes.set_ylabel(quantity_name(found.quantity))
    look.title(axes, record)
    look.step_bar(figure, shades, axes)
    return figure


def _trust_ratio(record: Json) -> Figure | None:
    step, ratio = column(record["points"], "step"), column(record["points"], "trust_ratio")
    known = np.isfinite(ratio)
    step, ratio = step[known], ratio[known]
    if not len(step):
        return None
    figure, axes = _panel(6.2, 3.7)
    low, high = _TRUST_RANGE
    low = max(low, min(-0.3, float(ratio.min()) - 0.1))
    high = min(high, max(1.3, float(ratio.max()) + 0.1))
    inside = (ratio >= low) & (ratio <= high)
    look.time_points(axes, step[inside], ratio[inside], step[inside], last=float(step.max()))
    for beyond, edge, marker in ((ratio < low, low, "v"), (ratio > high, high, "^")):
        axes.plot(step[beyond], np.full(int(beyond.sum()), edge), marker, color=palette.WORSE,
                  markersize=5, linestyle="none", clip_on=False, zorder=5)  # fmt: skip
    entries = {
        words: axes.axhline(level, color=palette.MUTED, linewidth=1.4, linestyle=dash, zorder=1)
        for words, (level, dash) in _TRUST_LEVELS.items()
    }
    axes.set_ylim(low, high)
    axes.set_xlabel("step")
    axes.set_ylabel("actual / promised decrease")
    look.whole_steps(axes.xaxis)
    look.title(axes, record)
    style.legend(figure, entries)
    return figure


def _residuals(record: Json) -> Figure | None:
    found = series(record)
    found = found.where(found.inside & (found.value > 0)).thinned()
    chosen = drawn_laws(record)
    if not len(found) or not chosen:
        return None
    figure, ((left,), (right,)) = style.panels(2, height=3.4)
    ratios, entries = [], {}
    for constraint, law in chosen.items():
        fitted = law_values(law, found.gap)
        # A law that is negative somewhere has no ratio there.
        ratio = np.where(fitted > 0, found.value / np.where(fitted > 0, fitted, 1.0), np.nan)
        ratios.append(ratio)
        filled = constraint == "non_negative"
        colour = look.LAW_COLOURS[constraint]
        for axes, x in ((left, found.gap), (right, found.step)):
            entries[look.LAW_NAMES[constraint]] = axes.scatter(
                x, ratio, s=26 if filled else 34, zorder=3 if filled else 4, alpha=0.8,
                facecolors=colour if filled else "none", edgecolors=colour,
                linewidths=0 if filled else 0.9,
            )  # fmt: skip
    for axes in (left, right):
        look.scale(axes.yaxis, np.append(np.concatenate(ratios), 1.0), factor=3.0)
        axes.axhline(1.0, color=palette.MUTED, linewidth=1.2, zorder=1)
    look.gap_axis(left, found.gap)
    left.set_ylabel(f"measured {found.quantity} / fitted {found.quantity}")
    right.set_xlabel("step")
    look.whole_steps(right.xaxis)
    style.legend(figure, entries)
    return figure
