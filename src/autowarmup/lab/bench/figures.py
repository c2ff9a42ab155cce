"""The figures of the benchmark, drawn from the summary and the records, never from a training run.

`draw(records, summary, folder)` writes each as SVG and PNG:
    1 mean_regret   every rule's mean and worst regret, for the README
    2 heat_map      set-up x rule
    3 worst_cases   loss and rate of a rule in its worst set-up (`bench.worst_figure`)
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autowarmup.lab.bench.heat_figure import draw_heat_map
from autowarmup.lab.bench.labels import KINDS, TUNED_ONCE, rule_name
from autowarmup.lab.bench.looks import colour_of, tick_text
from autowarmup.lab.bench.worst_figure import draw_worst_cases
from autowarmup.lab.report import style
from autowarmup.lab.report.numbers import percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Json = Mapping[str, Any]

FIGURES = ("mean_regret", "heat_map", "worst_cases")

# Right edges of the columns of numbers, in points from the axes.
_COLUMNS = (64, 124, 196)


def draw(records: Iterable[Json], summary: Json, folder: str | Path) -> list[str]:
    """Write every figure that has something to show as `folder`/NAME.svg and .png; their names."""
    records = [record for record in records if not record["options"]]
    drawings: dict[str, Callable[[], Figure | None]] = {
        "mean_regret": lambda: draw_mean_regret(summary),
        "heat_map": lambda: draw_heat_map(summary),
        "worst_cases": lambda: draw_worst_cases(records, summary),
    }
    drawn = []
    for name, drawing in drawings.items():
        with style.styled(f"bench-{name}"):
            if (figure := drawing()) is not None:
                style.save(figure, Path(folder), name)
                drawn.append(name)
    return drawn


def draw_mean_regret(summary: Json) -> Figure | None:
    """Draw a line per rule from its mean regret to its worst; `None` without any number."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = _rows(summary)
    if not rows:
        return None
    figure = Figure(figsize=(10.0, 1.75 + 0.31 * len(rows)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    low, high = _limits(rows)
    axes.set_xlim(low, high)
    axes.set_ylim(len(rows) - 0.4, -0.75)
    axes.grid(axis="y", visible=False)
    axes.axvline(0.0, color=style.INK, linewidth=1.4, zorder=2)
    for at, row in enumerate(rows):
        _draw_row(axes, at, row, high)
    _write_columns(axes, rows)
    axes.tick_params(length=0)
    axes.spines["left"].set_visible(False)
    axes.set_yticks(range(len(rows)), [row["text"] for row in rows])
    for label, row in zip(axes.get_yticklabels(), rows, strict=True):
        label.set_color(row["colour"] if row["main"] else style.INK)
        label.set_fontweight("bold" if row["main"] else "normal")
    axes.xaxis.set_major_formatter(tick_text)
    axes.set_xlabel("final loss above the best hand-tuned warm-up (left is better)")
    figure.suptitle(
        f"What a warm-up rule costs when used unchanged in {len(summary['setups'])} set-ups",
        x=0.012, ha="left", fontsize=12.5, fontweight="bold",
    )  # fmt: skip
    lengths = sum(line["kind"] == "fixed" for line in summary["rules"].values())
    axes.annotate(
        f"0: the best of {lengths} hand-tuned lengths, searched anew in each set-up",
        (0.0, 1.0), xycoords=("data", "axes fraction"), xytext=(-3, 5),
        textcoords="offset points", color=style.INK, fontsize=9.5,
    )  # fmt: skip
    figure.legend(
        list(_entries(rows).values()), list(_entries(rows)), loc="outside lower left",
        ncols=5, fontsize=9.5, handletextpad=0.5, columnspacing=1.4,
    )  # fmt: skip
    return figure


def _rows(summary: Json) -> list[dict[str, Any]]:
    """Return what to draw, the lowest mean first, with hand tuning on one seed among the rules."""
    lines = [(rule, line) for rule, line in summary["rules"].items()]
    lines.append((TUNED_ONCE, summary["hand_tuned_cross_validated"]))
    rows = []
    for rule, line in lines:
        if line["mean_regret"] is None:
            continue
        main = rule == summary["default_rule"]
        rows.append(
            {
                "text": f"{rule_name(rule)} (default)" if main else rule_name(rule),
                "main": main,
                "kind": line["kind"],
                "open": rule == TUNED_ONCE,
                "colour": colour_of(line["kind"], main=main),
                "mean": line["mean_regret"],
                "worst": line["worst_regret"],
                "share": line["win_or_tie_share"],
                "lost": line["diverged_where_hand_tuned_survives"],
            }
        )
    return sorted(rows, key=lambda row: row["mean"])


def _limits(rows: Sequence[Mapping[str, Any]]) -> tuple[float, float]:
    """Return an x axis on which the differences between good rules can be seen.

    One rule that fails somewhere would squeeze all others together: what lies beyond is an arrow.
    """
    worst = [row["worst"] for row in rows]
    middle = max(statistics.median(worst), 0.01)
    high = min(max(max(worst), 0.01), 2.2 * middle)
    low = min(0.0, *(row["mean"] for row in rows))
    return low - 0.04 * (high - low), 1.04 * high


def _draw_row(axes: Axes, at: int, row: Mapping[str, Any], high: float) -> None:
    colour, beyond = row["colour"], row["worst"] > high or bool(row["lost"])
    if row["main"]:
        axes.axhspan(at - 0.47, at + 0.47, color="#fdf0e6", zorder=0, linewidth=0)
    end = high if beyond else row["worst"]
    if row["mean"] < high:
        axes.plot([row["mean"], end], [at, at], color=colour, linewidth=1.3, alpha=0.75, zorder=3)
        axes.plot(
            row["mean"], at, marker="o", markersize=10 if row["main"] else 8, zorder=5,
            color="white" if row["open"] else colour, markeredgecolor=colour, markeredgewidth=1.6,
        )  # fmt: skip
    axes.plot(
        end, at, marker=">" if beyond else "|", markersize=6 if beyond else 9, color=colour,
        zorder=4, clip_on=False, markeredgewidth=1.6,
    )  # fmt: skip


def _write_columns(axes: Axes, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write the numbers behind the marks to the right of the axes."""

    def write(at: float, texts: Sequence[str], ink: str, weight: str = "normal") -> None:
        for x, text in zip(_COLUMNS, texts, strict=True):
            axes.annotate(
                text, (1.0, at), xycoords=("axes fraction", "data"), xytext=(x, 0),
                textcoords="offset points", ha="right", va="center", fontsize=9.5,
                color=style.TROUBLE if "diverged" in text else ink, fontweight=weight,
                annotation_clip=False,
            )  # fmt: skip

    write(-1.0, ("mean", "worst", "won or tied"), style.MUTED)
    for at, row in enumerate(rows):
        worst = f"{row['lost']} diverged" if row["lost"] else percent(row["worst"])
        share = "–" if row["share"] is None else f"{100 * row['share']:.0f} %"
        texts = (percent(row["mean"], 2), worst, share)
        write(at, texts, style.INK, "bold" if row["main"] else "normal")


def _entries(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the legend: what dot, line and colours mean."""
    from matplotlib.lines import Line2D

    def dot(colour: str) -> Line2D:
        return Line2D([], [], color="none", marker="o", markersize=8, markerfacecolor=colour,
                      markeredgecolor=colour)  # fmt: skip

    entries: dict[str, Any] = {
        "mean, with a line to the worst set-up": dot(style.MUTED),
    }
    if any(row["main"] for row in rows):
        entries["default of this library"] = dot(style.ADAPTIVE)
    for kind, text in KINDS.items():
        if any(row["kind"] == kind and not row["main"] for row in rows):
            entries[_LEGEND.get(kind, text)] = dot(colour_of(kind))
    return entries


_LEGEND = {
    "fixed": "one fixed length for all",
    "published": "published rule",
    "candidate": "other rule tried here",
}
