"""The two figures that check a measurement: did steps pay off, and does the law fit?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from autowarmup.lab.curvature.series import column, drawn_laws, law_values, series
from autowarmup.lab.report import axes as look
from autowarmup.lab.report import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Json = Mapping[str, Any]

_TRUST_RANGE = (-1.5, 2.2)


def draw_trust_ratio(record: Json) -> Figure | None:
    """Draw actual over promised decrease per step; `None` where it was not measured."""
    step, ratio = column(record["points"], "step"), column(record["points"], "trust_ratio")
    known = np.isfinite(ratio)
    step, ratio = step[known], ratio[known]
    if not len(step):
        return None
    figure, ((axes,),) = style.panels(1)
    figure.set_size_inches(6.2, 3.7)
    low, high = _TRUST_RANGE
    low = max(low, min(-0.3, float(ratio.min()) - 0.1))
    high = min(high, max(1.3, float(ratio.max()) + 0.1))
    beyond = (ratio < low) | (ratio > high)
    inside = ~beyond
    look.time_points(axes, step[inside], ratio[inside], step[inside], last=float(step.max()))
    for sign, edge, marker in ((-1, low, "v"), (1, high, "^")):
        out = beyond & (np.sign(ratio - edge) == sign)
        axes.plot(step[out], np.full(int(out.sum()), edge), marker, color=style.TROUBLE,
                  markersize=5, linestyle="none", clip_on=False, zorder=5)  # fmt: skip
    entries = {}
    for level, dash, words in (
        (1.0, "-", "1: the loss fell as much as the slope promised"),
        (0.0, (0, (5, 2)), "0: the step gained nothing; below 0 the loss rose"),
    ):
        line = axes.axhline(level, color=style.MUTED, linewidth=1.4, linestyle=dash, zorder=1)
        entries[words] = line
    axes.set_ylim(low, high)
    axes.set_xlabel("step")
    axes.set_ylabel("actual / promised decrease")
    look.whole_steps(axes.xaxis)
    look.title(axes, record)
    style.legend(figure, entries)
    return figure


def draw_residuals(record: Json) -> Figure | None:
    """Draw measured over fitted values; `None` where nothing was fitted."""
    found = series(record)
    found = found.where(found.inside & (found.value > 0)).thinned()
    chosen = drawn_laws(record)
    if not len(found) or not chosen:
        return None
    figure, columns = style.panels(2, height=3.4)
    ratios, entries = [], {}
    for constraint, law in chosen.items():
        fitted = law_values(law, found.gap)
        # A law that is negative somewhere has no ratio there.
        ratio = np.where(fitted > 0, found.value / np.where(fitted > 0, fitted, 1.0), np.nan)
        ratios.append(ratio)
        filled = constraint == "non_negative"
        for (axes,), x in zip(columns, (found.gap, found.step), strict=True):
            entries[look.LAW_NAMES[constraint]] = axes.scatter(
                x, ratio, s=26 if filled else 34, zorder=3 if filled else 4,
                facecolors=look.LAW_COLOURS[constraint] if filled else "none",
                edgecolors=look.LAW_COLOURS[constraint], linewidths=0 if filled else 0.9,
                alpha=0.8,
            )  # fmt: skip
    (left,), (right,) = columns
    for axes in (left, right):
        look.scale(axes.yaxis, np.append(np.concatenate(ratios), 1.0), factor=3.0)
        axes.axhline(1.0, color=style.MUTED, linewidth=1.2, zorder=1)
    look.gap_axis(left, found.gap)
    left.set_ylabel(f"measured {found.quantity} / fitted {found.quantity}")
    right.set_xlabel("step")
    look.whole_steps(right.xaxis)
    style.legend(figure, entries)
    return figure
