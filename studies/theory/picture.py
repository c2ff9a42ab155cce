"""Warm-up and decay out of the theorem in three norms, beside rates that were searched for.
python -m studies.theory.picture       # results/theory/picture.json and its figure; half a minute

On functions with rho = 2 an lmo method runs with eta = gap / (R K(gap)) (A.2; arXiv 2602.05813),
with the best fixed rate that A.2 certifies, and with rates that are searched for each function: the
best fixed one, and the best linear warm-up with linear decay.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.random import Generator

from autowarmup.lab.theory import profiles, rules
from autowarmup.lab.theory.bounds import lmo
from autowarmup.lab.theory.families import ridge
from autowarmup.lab.theory.geometry import Floats, Name
from autowarmup.lab.theory.law import Law
from autowarmup.lab.theory.objectives import Ridge
from autowarmup.lab.theory.runs import History, run
from studies.theory import record
from studies.theory.picture_search import LINEAR, RATES, Tuned, linear, tune_fixed, tune_linear

FORMAT = "autowarmup-picture-1"
NORMS: dict[Name, tuple[int, ...]] = {"l2": (4,), "linf": (4,), "spectral": (2, 2)}
"""Norms and shapes of a point: four entries each, so that only the norm differs."""

FIRST = 30.0
"""First gap over the gap of the peak."""

TARGETS = (10.0, 100.0, 1000.0)
"""Counts are until the gap has fallen by these factors."""

_MOST = 20_000
_POINTS = 150  # of a line that is drawn


def picture(
    functions: int = 10,
    seed: int = 0,
    targets: Sequence[float] = TARGETS,
) -> dict[str, Any]:
    """Run everything and return its record.

    Args:
        functions: random functions in every norm; the first is drawn.
        seed: of the functions and their first points.
        targets: factors by which the gap shall fall, rising.

    Raises:
        ValueError: fewer than one function, or a target that is not above 1.
    """
    if functions < 1:
        raise ValueError(f"expected at least 1 function in every norm, got {functions}")
    if not targets or min(targets) <= 1 or list(targets) != sorted(targets):
        raise ValueError(f"expected rising targets > 1, got {tuple(targets)}")
    started = time.perf_counter()
    return record.stamped(FORMAT, seed, started, {
        "functions": f"sums of c_i tan^2 <a_i, x>, four terms, {functions} random ones a norm; the "
        f"first gap is {FIRST:g} times the gap of the peak, shared between the terms at random",
        "targets": list(targets),
        "search": {
            "fixed": f"{len(RATES)} rates, R times {RATES[0]:g} to {RATES[-1]:g}, evenly spaced "
            "in the logarithm; then as many between the neighbours of the best",
            "linear": LINEAR,
            "goal": "the fewest steps to the target, searched anew for each function and target",
        },
        "norms": {
            norm: _norm(norm, functions, targets, np.random.default_rng([seed, index]))
            for index, norm in enumerate(NORMS)
        },
    })  # fmt: skip


def functions_of(norm: Name, functions: int, rng: Generator) -> tuple[Ridge, Floats]:
    """Return random functions with rho = 2 in this norm, and first points."""
    objective = ridge(profiles.TAN2, norm, NORMS[norm], tilt=0.5)(rng, functions)
    assert isinstance(objective, Ridge)
    return objective, objective.start(rng, FIRST * objective.law.peak_gap)


def _norm(norm: Name, functions: int, targets: Sequence[float], rng: Generator) -> dict[str, Any]:
    objective, x0 = functions_of(norm, functions, rng)
    law, gap0 = objective.law, objective.gap(x0)
    R = objective.radius(gap0)
    history = run(objective, x0, rules.gap_over_law(law, R), until=gap0 / targets[-1], steps=_MOST)
    other = run(objective, x0, rules.slope_over_law(law), until=gap0 / targets[-1], steps=_MOST)
    found = [_rivals(objective, x0, R, gap0, target) for target in targets]
    # What is drawn is the last target.
    certified, fixed, ramp = found[-1]
    lines = [history, certified, *_drawn(objective, x0, fixed, ramp)]
    names = ("theorem", "certified_fixed", "best_fixed", "best_linear")
    warm = history.lr.argmax(0)
    return {
        "objective": objective.name, "shape": list(objective.shape),
        "steps": {
            "theorem": _counts(history, gap0, targets),
            "theorem_slope": _counts(other, gap0, targets),
            "certified_fixed": [
                run_.count(gap0 / target).tolist()
                for (run_, _, _), target in zip(found, targets, strict=True)
            ],
            "best_fixed": [tuned.count.tolist() for _, tuned, _ in found],
            "best_linear": [tuned.count.tolist() for _, _, tuned in found],
            "bound": _bounds(lmo.star_count, law, R, gap0, targets),
            "bound_certified_fixed": _bounds(lmo.fixed_count, law, R, gap0, targets),
        },
        "linear_warmup_share": (ramp.warmup / ramp.horizon).tolist(),
        "peak_step": warm.tolist(),
        "predicted_peak_step": (history.gap <= law.peak_gap).argmax(0).tolist(),
        "rate_rose_by": (history.lr.max(0) / history.lr[0]).tolist(),
        "gap0": gap0.tolist(), "peak_gap": law.peak_gap.tolist(),
        "peak_rate": (1 / (R * law.peak_inverse_rate)).tolist(), "R": R.tolist(),
        "drawn": {
            name: _line(line, gap0[0] / targets[-1])
            for name, line in zip(names, lines, strict=True)
        },
    }  # fmt: skip


def _rivals(
    objective: Ridge, x0: Floats, R: Floats, gap0: Floats, target: float
) -> tuple[History, Tuned, Tuned]:
    """Return a run with the certified fixed rate, and what the two searches find."""
    eps = gap0 / target
    rule = rules.fixed(lmo.fixed_rate(objective.law, R, gap0, eps))
    certified = run(objective, x0, rule, until=eps, steps=_MOST)
    fixed = tune_fixed(objective, x0, R, eps)
    return certified, fixed, tune_linear(objective, x0, R, eps, most=3 * fixed.count)


def _counts(history: History, gap0: Floats, targets: Sequence[float]) -> list[list[int]]:
    return [history.count(gap0 / target).tolist() for target in targets]


def _bounds(
    bound: Any, law: Law, R: Floats, gap0: Floats, targets: Sequence[float]
) -> list[list[int]]:
    return [bound(law, R, gap0, gap0 / target).astype(int).tolist() for target in targets]


def _drawn(objective: Ridge, x0: Floats, fixed: Tuned, ramp: Tuned) -> tuple[History, History]:
    """Run what the two searches found."""
    return (
        run(objective, x0, rules.fixed(fixed.lr), steps=int(fixed.count.max())),
        run(objective, x0, linear(ramp.lr, ramp.warmup, ramp.horizon),
            steps=int(ramp.horizon.max())),
    )  # fmt: skip


def _line(history: History, eps: float) -> dict[str, list[float]]:
    """Return the first function's run down to the gap `eps`, at steps dense in the logarithm.

    Step k has the gap before it and the rate that it takes; the last one only has its gap.
    """
    reached = history.gap[:, 0] <= eps
    last = int(reached.argmax()) if reached.any() else history.steps
    dense = np.geomspace(1, last + 1, _POINTS).round().astype(int) - 1
    # The peak stays, and a straight line to it would hide the bend around it.
    around = history.lr[:last, 0].argmax() + np.arange(-20, 21)
    steps = np.unique(np.clip(np.concatenate([dense, around]), 0, last))
    return {
        "step": steps.tolist(),
        "gap": history.gap[steps, 0].tolist(),
        "lr": history.lr[steps[steps < last], 0].tolist(),
    }


if __name__ == "__main__":
    from studies.theory.picture_figure import draw_picture, finding

    record.main("picture", lambda seed: picture(seed=seed), {"picture": (draw_picture, finding)})
