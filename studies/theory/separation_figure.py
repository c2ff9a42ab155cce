"""The figure of `separation`: steps against z on a line and in the plane, advantage by accuracy.
python -m studies.theory.separation --draw
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from autowarmup.lab.report import palette, style
from studies.theory.record import Json
from studies.theory.separation import bounds

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FIXED, WARMUP = palette.HAND, palette.THEORY


def draw_separation(record: Json) -> Figure:
    """Draw the three panels."""
    figure, ((line,), (plane,), (ratio,)) = style.panels(3, height=3.9, width=9.8)
    _counts(line, record, "1")
    _counts(plane, record, "2")
    plane.sharey(line)
    _ratio(ratio, record)
    style.legend(figure, _entries(), below=True)
    return figure


def advantage(record: Json, dimension: str) -> float:
    """Return, at the largest z, the steps of the best fixed step over those of warm-up."""
    at, side = record["decades"].index(record["main_decades"]), record["dimensions"][dimension]
    return side["best_fixed"][at][-1] / side["warmup"][at][-1]


def finding(record: Json) -> str:
    """Return what the figure shows, in one sentence."""
    line, plane = advantage(record, "1"), advantage(record, "2")
    return (
        "Gradient descent on the worst function: the best fixed step takes "
        f"{line:.1f} times the steps of warm-up in one dimension, {plane:.1f} times in two "
        f"(z = {record['z'][-1]:g}, until the gap is 1e-{record['main_decades']} of the first)."
    )


def _entries() -> dict[str, Any]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    def dot(colour: str, face: str) -> Line2D:
        return Line2D([], [], linestyle="none", marker="o", markersize=7, markeredgewidth=1.6,
                      markerfacecolor=face, markeredgecolor=colour)  # fmt: skip

    return {
        "warm-up 1 / (H0 + H1 gap)": dot(WARMUP, WARMUP),
        "proved: warm-up takes at most": Line2D([], [], color=WARMUP, linewidth=2),
        "best fixed step, found by search": dot(FIXED, FIXED),
        "fixed step 1 / (H0 + H1 first gap)": dot(FIXED, palette.GROUND),
        "proved: best fixed step lies in": Patch(facecolor=palette.BAND, edgecolor=FIXED),
    }


def _counts(axes: Axes, record: Json, dimension: str) -> None:
    """Draw the steps of the worst function against z."""
    at, z = record["decades"].index(record["main_decades"]), np.array(record["z"])
    side = record["dimensions"][dimension]
    fine = np.geomspace(z[0], z[-1], 120)
    proved = bounds(fine, [record["main_decades"]], record["kappa"])
    lower, upper = proved["lower_fixed"][0], proved["upper_fixed"][0]
    axes.fill_between(fine, lower, upper, color=palette.BAND, linewidth=0, zorder=1)
    for edge in (lower, upper):
        axes.plot(fine, edge, color=FIXED, linewidth=1, zorder=2)
    axes.plot(fine, proved["upper_warmup"][0], color=WARMUP, linewidth=2, zorder=3)
    look: dict[str, Any] = {"linestyle": "none", "marker": "o", "markersize": 7, "zorder": 5}
    axes.plot(z, record["theorem_fixed"], **look, color=FIXED, markerfacecolor=palette.GROUND,
              markeredgewidth=1.6)  # fmt: skip
    axes.plot(z, side["best_fixed"][at], **look, color=FIXED)
    axes.plot(z, side["warmup"][at], **{**look, "zorder": 6}, color=WARMUP)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("z = H1 · first gap / H0:\ncurvature may fall 1 + z times")
    axes.set_title({"1": "One dimension", "2": "Two dimensions"}[dimension])
    axes.set_ylabel(f"steps to 1e-{record['main_decades']} of the first gap")


def _ratio(axes: Axes, record: Json) -> None:
    """Draw at the largest z how many times the steps of warm-up the best fixed step takes."""
    z, levels = record["z"][-1], np.array(record["decades"])
    many, lower = (record["proved_advantage"][name] for name in ("decades", "ratio"))
    axes.axhline(1, color=palette.INK, linewidth=1.3, zorder=2)
    axes.plot(many, lower, color=palette.MUTED, dashes=(4, 2), linewidth=1.8, zorder=3)
    style.label(axes, (9, lower[8]), (6, -14), "one dimension, proved", color=palette.MUTED)
    for dimension, face in (("2", palette.INK), ("1", palette.GROUND)):
        side = record["dimensions"][dimension]
        ratio = np.divide(side["best_fixed"], side["warmup"])[:, -1]
        axes.plot(levels, ratio, "o-", color=palette.INK, markersize=6, zorder=4,
                  markerfacecolor=face)  # fmt: skip
        words = {"1": "one dimension, measured", "2": "two dimensions, measured"}[dimension]
        style.label(axes, (levels[-1], ratio[-1]), (6, 7), words, color=palette.INK)
    axes.set_yscale("log")
    axes.set_title(f"By accuracy (z = {z:g})")
    axes.set_xlabel("accuracy: gap divided\nby 10 to this power")
    axes.set_ylabel("best fixed / warm-up steps")
    axes.set_ylim(0.07, 40)
    axes.set_yticks([0.1, 0.2, 0.5, 1, 2, 5, 10], ["0.1", "0.2", "0.5", "1", "2", "5", "10"])
    axes.set_xticks([1, 5, 10, 15, 20])
    for y, words in ((0.97, "↑ warm-up is faster"), (0.03, "↓ the fixed step is faster")):
        axes.text(0.98, y, words, transform=axes.transAxes, ha="right", color=WARMUP if y > 0.5
                  else FIXED, va="top" if y > 0.5 else "bottom", fontweight="bold")  # fmt: skip
