"""How recorded updates look: sentences, and curves in axes of matplotlib. Needs no other room."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

RATE, LOSS, LOWERED, LAW = "#c04f0e", "#5b6672", "#700408", "#7a5a00"
"""What the rate, the loss, a lowered rate and a fitted law have on the pages of the lab too."""
Curve = Sequence[tuple[int, float]]


def told(points: Sequence[Any]) -> str:
    """Return what points of a trace show, in sentences.

    Args:
        points: with `step`, `loss`, `lr`, `status`, `K`, ..., as `autowarmup.history.Point` has.
    """
    return " ".join(_sentences(points))


def _sentences(points: Sequence[Any]) -> Iterator[str]:
    if not points:
        yield "No update is recorded."
        return
    count = "1 point" if len(points) == 1 else f"{len(points):,} points"
    yield f"{count} of updates {points[0].step:,} to {points[-1].step:,}."
    seen = [point for point in points if math.isfinite(point.loss)]
    if seen:
        yield f"The loss went from {seen[0].loss:.4g} to {seen[-1].loss:.4g}."
    else:
        yield "No loss is finite."
    rates = [point for point in points if point.lr is not None]
    if rates:
        highest = max(rates, key=lambda point: point.lr)
        yield f"The rate was highest at update {highest.step:,}, at {highest.lr:.3g}."
    low = [point.step for point in points if point.status == "LOWERED"]
    if low:
        times = "once" if len(low) == 1 else f"{len(low)} times"
        yield f"The loss had it lowered {times}, first at update {low[0]:,}."
    if measured := sum(point.K is not None for point in points):
        yield f"Curvature was measured at {measured:,} of the points."


def run_curves(points: Sequence[Any]) -> tuple[Curve, Curve, Curve]:
    """Return (update, rate), (update, loss) and where the loss had the rate lowered."""
    rates = [(point.step, point.lr) for point in points if point.lr is not None]
    losses = [(point.step, point.loss) for point in points if math.isfinite(point.loss)]
    low = [(p.step, p.lr) for p in points if p.status == "LOWERED" and p.lr is not None]
    return rates, losses, low


def new_axes(axes: Axes | None) -> Axes:
    """Return the axes, or new ones.

    Raises:
        ModuleNotFoundError: matplotlib is missing.
        ValueError: what is given is no axes.
    """
    if axes is not None:
        if not hasattr(axes, "plot"):
            raise ValueError(f"expected axes of matplotlib, got {axes!r}")
        return axes
    try:
        from matplotlib import pyplot
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "plot needs matplotlib: expected pip install 'autowarmup[report]'"
        ) from error
    return pyplot.figure(figsize=(7, 3.4), layout="constrained").add_subplot()


def draw_run(points: Sequence[Any], coming: Curve, title: str, axes: Axes | None) -> Axes:
    """Draw the rate over the updates, the loss behind it, and dotted what is still to come."""
    axes = new_axes(axes)
    made, losses, low = run_curves(points)
    if losses:
        behind = axes.twinx()
        behind.plot(*zip(*losses, strict=True), color=LOSS, linewidth=0.8, alpha=0.6)
        behind.set_ylabel("training loss", color=LOSS)
        axes.set_zorder(behind.get_zorder() + 1)
        axes.patch.set_visible(False)
    if made:
        axes.plot(*zip(*made, strict=True), color=RATE, linewidth=2, label="learning rate")
    if coming:
        label = "to come, if no loss lowers it"
        axes.plot(*zip(*coming, strict=True), color=RATE, linewidth=2, linestyle=":", label=label)
    if low:
        axes.plot(*zip(*low, strict=True), "v", color=LOWERED, label="lowered because of the loss")
    axes.set_xlabel("update")
    axes.set_ylabel("learning rate", color=RATE)
    axes.set_ylim(bottom=0.0)
    axes.set_title(title, loc="left", fontsize=10)
    if made or coming:
        # The loss lies behind: it must not run through the words.
        axes.legend(loc="best", frameon=True, framealpha=0.85, edgecolor="none", fontsize=9)
    return axes
