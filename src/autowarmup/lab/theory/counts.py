"""Steps that runs take against the steps that a theorem allows, function by function.

`tools/theory_counts.py` writes `results/theory/counts.json` and draws `counts_lmo` and `counts_gd`
from it: a dot for every random function.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from autowarmup.history import strict_json
from autowarmup.lab.environment import environment
from autowarmup.lab.theory import checks_gd, rules
from autowarmup.lab.theory.bounds import gd, lmo
from autowarmup.lab.theory.checks_lmo import Case
from autowarmup.lab.theory.families import FAMILIES
from autowarmup.lab.theory.law import Floats
from autowarmup.lab.theory.runs import Method, Rule

FORMAT = "autowarmup-counts-1"
FILE = "counts.json"
SHARE = 30.0
"""Runs go from gap0 to gap0 / 30."""
STAR, PL = "star-convex: eta = gap / (R K)", "PL: eta = sqrt(2 mu gap) / K"
GD_PL, GD_STAR = "PL: eta = 1 / (H0 + H1 gap)", "star-convex: eta = theta / (2 H0 + H1 gap)"
FIGURES = {"counts_lmo": (STAR, PL), "counts_gd": (GD_PL, GD_STAR)}

_PLAIN = Method("gd")


def count(instances: int, seed: int, *, most: int = 3000, command: str = "") -> dict[str, Any]:
    """Run the theorems' rates on random functions of every family and return the record.

    Args:
        instances: random functions of each family.
        seed: of all of them.
        most: steps after which a run is given up; those that are not done then are counted.
        command: what was typed.
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
    return strict_json({
        "format": FORMAT, "command": command, "seed": seed, "instances": instances, "most": most,
        "gap0_over_eps": SHARE, "seconds": round(time.perf_counter() - started, 1),
        "environment": environment(), "statements": held,
    })  # fmt: skip


def _theorems(case: Case) -> Iterator[tuple[str, Rule, Floats, Method | None]]:
    """Return (statement, its rate, its count, the method) for what speaks of a family."""
    objective, law, gap0 = case.objective, case.objective.law, case.gap0
    eps, mu = gap0 / SHARE, objective.mu
    convex, curved = case.star, bool(np.all(mu > 0))
    if convex:
        yield STAR, rules.gap_over_law(law, case.R), lmo.star_count(law, case.R, gap0, eps), None
    if curved:
        yield PL, rules.pl_rule(law, mu), lmo.pl_count(law, mu, gap0, eps), None
    if not checks_gd.applies(case):
        return
    if curved:
        yield GD_PL, rules.h0h1(law), gd.pl_count(law, mu, gap0, eps), _PLAIN
    if convex:
        theta, distance = objective.zeta, objective.distance(case.x0)
        bound = gd.aiming_count(law, theta, distance, gap0, eps)
        yield GD_STAR, rules.aiming(law, theta), bound, _PLAIN
