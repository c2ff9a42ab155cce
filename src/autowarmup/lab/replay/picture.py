"""The picture of a replay: the rates that the rules would have had, above the losses of the log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from autowarmup.history import Trace
from autowarmup.lab.replay.log import Log
from autowarmup.lab.report import palette, style
from autowarmup.lab.report.numbers import percent, short
from autowarmup.lab.report.rule_looks import lines_of
from autowarmup.lab.report.words import rule_name
from autowarmup.rules.stepping import CUT

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Json = Mapping[str, Any]

MOST = 300
"""Points of a curve, and stretches of the loss."""
EARLY = 0.1
"""A warm-up that ends before this share of the run is shown on a logarithmic axis."""
LARGEST = 1e100
"""The largest loss that is drawn as it is: an axis is as wide as a number can be."""


def draw_replay(record: Json, log: Log, traces: Mapping[str, Trace]) -> Figure:
    """Return the figure: one line a rule, and the run's own rate in ink, dashed."""
    figure, (panels,) = style.panels(1, rows_each=2, height=2.7)
    top, bottom = panels
    rows = record["rules"]
    last = record["updates"]
    logarithmic = (rows[0]["warmup_end_step"] or last) < EARLY * last
    grid = _grid(last, logarithmic)
    unit = 1.0 if record["peak_rate"] else 100.0  # shares in per cent where no rate is known
    entries = {}
    own = log.rates
    if own is not None and np.isfinite(own).any():
        at = _nearest(log.steps, grid)
        line = {"color": palette.INK, "linewidth": 1.3, "dashes": (4, 2.5), "zorder": 2}
        top.plot(log.steps[at] + 1, own[at], **line)
        entries["the run itself"] = style.stroke(palette.INK, 1.3, dashes=(4, 2.5))
    for name, look in reversed(lines_of(traces).items()):
        steps, rates = _curve(traces[name], grid)
        top.plot(steps + 1, unit * rates, **look)
        entries[rule_name(name)] = style.stroke(look["color"], look["linewidth"],
                                                linestyle=look["linestyle"])  # fmt: skip
    _losses(bottom, log, grid)
    top.set_ylabel("learning rate" if record["peak_rate"] else "% of the peak rate")
    top.set_ylim(bottom=0)
    bottom.set_ylabel("loss")
    bottom.set_xlabel("update, on a logarithmic axis" if logarithmic else "update")
    for panel in panels:
        if logarithmic:
            panel.set_xscale("log")
            panel.xaxis.set_major_formatter(lambda value, _: short(value, 1))
        else:
            panel.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        panel.set_xlim(1, max(2, last))
    _lowered(top, bottom, rows[0]["lowered"])
    top.tick_params(labelbottom=False)
    style.legend(figure, dict(reversed(entries.items())))
    return figure


def _grid(last: int, logarithmic: bool) -> np.ndarray:
    """Return updates, rising, at which curves are drawn."""
    points = np.geomspace(1, last, MOST) - 1 if logarithmic else np.linspace(0, last - 1, MOST)
    return np.unique(np.round(points).astype(np.int64))


def _nearest(steps: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """Return the indices of the steps that stand for a grid."""
    return np.unique(np.searchsorted(steps, grid).clip(0, len(steps) - 1))


def _curve(trace: Trace, grid: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return steps and rates of a trace, few enough to draw, corners kept."""
    steps, rates = np.array(trace.column("step")), np.array(trace.column("lr"), dtype=float)
    phase = np.array(trace.column("phase"))
    ends = np.flatnonzero(phase[1:] != phase[:-1]) + 1
    cuts = np.flatnonzero(rates[1:] < CUT * rates[:-1])
    at = np.unique(np.concatenate([_nearest(steps, grid), ends, cuts, cuts + 1]))
    return steps[at], rates[at]


def _losses(axes: Axes, log: Log, grid: np.ndarray) -> None:
    """Draw the median of the losses over stretches, and where four fifths of them lie."""
    finite = np.isfinite(log.losses)
    steps, losses = log.steps[finite], log.losses[finite].clip(-LARGEST, LARGEST)
    if not len(steps):
        return
    cuts = np.unique(np.searchsorted(steps, grid[:-1]))
    parts = [part for part in np.split(losses, cuts) if len(part)]
    ends = np.cumsum([len(part) for part in parts])
    middle = [
        float(np.median(steps[end - len(p) : end])) + 1 for p, end in zip(parts, ends, strict=True)
    ]
    low, median, high = (
        [float(np.quantile(part, share)) for part in parts] for share in (0.1, 0.5, 0.9)
    )
    axes.fill_between(middle, low, high, color=palette.BAND, linewidth=0)
    axes.plot(middle, median, color=palette.INK, linewidth=1.6)
    # The first losses, or spikes, must not flatten the rest.
    least, most = min(low), float(np.quantile(high, 0.98))
    room = 0.06 * (most - least) or 0.1
    axes.set_ylim(least - room, most + room)


def _lowered(top: Axes, bottom: Axes, lowered: list[Json]) -> None:
    """Mark where the rate would have been lowered; the words stand where the loss is far below."""
    for index, each in enumerate(lowered):
        at = each["step"] + 1
        for axes in (top, bottom):
            axes.axvline(at, color=palette.WORSE, linewidth=1.1, linestyle=":")
        if index < 3:
            late = (
                bottom.transAxes.inverted().transform(bottom.transData.transform((at, 0)))[0] > 0.7
            )
            bottom.annotate(
                f"lowered to {percent(each['to'], 0, signed=False)}",
                (at, 0.97 - 0.09 * index),
                xycoords=("data", "axes fraction"),
                xytext=(-5 if late else 5, 0),
                textcoords="offset points",
                ha="right" if late else "left",
                va="top",
                color=palette.WORSE,
                gid="halo",
            )
