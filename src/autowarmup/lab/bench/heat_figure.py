"""Set-up x rule: one coloured cell per regret."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from autowarmup.lab.bench.names import rate_name, variant_parts
from autowarmup.lab.report import palette, style
from autowarmup.lab.report.numbers import percent
from autowarmup.lab.report.words import optimizer_name, rule_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Json = Mapping[str, Any]

CLIP = 0.10
"""Regret at which colours saturate."""


def draw_heat_map(summary: Json) -> Figure | None:
    """Draw the regret of every rule in every set-up; `None` without a set-up."""
    setups, rules = summary["setups"], list(summary["rules"])
    if not setups or not rules or style.is_narrow():
        return None  # as many columns as rules: a narrow screen scrolls through the wide drawing
    width, height = 4.6 + 0.44 * len(rules), 2.5 + 0.225 * (len(setups) + 1)
    figure = style.canvas(max(width, 7.5), max(height, 3.6))
    axes = figure.subplots()
    from matplotlib.colors import ListedColormap

    means = [summary["rules"][rule]["mean_regret"] for rule in rules]
    table = [means, *([setup["regrets"].get(rule) for rule in rules] for setup in setups)]
    values = np.array([[np.nan if v is None else v for v in row] for row in table], dtype=float)
    mesh = axes.pcolormesh(
        np.ma.masked_invalid(100 * values), cmap=ListedColormap(palette.REGRET),
        vmin=-100 * CLIP, vmax=100 * CLIP, edgecolors=palette.GROUND, linewidth=0.8,
    )  # fmt: skip
    axes.set_ylim(len(table), 0)
    axes.grid(visible=False)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    _write_cells(axes, table, setups, rules)
    _name_rows(axes, setups, len(rules))
    _name_columns(axes, summary, rules)
    bar = figure.colorbar(
        mesh, ax=axes, location="bottom", shrink=0.5, aspect=45, pad=0.012, extend="both"
    )
    if bar.solids is not None:
        bar.solids.set_rasterized(False)  # or the page would hold a bitmap
    bar.outline.set_edgecolor(palette.OTHER)  # type: ignore[operator]
    bar.set_label(
        "regret in %: green, −: better than the best hand-tuned length; brown to red, +: worse"
    )
    return figure


def _strong(regret: float) -> bool:
    """Return whether the colour map shows a regret as one of its strong colours."""
    colours = len(palette.REGRET)
    at = min(max(int((regret + CLIP) / (2 * CLIP) * colours), 0), colours - 1)
    return abs(at - colours // 2) > colours // 4


def _write_cells(
    axes: Axes, table: Sequence[Sequence[float | None]], setups: Sequence[Json], rules: list[str]
) -> None:
    from matplotlib.patches import Rectangle

    for row, values in enumerate(table):
        for column, value in enumerate(values):
            x, y = column + 0.5, row + 0.5
            if value is not None:
                text, weight = percent(value).removesuffix(" %"), "normal" if row else "bold"
                ink = palette.GROUND if _strong(value) else palette.INK
            else:
                lost = row > 0 and setups[row - 1]["diverged"].get(rules[column], 0) > 0
                text, weight, ink = ("div." if lost else "–"), "normal", palette.MUTED
                ink, colour = (palette.GROUND, palette.INK) if lost else (ink, palette.GRID)
                axes.add_patch(
                    Rectangle((column, row), 1, 1, facecolor=colour, edgecolor=palette.GROUND)
                )
            axes.text(x, y, text, ha="center", va="center", fontsize=8, color=ink,
                      fontweight=weight)  # fmt: skip


def _name_rows(axes: Axes, setups: Sequence[Json], columns: int) -> None:
    """Name rows on the left, with a bar per optimizer, and the best length on the right."""
    names = [", ".join([rate_name(s["setup"]), *variant_parts(s["setup"])]) for s in setups]
    axes.set_yticks(np.arange(len(setups) + 1) + 0.5, ["mean over set-ups", *names], fontsize=9)
    axes.get_yticklabels()[0].set_fontweight("bold")
    axes.axhline(1.0, color=palette.INK, linewidth=1.4)
    for row, setup in enumerate(setups, start=1):
        best, noise = setup["best_hand_tuned"], setup["seed_noise"]
        text = "none finished" if best is None else rule_name(best).removeprefix("linear ")
        text += "" if noise is None else f"  ±{100 * noise:.1f}"
        axes.text(columns + 0.15, row + 0.5, text, va="center", fontsize=8.5, color=palette.MUTED)
    axes.text(
        columns + 0.15, 0.5, "best length, ± noise", va="center", fontsize=8.5,
        color=palette.HAND, fontweight="bold",
    )  # fmt: skip
    optimizers = [setup["setup"]["optimizer"] for setup in setups]
    for optimizer in dict.fromkeys(optimizers):
        first = optimizers.index(optimizer) + 1
        count = optimizers.count(optimizer)
        if first > 1:
            axes.axhline(first, color=palette.INK, linewidth=0.9)
        # A group of one row has no room for its name along the side.
        axes.annotate(
            optimizer_name(optimizer), (0, first + count / 2), xycoords=("axes fraction", "data"),
            xytext=(-208, 0), textcoords="offset points", ha="center", va="center",
            rotation=90 if count > 3 else 0, fontweight="bold", fontsize=10, annotation_clip=False,
        )  # fmt: skip


def _name_columns(axes: Axes, summary: Json, rules: Sequence[str]) -> None:
    axes.xaxis.tick_top()
    axes.set_xticks(
        np.arange(len(rules)) + 0.5,
        [rule_name(r) + (" (default)" if r == summary["default_rule"] else "") for r in rules],
        rotation=50, ha="left", rotation_mode="anchor", fontsize=9.5,
    )  # fmt: skip
    for label, rule in zip(axes.get_xticklabels(), rules, strict=True):
        main = rule == summary["default_rule"]
        label.set_color(palette.DEFAULT if main else palette.INK)
        label.set_fontweight("bold" if main else "normal")
    if summary["default_rule"] in rules:
        from matplotlib.patches import Rectangle

        at = rules.index(summary["default_rule"])
        axes.add_patch(
            Rectangle(
                (at, 0), 1, len(summary["setups"]) + 1, fill=False, edgecolor=palette.DEFAULT,
                linewidth=2.2, zorder=5, clip_on=False,
            )
        )  # fmt: skip
