"""Figure 1: what each warm-up length ended at, and where adaptive warm-up ended without tuning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from autowarmup.lab.report import style
from autowarmup.lab.report.numbers import percent
from autowarmup.lab.report.words import mean_end, no_number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Json = Mapping[str, Any]

# A label next to the adaptive line takes about this share of a panel's width and height.
_LABEL_SIZE = (0.5, 0.09)


def draw_warmup_length(summary: Json) -> Figure:
    """Return the figure: one panel per set-up."""
    setups = summary["setups"]
    figure, columns = style.panels(len(setups), height=3.7)
    for setup, (axes,) in zip(setups, columns, strict=True):
        _panel(axes, setup, summary["main_rule"])
    style.legend(figure, _entries(summary))
    return figure


def _panel(axes: Axes, setup: Json, main: str | None) -> None:
    linear = [rule for rule in setup["rules"] if rule["kind"] == "linear"]
    adaptive = [rule for rule in setup["rules"] if rule["kind"] == "adaptive"]
    chosen = next((rule for rule in adaptive if rule["rule"] == main), None)
    others = [rule for rule in adaptive if rule is not chosen]
    low, high = _limits(linear, chosen, others)
    shares = [rule["warmup_steps"] / setup["steps"] for rule in linear]
    style.percent_axis(axes, shares or [0.01, 0.1, 1.0])
    axes.set_xlim(min(shares, default=0.01) * 0.6, max(max(shares, default=1.0) * 1.8, 0.5))
    axes.set_ylim(low, high)
    axes.set_title(setup["label"])
    axes.set_xlabel("length of warm-up, % of the run")
    axes.set_ylabel("final validation loss")
    _draw_linear(axes, setup, linear, shares)
    for rule in others:
        _draw_other(axes, setup, rule, high)
    if chosen is not None:
        _draw_adaptive(axes, setup, chosen)


def _limits(
    linear: Sequence[Json], chosen: Json | None, others: Sequence[Json]
) -> tuple[float, float]:
    """Return the loss axis: the main values and all below, but not everything far above them.

    One bad variant must not flatten the rest; it is drawn at the upper edge.
    """
    values = [v for rule in linear for v in (rule["min"], rule["max"]) if v is not None]
    if chosen is not None:
        values += [v for v in (chosen["min"], chosen["max"]) if v is not None]
    if not values:
        return 0.0, 1.0
    variants = [rule["val_loss"] for rule in others if rule["val_loss"] is not None]
    values += [v for v in variants if v <= max(values) + 0.5 * (max(values) - min(values))]
    spread = max(max(values) - min(values), 0.01 * abs(max(values)), 1e-3)
    return min(values) - 0.2 * spread, max(values) + 0.28 * spread


def _draw_adaptive(axes: Axes, setup: Json, rule: Json) -> None:
    """Draw the adaptive rule across, its label where the panel is emptiest."""
    value = rule["val_loss"]
    if value is None:
        axes.text(
            0.02, 0.95, f"adaptive: {no_number(rule)}", transform=axes.transAxes, va="top",
            color=style.ADAPTIVE, weight="bold",
        )  # fmt: skip
        return
    if rule["max"] > rule["min"]:
        axes.axhspan(rule["min"], rule["max"], color=style.ADAPTIVE, alpha=0.13, linewidth=0)
    drawn = _drawn_points(axes)
    axes.axhline(value, color=style.ADAPTIVE, linewidth=2.6, zorder=4)
    axes.plot(
        _end_share(axes, setup, rule), value, marker="D", markersize=7.5, zorder=7,
        color=style.ADAPTIVE, markeredgecolor="white", markeredgewidth=1.0,
    )  # fmt: skip
    text = f"adaptive {value:.3f}"
    if rule["regret"] is not None:
        text += f" ({percent(rule['regret'])})"
    right, above = _emptiest_corner(axes, value, drawn)
    axes.annotate(
        text, (0.985 if right else 0.015, value), xycoords=("axes fraction", "data"),
        xytext=(0, 6 if above else -6), textcoords="offset points",
        ha="right" if right else "left", va="bottom" if above else "top",
        color=style.ADAPTIVE, weight="bold", zorder=8, path_effects=style.halo(),
    )  # fmt: skip


def _drawn_points(axes: Axes) -> list[tuple[float, float]]:
    """Return points along everything drawn so far, in fractions of the panel."""
    points: list[tuple[float, float]] = []
    for line in axes.lines:
        pixels = line.get_transform().transform(line.get_xydata())
        corners = [(float(x), float(y)) for x, y in axes.transAxes.inverted().transform(pixels)]
        points += corners
        for (x0, y0), (x1, y1) in pairwise(corners):
            points += [(x0 + (x1 - x0) * i / 40, y0 + (y1 - y0) * i / 40) for i in range(1, 40)]
    return points


def _emptiest_corner(
    axes: Axes, value: float, drawn: Sequence[tuple[float, float]]
) -> tuple[bool, bool]:
    """Return (right, above): on which side of the line a label covers the least."""
    low, high = axes.get_ylim()
    line = (value - low) / (high - low)
    width, height = _LABEL_SIZE

    def covered(corner: tuple[bool, bool]) -> int:
        right, above = corner
        left, bottom = 1 - width if right else 0.0, line if above else line - height
        if bottom < 0 or bottom + height > 1:
            return len(drawn) + 1
        return sum(left <= x <= left + width and bottom <= y <= bottom + height for x, y in drawn)

    return min([(True, False), (True, True), (False, False), (False, True)], key=covered)


def _end_share(axes: Axes, setup: Json, rule: Json) -> float:
    """Return where the rule's warm-up ended, as a share of the run inside the panel."""
    left, right = axes.get_xlim()
    end = mean_end(rule)
    share = right if end is None else max(1.0, end) / setup["steps"]
    return min(max(share, left), right)


def _draw_linear(axes: Axes, setup: Json, linear: Sequence[Json], shares: Sequence[float]) -> None:
    known = [(share, rule) for share, rule in zip(shares, linear, strict=True) if rule["val_loss"]]
    axes.plot(
        [share for share, _ in known],
        [rule["val_loss"] for _, rule in known],
        color=style.HAND_TUNED,
        linewidth=1.3,
        zorder=5,
    )
    colours = style.ramp([rule["warmup"] for rule in linear], setup["steps"])
    for share, rule in zip(shares, linear, strict=True):
        for loss in rule["val_losses"]:
            if loss is not None and len(rule["val_losses"]) > 1:
                axes.plot(share, loss, marker=".", color=style.HAND_TUNED, markersize=4, zorder=5)
        if rule["val_loss"] is None:
            _draw_trouble(axes, share, rule)
            continue
        axes.plot(
            share, rule["val_loss"], marker="o", markersize=7.5, zorder=6,
            color=colours[rule["warmup"]], markeredgecolor=style.HAND_TUNED, markeredgewidth=1.1,
        )  # fmt: skip
        if rule["rule"] == setup["best_hand_tuned"]:
            axes.plot(
                share, rule["val_loss"], marker="o", markersize=14, zorder=6,
                color="none", markeredgecolor=style.HAND_TUNED, markeredgewidth=1.6,
            )  # fmt: skip


def _draw_trouble(axes: Axes, share: float, rule: Json) -> None:
    top = axes.get_ylim()[1]
    axes.plot(
        share, top, marker="X", markersize=9, color=style.TROUBLE, zorder=7, clip_on=False,
        markeredgecolor="white",
    )  # fmt: skip
    axes.annotate(
        no_number(rule), (share, top), xytext=(0, -9), textcoords="offset points", ha="center",
        va="top", color=style.TROUBLE, fontsize=8.5, rotation=90,
    )  # fmt: skip


def _draw_other(axes: Axes, setup: Json, rule: Json, high: float) -> None:
    """Mark another adaptive rule where its warm-up ended; above the axis at its edge."""
    if rule["val_loss"] is None:
        return
    above = rule["val_loss"] > high
    colour = style.ADAPTIVE_BY_PEAK.get(rule["peak"], style.ADAPTIVE_OTHER)
    axes.plot(
        _end_share(axes, setup, rule), min(rule["val_loss"], high),
        marker="^" if above else "D", markersize=6.5, markeredgewidth=1.5, zorder=5.5,
        color=colour if rule["calibrate"] else "white", markeredgecolor=colour, clip_on=False,
    )  # fmt: skip


def _entries(summary: Json) -> dict[str, Any]:
    from matplotlib.lines import Line2D

    blue = style.HAND_TUNED
    entries = {
        "adaptive warm-up (diamond: where it ended)": Line2D(
            [], [], color=style.ADAPTIVE, linewidth=2.6, marker="D", markersize=7
        ),
        "hand-tuned linear warm-up": Line2D(
            [], [], color=blue, marker="o", markerfacecolor="#8fa9c2", linewidth=1.3
        ),
        "best hand-tuned": Line2D(
            [], [], color="none", marker="o", markersize=12, markeredgecolor=blue,
            markeredgewidth=1.6,
        ),
    }  # fmt: skip
    rules = [r for s in summary["setups"] for r in s["rules"] if r["kind"] == "adaptive"]
    for rule in rules:
        if rule["rule"] == summary["main_rule"]:
            continue
        colour = style.ADAPTIVE_BY_PEAK.get(rule["peak"], style.ADAPTIVE_OTHER)
        entries.setdefault(
            rule["rule"],
            Line2D(
                [], [], color="none", marker="D", markeredgecolor=colour, markeredgewidth=1.5,
                markerfacecolor=colour if rule["calibrate"] else "white",
            ),
        )  # fmt: skip
    return entries
