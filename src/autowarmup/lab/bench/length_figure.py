"""What each hand-tuned length ended at, and where the other rules ended without tuning."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from autowarmup.lab.bench.curve_figures import Looks, looks_of
from autowarmup.lab.bench.rules import length_of
from autowarmup.lab.report import palette, style
from autowarmup.lab.report.numbers import percent
from autowarmup.lab.report.words import rule_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Json = Mapping[str, Any]

_LABEL_HEIGHT = 0.14  # share of a panel that a label beside the line of the default takes


def draw_length(summary: Json) -> Figure | None:
    """Draw a panel per set-up; `None` where no run has a number."""
    setups = summary["setups"]
    if not any(known for setup in setups for known in _known(setup).values()):
        return None
    figure, columns = style.panels(len(setups), height=3.7)
    for setup, (axes,) in zip(setups, columns, strict=True):
        _panel(axes, setup, summary, looks_of(summary))
    style.legend(figure, _entries(summary))
    return figure


def _known(setup: Json) -> dict[str, list[float]]:
    """Return the losses that each rule has."""
    return {rule: [v for v in vals if v is not None] for rule, vals in setup["vals"].items()}


def _panel(axes: Axes, setup: Json, summary: Json, looks: Looks) -> None:
    steps, known, default = setup["setup"]["steps"], _known(setup), summary["default_rule"]
    kinds = {rule: summary["rules"][rule]["kind"] for rule in setup["vals"]}
    shares = {
        rule: (length_of(rule, steps) or 1) / steps for rule in kinds if kinds[rule] == "fixed"
    }
    _percent_axis(axes, list(shares.values()) or [0.01, 0.1, 1.0])
    axes.set_xlim(min(shares.values(), default=0.01) * 0.6, max([0.28, *shares.values()]) * 1.8)
    axes.set_title(setup["label"])
    axes.set_xlabel("length of warm-up, % of the run")
    axes.set_ylabel("final validation loss")
    ordered = sorted(shares, key=lambda rule: shares[rule])
    whole = [rule for rule in ordered if setup["regrets"][rule] is not None]
    values = {rule: sum(known[rule]) / len(known[rule]) for rule in kinds if known[rule]}
    axes.plot([shares[r] for r in whole], [values[r] for r in whole], color=palette.HAND,
              linewidth=1.3, zorder=5)  # fmt: skip
    for rule in ordered:
        if rule not in whole:
            _mark_trouble(axes, shares[rule], setup["diverged"][rule])
            continue
        best = rule == setup["best_hand_tuned"]
        for size, inside in ((7.5, looks[rule]["color"]), *([(14, "none")] if best else [])):
            axes.plot(shares[rule], values[rule], marker="o", markersize=size, zorder=6,
                      linestyle="none", markerfacecolor=inside,
                      markeredgecolor=palette.HAND)  # fmt: skip
        for loss in known[rule] if len(known[rule]) > 1 else ():
            axes.plot(shares[rule], loss, ".", color=palette.HAND, markersize=4, zorder=5)
    axes.margins(y=0.15)
    for rule in values:
        if kinds[rule] != "fixed":
            end = setup["ends"].get(rule) or [None]
            _across(axes, setup, rule, values[rule], looks, end[0], rule == default)
    if default in kinds and default not in values:
        axes.text(0.02, 0.95, f"{rule_name(default)}: diverged", transform=axes.transAxes, va="top",
                  color=palette.WORSE, weight="bold")  # fmt: skip


def _percent_axis(axes: Axes, shares: list[float]) -> None:
    """Label a logarithmic x axis in per cent of the run, at the given shares."""
    axes.set_xscale("log")
    kept: list[float] = []
    for share in sorted(set(shares)):
        # Neighbours closer than a factor 1.6 would run into each other.
        if not kept or share / kept[-1] > 1.6:
            kept.append(share)
    axes.set_xticks(kept, [f"{100 * tick:.3g}" for tick in kept])
    axes.minorticks_off()


def _across(
    axes: Axes, setup: Json, rule: str, value: float, looks: Looks, end: int | None, main: bool
) -> None:
    """Draw a rule that needs no length as a diamond where it ended, the default across."""
    left, right = axes.get_xlim()
    share = right if end is None else max(1.0, end) / setup["setup"]["steps"]
    colour = looks[rule]["color"]
    axes.plot(min(max(share, left), right), value, marker="D", markersize=7.5, zorder=7,
              color=colour, markeredgecolor=palette.GROUND, clip_on=False)  # fmt: skip
    if not main:
        return
    axes.axhline(value, color=colour, linewidth=2.6, zorder=4)
    low, high = axes.get_ylim()
    axes.set_ylim(low, high + _LABEL_HEIGHT * (high - low))
    regret = setup["regrets"][rule]
    text = f"{rule_name(rule)} {value:.3f}" + ("" if regret is None else f" ({percent(regret)})")
    axes.text(0.985, 0.985, text, transform=axes.transAxes, ha="right", va="top", color=colour,
              weight="bold", zorder=8, gid="halo")  # fmt: skip


def _mark_trouble(axes: Axes, share: float, diverged: int) -> None:
    where = axes.get_xaxis_transform()
    axes.plot(share, 1.0, marker="X", markersize=9, color=palette.WORSE, transform=where,
              clip_on=False, zorder=7)  # fmt: skip
    axes.text(share, 0.94, "diverged" if diverged else "not yet run", transform=where, va="top",
              ha="center", color=palette.WORSE, fontsize=8.5, rotation=90)  # fmt: skip


def _entries(summary: Json) -> dict[str, Any]:
    blue: dict[str, Any] = {"markeredgecolor": palette.HAND}
    entries: dict[str, Any] = {
        "hand-tuned linear warm-up": style.dot(palette.LENGTHS[2], **blue),
        "best hand-tuned": style.dot("none", 12, markeredgewidth=1.6, **blue),
    }
    for rule, look in looks_of(summary).items():
        if summary["rules"][rule]["kind"] != "fixed":
            name = rule_name(rule) + (" (diamond: where it ended)" if not entries.get(rule) else "")
            entries[name] = style.dot(look["color"], marker="D")
    return entries
