"""Two figures of many measured runs: each run's curvature against the gap, and every slope."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autowarmup.lab.curvature.figures import draw_points_and_laws
from autowarmup.lab.curvature.names import quantity_name
from autowarmup.lab.curvature.series import series
from autowarmup.lab.report import axes as look
from autowarmup.lab.report import style
from autowarmup.lab.report.numbers import number, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Json = Mapping[str, Any]

_COLOURS = {
    "rises": style.ADAPTIVE,
    "falls": style.HAND_TUNED,
    "level": "#5b6773",
    "not determined": "#9aa5b1",
}


def draw(records: Sequence[Json], folder: Path) -> None:
    """Write FOLDER/overview and FOLDER/slopes as SVG and PNG."""
    for name, drawing in (("overview", _overview), ("slopes", _slopes)):
        with style.styled(name):
            style.save(drawing(records), folder, name)


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
        label = "\n".join(textwrap.wrap(record["label"], 38))
        axes.set_title(f"{label}\n", fontsize=11)
        colour = _COLOURS[record["verdict"]]
        axes.text(0, 1.03, outcome(record), transform=axes.transAxes, color=colour)
        axes.set_ylabel(quantity_name(found.quantity).split()[-1])
        if not len(found):
            axes.text(0.5, 0.5, "no finite point", transform=axes.transAxes, ha="center",
                      color=style.MUTED)  # fmt: skip
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
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as NewFigure

    figure = NewFigure(figsize=(10.0, 1.5 + 0.42 * len(records)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    reach = _rows(axes, records)
    axes.axvline(0, color=style.INK, linewidth=1.3, zorder=2)
    axes.set_yticks(range(len(records)), [_row_name(r) for r in records])
    axes.tick_params(axis="y", length=0, labelcolor=style.INK)
    axes.set_ylim(len(records) - 0.4, -0.6)
    axes.set_xlim(-reach, reach)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("slope of ln K against ln gap, with its 95 % interval (H for objects)")
    for x, words, colour, side in (
        (0.0, "← K rises as the gap falls", _COLOURS["rises"], "left"),
        (1.0, "K falls as the gap falls →", _COLOURS["falls"], "right"),
    ):
        axes.text(x, 1.02, words, transform=axes.transAxes, ha=side, va="bottom", color=colour,
                  fontweight="bold")  # fmt: skip
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
        colour = _COLOURS[record["verdict"]]
        if p is None or abs(p) > reach:
            words = "not determined" if p is None else f"not determined (slope {short(p, 2)})"
            axes.text(0.02 * reach, row, words, va="center", color=style.MUTED, fontsize=9.5)
            continue
        if low is not None and high is not None:
            axes.plot([low, high], [row, row], color=colour, linewidth=2.2, zorder=3)
        filled = record["verdict"] != "not determined"
        axes.plot([p], [row], "o", markersize=7.5, color=colour, zorder=4, markeredgewidth=1.6,
                  markerfacecolor=colour if filled else "white")  # fmt: skip
    return reach
