"""The figures of `counts.json`: steps taken against steps allowed, a dot for every function."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from autowarmup.lab.report import axes as look
from autowarmup.lab.report import style
from autowarmup.lab.theory.counts import FIGURES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Json = Mapping[str, Any]


def draw(record: Json, folder: str | Path) -> list[str]:
    """Write both figures as SVG and PNG and return their names."""
    for name, statements in FIGURES.items():
        with style.styled(name):
            style.save(_figure(record, statements), Path(folder), name)
    return list(FIGURES)


def _figure(record: Json, statements: tuple[str, ...]) -> Figure:
    figure, columns = style.panels(len(statements), height=3.9)
    figure.set_figwidth(11.5)
    entries: dict[str, Any] = {}
    for (axes,), statement in zip(columns, statements, strict=True):
        entries |= _panel(axes, statement, record["statements"][statement])
    style.legend(figure, entries)
    return figure


def _panel(axes: Axes, statement: str, held: Json) -> dict[str, Any]:
    measured, bound = np.array(held["measured"], float), np.array(held["bound"], float)
    dots = axes.scatter(bound, measured, s=11, color=style.HAND_TUNED, alpha=0.45, linewidths=0,
                        zorder=3, rasterized=len(bound) > 500)  # fmt: skip
    look.scale(axes.xaxis, bound)
    look.scale(axes.yaxis, measured)
    ends = [1.0, float(bound.max())]
    (line,) = axes.plot(ends, ends, color=style.ADAPTIVE, linewidth=2.2, zorder=4)
    axes.set_title(f"{statement}\n", fontsize=11)
    ratio = np.median(measured / bound)
    above = int(np.sum(measured > bound))
    words = f"{len(bound):,} functions, {above} above; half take {100 * ratio:.0f} % of it or less"
    axes.text(0, 1.03, words, transform=axes.transAxes, color=style.MUTED, fontsize=9.5)
    axes.set_xlabel("steps that the theorem allows")
    axes.set_ylabel("steps taken")
    return {"one random function": dots, "the bound: no dot may lie above": line}
