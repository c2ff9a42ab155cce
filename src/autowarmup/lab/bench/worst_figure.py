"""What a rule does where it does worst: its loss and rate against the best hand-tuned length."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from autowarmup.lab.bench.labels import rule_name, setup_name
from autowarmup.lab.bench.looks import colour_of, tick_text
from autowarmup.lab.report import style
from autowarmup.lab.report.numbers import percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Json = Mapping[str, Any]

PANELS = 12
# Weight of the past for the eye; a stored point is a mean over a stretch already.
_SMOOTHING = 0.6
_FIRST = 0.25  # share of the run whose difference may leave the axis: rates differ most there


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
    by_setup: dict[str, list[Json]] = {}
    for record in records:
        by_setup.setdefault(setup_name(record["setup"]), []).append(record)
    setups = {setup["label"]: setup for setup in summary["setups"]}
    for rule, (losses, rates) in zip(rules, cells, strict=True):
        setup = setups[summary["rules"][rule]["worst_setup"]]
        _panel(losses, rates, rule, summary, setup, by_setup[setup["label"]])
    style.legend(figure, _entries(rules, summary))
    return figure


def _panel(
    losses: Axes, rates: Axes, rule: str, summary: Json, setup: Json, records: Sequence[Json]
) -> None:
    line = summary["rules"][rule]
    best, colour = setup["best_hand_tuned"], _colour(rule, summary)
    curves = {
        name: mean_curves([r for r in records if r["rule"] == name and r["seed"] in setup["seeds"]])
        for name in (best, rule)
    }
    # A length has the colour of the best length: there the best is dashed.
    dashes = "--" if line["kind"] == "fixed" else "-"
    at, loss, _ = curves[rule]
    against = curves[best][1]
    shared = min(len(loss), len(against))
    share = at[:shared] / setup["setup"]["steps"]
    excess = loss[:shared] / against[:shared] - 1.0
    losses.axhline(0.0, color=style.HAND_TUNED, linewidth=1.5, linestyle=dashes)
    losses.plot(share, excess, color=colour, linewidth=1.7)
    losses.plot(
        1.0, line["worst_regret"], marker="o", markersize=7, color=colour, clip_on=False, zorder=5
    )
    _fit(losses, share, excess, line["worst_regret"])
    for name, look in ((best, dashes), (rule, "-")):
        at, _, factor = curves[name]
        rates.plot(
            at / setup["setup"]["steps"], factor, linewidth=1.7, linestyle=look,
            color=colour if name == rule else style.HAND_TUNED,
        )  # fmt: skip
    losses.set_title(
        f"{rule_name(rule)}: {percent(line['worst_regret'])}", color=colour, pad=32, fontsize=11.5
    )
    losses.text(
        0.0, 1.04, f"{setup['label']}\nbest length there: {rule_name(best)}",
        transform=losses.transAxes, fontsize=8.5, color=style.MUTED, va="bottom",
    )  # fmt: skip
    losses.set_ylabel("loss against best", fontsize=9.5)
    losses.yaxis.set_major_formatter(tick_text)
    rates.set_ylabel("share of peak rate", fontsize=9.5)
    rates.set_ylim(0.0, 1.05)
    for axes in (losses, rates):
        axes.set_xlim(0.0, 1.0)
        axes.set_xticks([0, 0.25, 0.5, 0.75, 1.0], ["0", "25 %", "50 %", "75 %", "of the run"])
        axes.tick_params(labelsize=8.5, length=0)
    losses.tick_params(labelbottom=False)


def _colour(rule: str, summary: Json) -> str:
    main = rule == summary["default_rule"]
    return colour_of(summary["rules"][rule]["kind"], main=main)


def mean_curves(runs: Sequence[Json]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (update, smoothed loss, factor) of the stored traces, averaged over the seeds.

    Seeds may store traces of different length: the mean is over what all of them have.
    """
    traces = [run["trace"] for run in runs if run["trace"]["loss"]]
    if not traces:
        nothing = np.empty(0)
        return nothing, nothing, nothing
    length = min(len(trace[name]) for trace in traces for name in ("loss", "factor"))
    loss = np.mean([_numbers(trace["loss"][:length]) for trace in traces], axis=0)
    factor = np.mean([_numbers(trace["factor"][:length]) for trace in traces], axis=0)
    return np.arange(length) * traces[0]["stretch"], _smooth(loss), factor


def _numbers(values: Sequence[float | None]) -> np.ndarray:
    return np.array([math.nan if value is None else value for value in values], dtype=float)


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
    from matplotlib.lines import Line2D

    def stroke(colour: str) -> Line2D:
        return Line2D([], [], color=colour, linewidth=2)

    kinds = {summary["rules"][rule]["kind"] for rule in rules if rule != summary["default_rule"]}
    words = {"published": "published rule", "candidate": "other rule tried here",
             "fixed": "one length for all (the best is then dashed)"}  # fmt: skip
    entries = {"best hand-tuned length of that set-up": stroke(style.HAND_TUNED)}
    if summary["default_rule"] in rules:
        entries["default"] = stroke(style.ADAPTIVE)
    entries |= {text: stroke(colour_of(kind)) for kind, text in words.items() if kind in kinds}
    entries["final validation loss"] = Line2D(
        [], [], color="none", marker="o", markersize=7, markerfacecolor=style.MUTED,
        markeredgecolor=style.MUTED,
    )  # fmt: skip
    return entries
