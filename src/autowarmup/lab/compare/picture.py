"""The picture of a comparison: the difference of each rule to the reference, and its interval."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from autowarmup.lab.report import style
from autowarmup.lab.report.words import rule_name

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw_differences(summary: Mapping[str, Any]) -> Figure | None:
    """Return the figure, `None` without a difference."""
    rows = [row for row in summary["rules"][1:] if row["difference"]]
    if not rows:
        return None
    figure, ((axes,),) = style.panels(1, height=0.9 + 0.5 * len(rows))
    axes.axvline(0.0, color=style.ADAPTIVE, linewidth=2.2)
    for at, row in enumerate(rows):
        difference = row["difference"]
        each = difference["by_seed"]
        if difference["interval"]:
            axes.plot(difference["interval"], [at, at], color=style.HAND_TUNED, linewidth=2.6)
        axes.plot(
            each, [at] * len(each), "o", markersize=5, color=style.INK, alpha=0.45, linewidth=0
        )
        axes.plot([difference["mean"]], [at], "D", markersize=9, color=style.HAND_TUNED)
    axes.set_yticks(range(len(rows)), [rule_name(row["rule"]) for row in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.grid(False, axis="y")
    axes.margins(x=0.08)
    reference = rule_name(summary["reference"])
    axes.set_xlabel(f"final loss minus that of {reference}: left of the line is lower")
    return figure
