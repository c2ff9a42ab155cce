"""The figure of `picture`: rate and gap against the step, in three norms.
python -m studies.theory.picture --draw
"""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any

import numpy as np

from autowarmup.lab.report import palette, style
from studies.theory.record import Json

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LOOKS: dict[str, tuple[str, dict[str, Any]]] = {
    "theorem": ("rate of the theorem, gap / (R K(gap))", {"color": palette.THEORY, "linewidth": 3}),
    "certified_fixed": (
        "best fixed rate that the theorem certifies", {"color": palette.HAND, "linewidth": 2},
    ),
    "best_fixed": (
        "best fixed rate, searched", {"color": palette.HAND, "dashes": (3, 1.6),
                                      "linewidth": 1.8},
    ),
    "best_linear": (
        "best linear warm-up and decay, searched", {"color": palette.HAND, "dashes": (1.2, 1.4),
                                                    "linewidth": 1.8},
    ),
}  # fmt: skip
_NORMS = {"l2": "l2 (normalized SGD)", "linf": "l∞ (Signum, Lion)", "spectral": "spectral (Muon)"}


def draw_picture(record: Json) -> Figure:
    """Draw a column per norm: the rate above, the gap below."""
    figure, columns = style.panels(len(record["norms"]), rows_each=2, height=2.9, width=9.8)
    for (norm, side), (rate, gap) in zip(record["norms"].items(), columns, strict=True):
        rate.set_title(_NORMS[norm])
        _rates(rate, side)
        _gaps(gap, side, record["targets"][-1])
        _ends(gap, side, record["targets"][-1])
        gap.sharex(rate)
    columns[0][0].set_ylabel("rate")
    columns[0][1].set_ylabel("gap / first gap")
    style.legend(figure, _entries(), below=True)
    return figure


def sooner(record: Json) -> list[float]:
    """Return, for every norm, the median over functions of the steps of the theorem's rate to the
    last target over those of the searched fixed rate.
    """
    return [
        statistics.median(
            theorem / fixed
            for theorem, fixed in zip(
                side["steps"]["theorem"][-1], side["steps"]["best_fixed"][-1], strict=True
            )
        )
        for side in record["norms"].values()
    ]


def finding(record: Json) -> str:
    """Return what the figure shows."""
    low, high = min(sooner(record)), max(sooner(record))
    return (
        "The rate of the theorem warms up, then decays, and peaks at the predicted gap. "
        "It is safe, not fast: a fixed rate searched for the one function arrives "
        f"{low:.0f} to {high:.0f} times sooner."
    )


def _entries() -> dict[str, Any]:
    from matplotlib.lines import Line2D

    entries: dict[str, Any] = {}
    for words, look in _LOOKS.values():
        line = Line2D([], [], **{k: v for k, v in look.items() if k != "dashes"})
        if "dashes" in look:
            line.set_dashes(look["dashes"])
        entries[words] = line
    return entries


def _rates(axes: Axes, side: Json) -> None:
    for name, (_, look) in _LOOKS.items():
        line = side["drawn"][name]
        axes.plot(np.array(line["step"][: len(line["lr"])]) + 1, line["lr"], **look)
    _log(axes)
    at, rate = side["predicted_peak_step"][0] + 1, side["peak_rate"][0]
    axes.axvline(at, color=palette.INK, linewidth=1, dashes=(2, 2), zorder=1)
    style.label(axes, (at, rate), (0, 8), "decay", ha="left", color=palette.THEORY)
    style.label(axes, (at, rate), (-6, 8), "warm-up", ha="right", color=palette.THEORY)


def _gaps(axes: Axes, side: Json, target: float) -> None:
    gap0 = side["gap0"][0]
    for name, (_, look) in _LOOKS.items():
        line = side["drawn"][name]
        gaps = np.array(line["gap"]) / gap0
        # Lines end where the target is reached, at the mark of the step that went below it.
        axes.plot(np.array(line["step"]) + 1, np.maximum(gaps, 1 / target), **look)
    _log(axes)
    peak, at = side["peak_gap"][0] / gap0, side["predicted_peak_step"][0] + 1
    axes.axhline(peak, color=palette.INK, linewidth=1, dashes=(2, 2), zorder=1)
    axes.axvline(at, color=palette.INK, linewidth=1, dashes=(2, 2), zorder=1)
    axes.plot(at, peak, "o", color=palette.INK, markersize=7, zorder=6)
    style.label(axes, (at, peak), (-8, 6), "predicted peak", ha="right", color=palette.INK)


def _ends(axes: Axes, side: Json, target: float) -> None:
    """Write how many steps each takes to the last target, where its line gets there."""
    axes.set_ylim(0.25 / target, 1.6)
    axes.axhline(1 / target, color=palette.MUTED, linewidth=1, zorder=1)
    ends = [(side["steps"][name][-1][0], look["color"], name) for name, (_, look) in _LOOKS.items()]
    for count, colour, name in ends:
        axes.plot(count + 1, 1 / target, "o", color=colour, markersize=6, zorder=7)
        # The two that were searched lie close together.
        ha, by = {"best_linear": ("right", 1), "best_fixed": ("left", -1)}.get(name, ("center", 0))
        end = (count + 1, 1 / target)
        style.label(axes, end, (-6 * by, -18), f"{count:,}", ha=ha, color=colour)
    axes.set_xlabel(f"step (numbers: steps to 1/{target:g})")


def _log(axes: Axes) -> None:
    from matplotlib.ticker import FuncFormatter

    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
