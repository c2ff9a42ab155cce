"""Two figures of many measured runs: each run's curvature against the gap, and every slope."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autowarmup.lab.curvature.figures import draw_points_and_laws
from autowarmup.lab.curvature.names import quantity_name
from autowarmup.lab.curvature.series import series
from autowarmup.lab.report import axes as look
from autowarmup.lab.report import palette, style
from autowarmup.lab.report.numbers import number, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Json = Mapping[str, Any]


def draw(records: Sequence[Json], folder: Path, finding: str) -> list[str]:
    """Write FOLDER/overview and FOLDER/slopes, wide and narrow, with what they show."""
    drawings: dict[str, style.Drawing] = {
        "overview": (partial(_overview, records), lambda: finding),
        "slopes": (partial(_slopes, records), lambda: finding),
    }
    return style.save_all(drawings, folder, "curvature-study")


def outcome(record: Json) -> str:
    """Return in a few words what happens to the main quantity as training goes on."""
    verdict = record["verdict"]
    if verdict in ("rises", "falls"):
        return f"{record['main']} {verdict} as the gap falls"
    return f"{record['main']} stays level" if verdict == "level" else verdict


def slope_of(record: Json) -> tuple[float | None, float | None, float | None]:
    """Return the slope and the ends of its interval, `None` for what is not known."""
    slope = record["slope"] or {"p": None, "interval": (None, None)}
    low, high = slope["interval"]
    return number(slope["p"]), number(low), number(high)


def _overview(records: Sequence[Json]) -> Figure:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    figure, columns = style.panels(len(records), height=3.2)
    entries: dict[str, Any] = {}
    for record, (axes,) in zip(records, columns, strict=True):
        found = series(record)
        found = found.where(found.gap > 0).thinned(300)
        style.title(axes, record["label"], outcome(record))
        axes.set_ylabel(quantity_name(found.quantity).split()[-1])
        if not len(found):
            axes.text(0.5, 0.5, "no finite point", transform=axes.transAxes, ha="center",
                      color=palette.MUTED)  # fmt: skip
            continue
        entries |= draw_points_and_laws(axes, record, found)
        look.gap_axis(axes, found.gap)
        axes.set_xlabel("gap, falling to the right →")
    entries.pop("step", None)
    shades = ScalarMappable(Normalize(0, 100), look.time_colours())
    look.step_bar(figure, shades, [axes for (axes,) in columns], "step, % of the measured ones")
    if entries:
        style.legend(figure, entries)
    return figure


def _slopes(records: Sequence[Json]) -> Figure:
    narrow = style.is_narrow()
    figure = style.canvas(10.0, 1.5 + (0.52 if narrow else 0.42) * len(records))
    axes = figure.subplots()
    reach = _rows(axes, records)
    axes.axvline(0, color=palette.INK, linewidth=1.3, zorder=2)
    names = [] if narrow else [_row_name(record) for record in records]
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(axis="y", length=0, labelcolor=palette.INK)
    axes.set_ylim(len(records) - 0.4, -0.6)
    axes.set_xlim(-reach, reach)
    axes.grid(axis="y", visible=False)
    gap = "\n" if narrow else " "
    axes.set_xlabel(f"slope of ln K against ln gap,{gap}with its 95 % interval (H for objects)")
    words = ("← K rises", "K falls →") if narrow else (
        "← K rises as the gap falls", "K falls as the gap falls →",
    )  # fmt: skip
    for x, text, side in ((0.0, words[0], "left"), (1.0, words[1], "right")):
        axes.text(x, 1.02, text, transform=axes.transAxes, ha=side, va="bottom", fontweight="bold")
    return figure


def _row_name(record: Json) -> str:
    status = record["source"].get("status") or "finished"
    return textwrap.shorten(record["label"], 56) + (f" ({status})" * (status != "finished"))


def _rows(axes: Axes, records: Sequence[Json]) -> float:
    """Draw the rows and return how far the axis must reach on both sides."""
    rows = [(record, *slope_of(record)) for record in records]
    decided = [row for row in rows if row[0]["verdict"] != "not determined"]
    # A run that settles nothing must not press all others into a line.
    widest = max((abs(x) for row in decided or rows for x in row[1:] if x is not None), default=1.0)
    reach = 1.08 * max(0.3, widest)
    for row, (record, p, low, high) in enumerate(rows):
        filled = record["verdict"] != "not determined"
        colour = palette.INK if filled else palette.OTHER
        if style.is_narrow():
            axes.text(-0.98 * reach, row - 0.18, _row_name(record), va="bottom", fontsize=9,
                      gid="halo", zorder=6)  # fmt: skip
        if p is None or abs(p) > reach:
            words = "not determined" if p is None else f"not determined (slope {short(p, 2)})"
            axes.text(0.02 * reach, row, words, va="center", color=palette.MUTED, fontsize=9.5)
            continue
        if low is not None and high is not None:
            axes.plot([low, high], [row, row], color=colour, linewidth=2.2, zorder=3)
        axes.plot([p], [row], "o", markersize=7.5, color=colour, zorder=4, markeredgewidth=1.6,
                  markerfacecolor=colour if filled else palette.GROUND)  # fmt: skip
    return reach
