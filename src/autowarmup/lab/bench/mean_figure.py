"""Every rule's mean and worst regret: the figure of the README."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from autowarmup.lab.bench.names import TUNED_ONCE
from autowarmup.lab.bench.verdict import ranked
from autowarmup.lab.report import palette, style
from autowarmup.lab.report.numbers import percent, tick_percent
from autowarmup.lab.report.rule_looks import colour_of, marker_of
from autowarmup.lab.report.words import rule_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Json = Mapping[str, Any]

# Right edges of the columns of numbers, in points from the axes.
_COLUMNS = (64, 124, 196)
LEGEND = {
    "fixed": "one fixed length for all",
    "literature": "rule from a paper",
    "own": "other rule tried here",
}
"""Kinds of rules in the legends of figures."""


def draw_mean_regret(summary: Json) -> Figure | None:
    """Draw a line per rule from its mean regret to its worst; `None` without any number."""
    rows = _rows(summary)
    if not rows:
        return None
    narrow = style.is_narrow()
    figure = style.canvas(10.0, 2.2 + (0.42 if narrow else 0.31) * len(rows))
    axes = figure.subplots()
    low, high = _limits(rows)
    axes.set_xlim(low, high)
    axes.set_ylim(len(rows) - 0.4, -0.75)
    axes.grid(axis="y", visible=False)
    axes.axvline(0.0, color=palette.INK, linewidth=1.4, zorder=2)
    for at, row in enumerate(rows):
        _draw_row(axes, at, row, high)
    _write_columns(axes, rows)
    axes.tick_params(length=0)
    axes.spines["left"].set_visible(False)
    names = [] if narrow else [row["text"] for row in rows]
    axes.set_yticks(range(len(names)), names)
    for label, row in zip(axes.get_yticklabels(), rows, strict=False):
        label.set_color(palette.INK)
        label.set_fontweight("bold" if row["main"] else "normal")
    axes.xaxis.set_major_formatter(tick_percent)
    above = "above the best length\n" if narrow else "final loss above the best hand-tuned warm-up "
    axes.set_xlabel(f"{above}(left is better)")
    lengths = sum(line["kind"] == "fixed" for line in summary["rules"].values())
    words = f"0: the best of {lengths} hand-tuned lengths"
    axes.annotate(
        words if narrow else f"{words}, searched anew in each of {summary['judged']} set-ups",
        (0.0, 1.0), xycoords=("data", "axes fraction"), xytext=(-3, 22 if narrow else 5),
        textcoords="offset points", color=palette.INK, fontsize=9.5,
    )  # fmt: skip
    style.legend(figure, _entries(rows), below=True)
    return figure


def _rows(summary: Json) -> list[dict[str, Any]]:
    rows = []
    for rule, line in ranked(summary):
        if line["mean_regret"] is None:
            continue
        main = rule == summary["default_rule"]
        rows.append(
            {
                **line,
                "text": f"{rule_name(rule)} (default)" if main else rule_name(rule),
                "main": main,
                "open": rule == TUNED_ONCE,
                "colour": colour_of(line["kind"], main=main),
                "marker": marker_of(line["kind"], main=main),
                "lost": line["diverged_where_hand_tuned_survives"],
            }
        )
    return rows


def _limits(rows: Sequence[Json]) -> tuple[float, float]:
    """Return an x axis on which the differences between good rules can be seen.

    One rule that fails somewhere would squeeze all others together: what lies beyond is an arrow.
    """
    worst = [row["worst_regret"] for row in rows]
    middle = max(statistics.median(worst), 0.01)
    high = min(max(max(worst), 0.01), 2.2 * middle)
    low = min(0.0, *(row["mean_regret"] for row in rows))
    return low - 0.04 * (high - low), 1.04 * high


def _draw_row(axes: Axes, at: int, row: Json, high: float) -> None:
    colour, mean, worst = row["colour"], row["mean_regret"], row["worst_regret"]
    beyond = worst > high or bool(row["lost"])
    if row["main"]:
        axes.axhspan(at - 0.47, at + 0.47, color=palette.MAIN, zorder=0, linewidth=0)
    end = high if beyond else worst
    if style.is_narrow():
        weight = "bold" if row["main"] else "normal"
        axes.annotate(row["text"], (0, at), xycoords=("axes fraction", "data"), xytext=(6, 6),
                      textcoords="offset points", va="bottom", fontsize=9.5, fontweight=weight,
                      gid="halo", zorder=6)  # fmt: skip
    if mean < high:
        axes.plot([mean, end], [at, at], color=colour, linewidth=1.3, alpha=0.75, zorder=3)
        axes.plot(
            mean, at, marker=row["marker"], markersize=9 if row["main"] else 7.5, zorder=5,
            color=palette.GROUND if row["open"] else colour, markeredgecolor=colour,
            markeredgewidth=1.6,
        )  # fmt: skip
    axes.plot(
        end, at, marker=">" if beyond else "|", markersize=6 if beyond else 9, color=colour,
        zorder=4, clip_on=False, markeredgewidth=1.6,
    )  # fmt: skip


def _write_columns(axes: Axes, rows: Sequence[Json]) -> None:
    """Write the numbers behind the marks to the right of the axes."""
    columns = _COLUMNS[:2] if style.is_narrow() else _COLUMNS

    def write(at: float, texts: Sequence[str], ink: str, weight: str = "normal") -> None:
        for x, text in zip(columns, texts, strict=False):
            axes.annotate(
                text, (1.0, at), xycoords=("axes fraction", "data"), xytext=(x, 0),
                textcoords="offset points", ha="right", va="center", fontsize=9.5,
                color=palette.WORSE if "diverged" in text else ink, fontweight=weight,
                annotation_clip=False,
            )  # fmt: skip

    write(-1.0, ("mean", "worst", "won or tied"), palette.MUTED)
    for at, row in enumerate(rows):
        worst = f"{row['lost']} diverged" if row["lost"] else percent(row["worst_regret"])
        share = percent(row["win_or_tie_share"], 0, signed=False)
        texts = (percent(row["mean_regret"], 2), worst, share)
        write(at, texts, palette.INK, "bold" if row["main"] else "normal")


def _entries(rows: Sequence[Json]) -> dict[str, Any]:
    entries: dict[str, Any] = {
        "mean, and a line to the worst set-up": style.dot("none", markeredgecolor=palette.MUTED)
    }
    if any(row["main"] for row in rows):
        entries["default of this library"] = style.dot(palette.DEFAULT, marker="D")
    kinds = {row["kind"] for row in rows if not row["main"]}
    held = {text: kind for kind, text in LEGEND.items() if kind in kinds}
    return entries | {
        text: style.dot(colour_of(kind), marker=marker_of(kind)) for text, kind in held.items()
    }
