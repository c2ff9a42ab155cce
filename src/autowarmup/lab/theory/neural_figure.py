"""The figure of `neural.json`: Hessian norm and bound against the gap, a panel for every object."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from autowarmup.lab.report import axes as look
from autowarmup.lab.report import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAME = "neural"
Json = Mapping[str, Any]

_DEEPEST = 1e-4
"""Where the gap has fallen to this share of its first value, nothing moves any more."""


def draw(record: Json, folder: str | Path) -> str:
    """Write neural.svg and neural.png and return the name."""
    with style.styled(NAME):
        style.save(_figure(record), Path(folder), NAME)
    return NAME


def _figure(record: Json) -> Figure:
    figure, columns = style.panels(len(record["objects"]), height=3.7)
    entries: dict[str, Any] = {}
    for (axes,), held in zip(columns, record["objects"].values(), strict=True):
        entries |= _panel(axes, held)
    style.legend(figure, entries)
    return figure


def _panel(axes: Axes, held: Json) -> dict[str, Any]:
    """Draw the first run of an object and return the legend."""
    run, false = held["runs"][0], held["expected_fail"]
    gap, norm, bound = (np.array(run[key]) for key in ("gap", "hessian_norm", "bound"))
    shown = gap > _DEEPEST * gap.max()
    gap, norm, bound = gap[shown], norm[shown], bound[shown]
    colour = style.TROUBLE if false else style.HAND_TUNED
    (dots,) = axes.plot(gap, norm, "o", color=style.ADAPTIVE, markersize=5, zorder=4)
    (line,) = axes.plot(gap, bound, color=colour, linewidth=2.2, zorder=3,
                        linestyle=(0, (4, 1.6)) if false else "-")  # fmt: skip
    axes.set_title(f"{held['label']}\n", fontsize=11)
    axes.text(0, 1.03, verdict(held), transform=axes.transAxes, color=colour)
    look.scale(axes.yaxis, np.concatenate([norm, bound]))
    look.gap_axis(axes, gap)
    axes.set_xlabel("gap, falling to the right →")
    axes.set_ylabel("‖Hessian‖")
    words = "bound with the printed omission, false" if false else "bound, proved"
    return {"measured along gradient descent": dots, words: line}


def verdict(held: Json) -> str:
    """Return the least and the largest of bound over measured, over all runs, in words.

    Example:
        >>> verdict({"expected_fail": False, "runs": [{"bound_over_measured": [2.5, 6.04]}]})
        'bound 2.5 to 6 times the measured norm'
        >>> verdict({"expected_fail": True, "runs": [{"bound_over_measured": [0.05, 1.5]}]})
        'violated: measured up to 20 times the bound'
    """
    ratios = [ratio for run in held["runs"] for ratio in run["bound_over_measured"]]
    if held["expected_fail"]:
        return f"violated: measured up to {_short(1 / min(ratios))} times the bound"
    return f"bound {_short(min(ratios))} to {_short(max(ratios))} times the measured norm"


def _short(value: float) -> str:
    """Return two significant digits, without an exponent."""
    return f"{float(f'{value:.2g}'):,.10g}"
