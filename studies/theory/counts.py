"""Steps that runs take against the steps that a theorem allows, a dot for every random function.
python -m studies.theory.counts        # results/theory/counts.json and its two figures; a minute
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from autowarmup.lab.report import axes as look
from autowarmup.lab.report import palette, style
from autowarmup.lab.theory import rules
from autowarmup.lab.theory.bounds import gd, lmo
from autowarmup.lab.theory.checks.cases import Case
from autowarmup.lab.theory.families import FAMILIES
from autowarmup.lab.theory.law import Floats
from autowarmup.lab.theory.runs import GD, Method, Rule
from studies.theory import record
from studies.theory.record import Json

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORMAT = "autowarmup-counts-1"
SHARE = 30.0
"""Runs go from gap0 to gap0 / 30."""
STAR, PL = "star-convex: eta = gap / (R K)", "PL: eta = sqrt(2 mu gap) / K"
GD_PL, GD_STAR = "PL: eta = 1 / (H0 + H1 gap)", "star-convex: eta = theta / (2 H0 + H1 gap)"
FIGURES = {"counts_lmo": (STAR, PL), "counts_gd": (GD_PL, GD_STAR)}


def count(instances: int, seed: int, *, most: int = 3000) -> dict[str, Any]:
    """Run the theorems' rates on random functions of every family and return the record.

    Args:
        instances: random functions of each family.
        seed: of all of them.
        most: steps after which a run is given up; those that are not done then are counted.
    """
    started = time.perf_counter()
    held: dict[str, dict[str, Any]] = {
        name: {"family": [], "measured": [], "bound": [], "not_done": 0}
        for names in FIGURES.values() for name in names
    }  # fmt: skip
    for index, (name, family) in enumerate(FAMILIES.items()):
        case = Case.draw(name, family, np.random.default_rng([seed, index]), instances)
        with np.errstate(all="ignore"):
            for statement, rule, bound, method in _theorems(case):
                eps = case.gap0 / SHARE
                found = case.run(rule, eps, most, method).count(eps)
                done, into = found >= 0, held[statement]
                into["family"] += [name] * int(done.sum())
                into["measured"] += found[done].tolist()
                into["bound"] += np.broadcast_to(bound, found.shape)[done].tolist()
                into["not_done"] += int(np.sum(~done))
    return record.stamped(FORMAT, seed, started, {
        "instances": instances, "most": most, "gap0_over_eps": SHARE, "statements": held,
    })  # fmt: skip


def _theorems(case: Case) -> Iterator[tuple[str, Rule, Floats, Method | None]]:
    """Return (statement, its rate, its count, the method) for what speaks of a family."""
    objective, law, gap0 = case.objective, case.objective.law, case.gap0
    eps, mu = gap0 / SHARE, objective.mu
    if case.star:
        yield STAR, rules.gap_over_law(law, case.R), lmo.star_count(law, case.R, gap0, eps), None
    if case.pl:
        yield PL, rules.pl_rule(law, mu), lmo.pl_count(law, mu, gap0, eps), None
    if not case.h0h1:
        return
    if case.pl:
        yield GD_PL, rules.h0h1(law), gd.pl_count(law, mu, gap0, eps), GD
    if case.star:
        theta, distance = objective.zeta, objective.distance(case.x0)
        bound = gd.aiming_count(law, theta, distance, gap0, eps)
        yield GD_STAR, rules.aiming(law, theta), bound, GD


def draw_counts(statements: tuple[str, ...], held: Json) -> Figure:
    figure, columns = style.panels(len(statements), height=3.9)
    entries: dict[str, Any] = {}
    for (axes,), statement in zip(columns, statements, strict=True):
        entries |= _panel(axes, statement, held["statements"][statement])
    style.legend(figure, entries)
    return figure


def _panel(axes: Axes, statement: str, held: Json) -> dict[str, Any]:
    measured, bound = np.array(held["measured"], float), np.array(held["bound"], float)
    dots = axes.scatter(bound, measured, s=11, color=palette.MEASURED, alpha=0.45, linewidths=0,
                        zorder=3)  # fmt: skip
    look.scale(axes.xaxis, bound)
    look.scale(axes.yaxis, measured)
    ends = [1.0, float(bound.max())]
    (line,) = axes.plot(ends, ends, color=palette.THEORY, linewidth=2.2, zorder=4)
    style.title(axes, statement, f"{len(bound):,} functions, {taken(held)}", color=palette.MUTED)
    axes.set_xlabel("steps that the theorem allows")
    axes.set_ylabel("steps taken")
    return {"one random function": dots, "the bound: no dot may lie above": line}


def taken(held: Json) -> str:
    """Return how many runs lie above their bound, and how far below it half of them end.

    Example:
        >>> taken({"measured": [1.0, 2.0, 3.0], "bound": [10.0, 10.0, 10.0]})
        '0 above the bound, half at 20 % of it or less'
    """
    ratio = np.array(held["measured"], float) / np.array(held["bound"], float)
    above, half = int(np.sum(ratio > 1)), 100 * float(np.median(ratio))
    return f"{above} above the bound, half at {half:.0f} % of it or less"


def finding(statements: tuple[str, ...], held: Json) -> str:
    """Return what a figure shows, statement by statement."""
    parts = (
        f"{statement.partition(':')[0]}: {len(found['bound']):,} random functions, {taken(found)}"
        for statement in statements
        if (found := held["statements"][statement])
    )
    return f"Steps taken against steps that the theorem allows. {'; '.join(parts)}."


DRAWINGS = {
    name: (partial(draw_counts, statements), partial(finding, statements))
    for name, statements in FIGURES.items()
}

if __name__ == "__main__":
    record.main("counts", lambda seed: count(40, seed), DRAWINGS, seed=1)
