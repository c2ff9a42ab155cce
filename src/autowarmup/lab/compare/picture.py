"""The picture of a comparison: the difference of each rule to the reference, and its interval."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from autowarmup.lab.report import palette, style
from autowarmup.lab.report.rule_looks import colour_of, kind_of, marker_of
from autowarmup.lab.report.words import rule_name
from autowarmup.rules import DEFAULT_RULE

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw_differences(summary: Mapping[str, Any]) -> Figure | None:
    """Return the figure, `None` without a difference."""
    rows = [row for row in summary["rules"][1:] if row["difference"]]
    if not rows:
        return None
    figure, ((axes,),) = style.panels(1, height=0.9 + 0.5 * len(rows))
    looks = {row["rule"]: _look(row["rule"]) for row in summary["rules"]}
    axes.axvline(0.0, color=looks[summary["reference"]][0], linewidth=2.2)
    for at, row in enumerate(rows):
        difference = row["difference"]
        each, (colour, marker) = difference["by_seed"], looks[row["rule"]]
        if difference["interval"]:
            axes.plot(difference["interval"], [at, at], color=colour, linewidth=2.6)
        axes.plot(
            each, [at] * len(each), "o", markersize=5, color=palette.INK, alpha=0.45, linewidth=0
        )
        axes.plot([difference["mean"]], [at], marker, markersize=9, color=colour)
    axes.set_yticks(range(len(rows)), [rule_name(row["rule"]) for row in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.grid(False, axis="y")
    axes.margins(x=0.08)
    reference = rule_name(summary["reference"])
    axes.set_xlabel(f"final loss minus that of {reference}\n← better   worse →")
    return figure


def _look(rule: str) -> tuple[str, str]:
    kind, main = kind_of(rule), rule == DEFAULT_RULE
    return colour_of(kind, main=main), marker_of(kind, main=main)
