"""The four figures of the report, drawn from records and their summary, never from a training run.

`draw(records, summary, folder)` writes each as SVG and PNG:
    1 warmup_length   final validation loss against warm-up length, adaptive as a line across
    2 learning_rate   share of the peak rate against the step, every run
    3 losses          training and validation loss
    4 gap_to_rate     the law from gap to rate with the points of the runs on it
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autowarmup.lab.compare.loss_figure import draw_warmup_length
from autowarmup.lab.compare.stats import by_setup
from autowarmup.lab.report import style
from autowarmup.lab.report.words import rule_of, warmup_name
from autowarmup.rules.gap_law.law import peak_factor

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Record = Mapping[str, Any]
Json = Mapping[str, Any]

FIGURES = ("warmup_length", "learning_rate", "losses", "gap_to_rate")

# Weight of the past when the noise of single batches is smoothed for the eye.
_SMOOTHING = 0.85

_AFTER = "#b9c4ce"


def draw(records: Iterable[Record], summary: Json, folder: str | Path) -> list[str]:
    """Write every figure as `folder`/NAME.svg and .png and return the names."""
    records = list(records)
    groups = list(by_setup(records).values())
    setups = list(zip(summary["setups"], groups, strict=True))
    drawings: dict[str, Callable[[], Figure]] = {
        "warmup_length": lambda: draw_warmup_length(summary),
        "learning_rate": lambda: _learning_rate(setups, summary["main_rule"]),
        "losses": lambda: _losses(setups, summary["main_rule"]),
        "gap_to_rate": lambda: _gap_to_rate(setups, summary["main_rule"]),
    }
    if _lawless(records, summary["main_rule"]):
        del drawings["gap_to_rate"]
    for name, drawing in drawings.items():
        with style.styled(name):
            style.save(drawing(), Path(folder), name)
    return list(drawings)


def _lawless(records: Sequence[Record], main: str | None) -> bool:
    """Whether the main rule ran and knows no law of the gap, as the watched ramp."""
    runs = [record for record in records if rule_of(record["config"]) == main]
    ran = any(record.get("trace", {}).get("step") for record in runs)
    return ran and all(record.get("gap_peak") is None for record in runs)


def _shown(records: Sequence[Record], main: str | None) -> list[Record]:
    """Return the runs to draw as curves: the first seed of each hand-tuned and the main rule.

    Curves of more seeds and variants would lie on one another; their final values are in figure 1.
    """
    first = min(record["config"]["seed"] for record in records)
    kept = [
        record
        for record in records
        if record["config"]["seed"] == first
        and rule_of(record["config"]) in (main, f"linear {record['config']['warmup']}")
        and record.get("trace", {}).get("step")
    ]
    return sorted(kept, key=lambda record: rule_of(record["config"]) == main)


def _look(record: Record, colours: Mapping[str, str]) -> dict[str, Any]:
    if record["config"]["warmup"] == "adaptive":
        return {"color": style.ADAPTIVE, "linewidth": 2.4, "zorder": 5}
    return {"color": colours[record["config"]["warmup"]], "linewidth": 1.4, "zorder": 3}


def _colours(records: Sequence[Record]) -> dict[str, str]:
    warmups = {r["config"]["warmup"] for r in records if r["config"]["warmup"] != "adaptive"}
    return style.ramp(sorted(warmups), records[0]["config"]["steps"])


def _legend(figure: Figure, setups: Sequence[tuple[Json, Sequence[Record]]]) -> None:
    from matplotlib.lines import Line2D

    entries = {"adaptive": Line2D([], [], color=style.ADAPTIVE, linewidth=2.6)}
    for _, records in setups:
        for warmup, colour in _colours(records).items():
            name = warmup_name(warmup)
            entries.setdefault(
                name if warmup == "1" else f"warm-up {name}",
                Line2D([], [], color=colour, linewidth=2.2),
            )
    style.legend(figure, entries)


def _learning_rate(setups: Sequence[tuple[Json, Sequence[Record]]], main: str | None) -> Figure:
    figure, columns = style.panels(len(setups), height=3.0)
    for (setup, records), (axes,) in zip(setups, columns, strict=True):
        colours = _colours(records)
        for record in _shown(records, main):
            trace = record["trace"]
            percent = [None if f is None else 100 * f for f in trace["factor"]]
            axes.plot(trace["step"], _gaps_as_nan(percent), **_look(record, colours))
        axes.set_title(setup["label"])
        axes.set_ylim(0, 106)
        axes.set_xlim(0, setup["steps"])
        axes.set_xlabel("step")
        axes.set_ylabel("lr, % of its peak")
    _legend(figure, setups)
    return figure


def _losses(setups: Sequence[tuple[Json, Sequence[Record]]], main: str | None) -> Figure:
    figure, columns = style.panels(len(setups), rows_each=2, height=2.9)
    for (setup, records), (top, bottom) in zip(setups, columns, strict=True):
        colours = _colours(records)
        late: list[float] = []
        validation: list[float] = []
        for record in _shown(records, main):
            trace, curve = record["trace"], record.get("val_curve", {"step": [], "val_loss": []})
            smooth = _smoothed(trace["loss"])
            top.plot(trace["step"], smooth, **_look(record, colours))
            shown = _gaps_as_nan(curve["val_loss"])
            bottom.plot(curve["step"], shown, marker="o", markersize=3, **_look(record, colours))
            late += [x for x in smooth[len(smooth) // 8 :] if x == x]
            validation += [x for x in shown if math.isfinite(x)]
        if late:
            # No curve may leave at the bottom, where the best runs end.
            low, high = min(late + validation), sorted(late)[int(0.98 * (len(late) - 1))]
            for axes in (top, bottom):
                axes.set_ylim(low - 0.08 * (high - low) - 1e-3, high + 1e-3)
        top.set_title(setup["label"])
        top.set_ylabel("training loss (smoothed)")
        bottom.set_ylabel("validation loss")
        bottom.set_xlabel("step")
        for axes in (top, bottom):
            axes.set_xlim(0, setup["steps"])
    _legend(figure, setups)
    return figure


def _gap_to_rate(setups: Sequence[tuple[Json, Sequence[Record]]], main: str | None) -> Figure:
    from matplotlib.lines import Line2D

    figure, columns = style.panels(len(setups), height=3.2)
    for (setup, records), (axes,) in zip(setups, columns, strict=True):
        runs = [r for r in _shown(records, main) if rule_of(r["config"]) == main]
        axes.set_title(setup["label"])
        axes.set_ylabel("lr, % of its peak")
        axes.set_xlabel("gap (nats), falling as training goes on →")
        axes.set_ylim(0, 112)
        if runs and None not in (runs[0].get("gap0"), runs[0].get("gap_peak"), runs[0].get("div")):
            _draw_law(axes, runs[0])
        else:
            axes.set_xticks([])
            axes.text(
                0.5, 0.5, "no adaptive run stored", transform=axes.transAxes, ha="center",
                color=style.MUTED,
            )  # fmt: skip
    style.legend(
        figure,
        {
            "the law": Line2D([], [], color=style.INK, linewidth=1.3),
            "steps of the run, warm-up": _dot(style.ADAPTIVE, 6),
            "steps after the peak": _dot(_AFTER, 5),
        },
    )
    return figure


def _draw_law(axes: Axes, record: Record) -> None:
    """Draw the law of one run from right to left, as time goes, and the run's warm-up on it."""
    gap0, gap_peak, div = record["gap0"], record["gap_peak"], record["div"]
    trace = record["trace"]
    points = [
        (gap, 100 * factor, phase)
        for gap, factor, phase in zip(trace["gap"], trace["factor"], trace["phase"], strict=True)
        if gap is not None and factor is not None
    ]
    end = min([gap for gap, _, _ in points] + [gap_peak])
    grid = [end + (gap0 - end) * i / 300 for i in range(301)]
    law = [100 * peak_factor(gap, gap0, gap_peak, div) for gap in grid]
    axes.plot(grid, law, color=style.INK, linewidth=1.3, zorder=2)
    for warming, colour, size in ((False, _AFTER, 9), (True, style.ADAPTIVE, 24)):
        chosen = [(gap, share) for gap, share, phase in points if (phase == "warmup") == warming]
        axes.scatter(
            [gap for gap, _ in chosen], [share for _, share in chosen],
            s=size, color=colour, zorder=4, linewidths=0,
        )  # fmt: skip
    axes.set_xlim(gap0 + 0.04 * (gap0 - end), end - 0.04 * (gap0 - end))
    if div <= 1:
        axes.text(gap0, 104, "measured start: no warm-up needed", color=style.ADAPTIVE)
        return
    axes.axvline(gap_peak, color=style.FAINT, linewidth=1.2, zorder=1)
    text = f"starts at lr / {div:.3g}, peak at gap {gap_peak:.2f}"
    axes.text(gap0, 104, text, color=style.ADAPTIVE)


def _dot(colour: str, size: float) -> Any:
    from matplotlib.lines import Line2D

    return Line2D([], [], color=colour, marker="o", markersize=size, linestyle="none")


def _gaps_as_nan(values: Sequence[float | None]) -> list[float]:
    return [float("nan") if value is None else value for value in values]


def _smoothed(values: Sequence[float | None]) -> list[float]:
    """Return a bias-corrected exponential average; missing values are skipped over."""
    total, weight, smooth = 0.0, 0.0, []
    for value in values:
        if value is not None:
            total = _SMOOTHING * total + (1 - _SMOOTHING) * value
            weight = _SMOOTHING * weight + (1 - _SMOOTHING)
        smooth.append(total / weight if weight else float("nan"))
    return smooth
