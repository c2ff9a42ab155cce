"""Curves of runs: every run of a few set-ups, or each rule where it does worst."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from autowarmup.lab.bench.mean_figure import LEGEND
from autowarmup.lab.bench.rules import length_of
from autowarmup.lab.bench.setups import key
from autowarmup.lab.report import palette, style
from autowarmup.lab.report.numbers import percent, tick_percent
from autowarmup.lab.report.rule_looks import colour_of
from autowarmup.lab.report.words import broken, rule_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Json = Mapping[str, Any]
Looks = dict[str, dict[str, Any]]

PANELS = 12
# Weight of the past for the eye; a stored point is a mean over a stretch already.
_SMOOTHING = 0.6
_FIRST = 0.25  # share of the run whose difference may leave the axis: rates differ most there


def grouped(records: Sequence[Json]) -> dict[str, list[Json]]:
    """Return the records of each set-up, by its key."""
    groups: dict[str, list[Json]] = {}
    for record in records:
        groups.setdefault(key(record["setup"]), []).append(record)
    return groups


def looks_of(summary: Json) -> Looks:
    """Return how each rule is drawn: lengths from pale to dark blue, the default on top."""
    lines, steps = summary["rules"], summary["setups"][0]["setup"]["steps"]
    lengths = {rule: length_of(rule, steps) for rule in lines if lines[rule]["kind"] == "fixed"}
    looks: Looks = {
        rule: {"color": colour, "linewidth": 1.4, "zorder": 3}
        for rule, colour in style.length_colours(
            sorted(lengths, key=lambda r: lengths[r] or 0)
        ).items()
    }
    for rule in lines:
        main = rule == summary["default_rule"]
        look = {"color": colour_of(lines[rule]["kind"], main=main), "linewidth": 1.6, "zorder": 4}
        looks.setdefault(rule, {**look, **({"linewidth": 2.4, "zorder": 5} if main else {})})
    return looks


def draw_runs(records: Sequence[Json], summary: Json) -> Figure | None:
    """Draw rate, training loss and validation loss of the runs of the first seed, per set-up."""
    groups, setups = grouped(records), summary["setups"]
    figure, columns = style.panels(len(setups), rows_each=3, height=2.5)
    entries: dict[str, Any] = {}
    looks = looks_of(summary)
    for setup, cells in zip(setups, columns, strict=True):
        seed = setup["seeds"][0]
        runs = [r for r in groups[key(setup["setup"])] if r["seed"] == seed and r["trace"]["loss"]]
        runs.sort(key=lambda run: list(looks).index(run["rule"]))
        _panel(cells, runs, looks)
        cells[0].set_title(setup["label"])
        entries |= {run["rule"]: style.stroke(looks[run["rule"]]["color"], 2.2) for run in runs}
        for axes in cells:
            axes.set_xlim(0, setup["setup"]["steps"])
        cells[-1].set_xlabel("step")
    if not entries:
        return None
    style.legend(figure, {rule_name(rule): entries[rule] for rule in looks if rule in entries})
    return figure


def _panel(cells: Sequence[Axes], runs: Sequence[Json], looks: Looks) -> None:
    rates, training, validation = cells
    late: list[float] = []
    lowest: list[float] = []
    for run in runs:
        at, loss, factor = mean_curves([run])
        look = looks[run["rule"]]
        rates.plot(at, 100 * factor, **look)
        training.plot(at, loss, **look)
        curve = run["val_curve"]
        validation.plot([s for s, _ in curve], [v for _, v in curve], marker="o", markersize=3,
                        **look)  # fmt: skip
        late += [float(x) for x in loss[len(loss) // 8 :] if math.isfinite(x)]
        lowest += [v for _, v in curve]
    if late:
        # No curve may leave at the bottom, where the best runs end.
        low, high = min(late + lowest), sorted(late)[int(0.98 * (len(late) - 1))]
        for axes in (training, validation):
            axes.set_ylim(low - 0.08 * (high - low) - 1e-3, high + 1e-3)
    rates.set_ylim(0, 106)
    rates.set_ylabel("lr, % of its peak")
    training.set_ylabel("training loss (smoothed)")
    validation.set_ylabel("validation loss")


def chosen_rules(summary: Json) -> list[str]:
    """Return the rules to draw, in the order of the summary: all that are not a length, no
    warm-up, and as many of the best lengths as fill the last line of panels."""
    lines = summary["rules"]
    known = [rule for rule, line in lines.items() if line["worst_setup"] is not None]
    lengths = [rule for rule in known if lines[rule]["kind"] == "fixed"]
    first = [rule for rule in (summary["default_rule"], "none") if rule in known]
    first += [rule for rule in lengths if rule not in first][:1]
    first += [rule for rule in known if lines[rule]["kind"] != "fixed"]
    ranked = list(dict.fromkeys([*first, *lengths]))
    count = min(PANELS, 4 * math.ceil(len(set(first)) / 4))
    return [rule for rule in lines if rule in ranked[:count]]


def draw_worst_cases(records: Sequence[Json], summary: Json) -> Figure | None:
    """Draw two panels per rule, loss above and rate below; `None` without a worst case."""
    rules = chosen_rules(summary)
    if not rules:
        return None
    figure, cells = style.panels(len(rules), rows_each=2, height=1.95)
    groups = grouped(records)
    setups = {setup["label"]: setup for setup in summary["setups"]}
    for rule, (losses, rates) in zip(rules, cells, strict=True):
        setup = setups[summary["rules"][rule]["worst_setup"]]
        runs = [r for r in groups[key(setup["setup"])] if r["seed"] in setup["seeds"]]
        _worst_case(losses, rates, rule, summary, setup, runs)
    style.legend(figure, _entries(rules, summary))
    return figure


def _worst_case(
    losses: Axes, rates: Axes, rule: str, summary: Json, setup: Json, records: Sequence[Json]
) -> None:
    line, best, steps = summary["rules"][rule], setup["best_hand_tuned"], setup["setup"]["steps"]
    colour = colour_of(line["kind"], main=rule == summary["default_rule"])
    curves = {name: mean_curves([r for r in records if r["rule"] == name]) for name in (best, rule)}
    at, loss, _ = curves[rule]
    against = curves[best][1]
    shared = min(len(loss), len(against))
    share, excess = at[:shared] / steps, loss[:shared] / against[:shared] - 1.0
    losses.axhline(0.0, color=palette.HAND, linewidth=1.5, linestyle="--")
    losses.plot(share, excess, color=colour, linewidth=1.7)
    losses.plot(
        1.0, line["worst_regret"], marker="o", markersize=7, color=colour, clip_on=False, zorder=5
    )
    _fit(losses, share, excess, line["worst_regret"])
    for name, dashes, ink in ((best, "--", palette.HAND), (rule, "-", colour)):
        at, _, factor = curves[name]
        rates.plot(at / steps, factor, linewidth=1.7, linestyle=dashes, color=ink)
    words = [*broken(setup["label"], 44).split("\n"), f"best length there: {rule_name(best)}"]
    name = f"{rule_name(rule)}: {percent(line['worst_regret'])}"
    losses.set_title(name, pad=10 + 11 * len(words), fontsize=11.5)
    losses.text(
        0.0, 1.04, "\n".join(words),
        transform=losses.transAxes, fontsize=8.5, color=palette.MUTED, va="bottom",
    )  # fmt: skip
    losses.set_ylabel("loss against best", fontsize=9.5)
    losses.yaxis.set_major_formatter(tick_percent)
    rates.set_ylabel("share of peak rate", fontsize=9.5)
    rates.set_ylim(0.0, 1.05)
    for axes in (losses, rates):
        axes.set_xlim(0.0, 1.0)
        axes.set_xticks([0, 0.25, 0.5, 0.75, 1.0], ["0", "25 %", "50 %", "75 %", "of the run"])
        axes.tick_params(labelsize=8.5, length=0)
    losses.tick_params(labelbottom=False)


def mean_curves(runs: Sequence[Json]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (update, smoothed loss, factor) of the stored traces, averaged over the seeds.

    Seeds may store traces of different length: the mean is over what all of them have.
    """
    traces = [run["trace"] for run in runs if run["trace"]["loss"]]
    if not traces:
        nothing = np.empty(0)
        return nothing, nothing, nothing
    length = min(len(trace[name]) for trace in traces for name in ("loss", "factor"))
    loss, factor = (
        np.mean([np.array(trace[name][:length], dtype=float) for trace in traces], axis=0)
        for name in ("loss", "factor")
    )
    return np.arange(length) * traces[0]["stretch"], _smooth(loss), factor


def _smooth(values: np.ndarray) -> np.ndarray:
    smoothed, held = [], float(values[0])
    for value in values:
        held = _SMOOTHING * held + (1 - _SMOOTHING) * float(value)
        smoothed.append(held)
    return np.array(smoothed)


def _fit(axes: Axes, share: np.ndarray, excess: np.ndarray, last: float) -> None:
    """Choose the y axis by what happens after the start; zero, the best length, is always on it."""
    after = excess[share >= _FIRST]
    held = [0.0, last, *(float(value) for value in after if math.isfinite(value))]
    room = 0.12 * (max(held) - min(held)) or 0.01
    axes.set_ylim(min(held) - room, max(held) + room)


def _entries(rules: Sequence[str], summary: Json) -> dict[str, Any]:
    kinds = {summary["rules"][rule]["kind"] for rule in rules if rule != summary["default_rule"]}
    entries = {"best hand-tuned length of that set-up": style.stroke(palette.HAND, linestyle="--")}
    if summary["default_rule"] in rules:
        entries["default"] = style.stroke(palette.DEFAULT)
    for kind, text in LEGEND.items():
        if kind in kinds:
            entries[text] = style.stroke(colour_of(kind))
    return entries | {"final validation loss": style.dot(palette.MUTED, 7)}
