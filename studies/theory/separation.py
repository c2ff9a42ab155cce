"""Fixed step against warm-up for gradient descent: steps on the worst function of a class.
python -m studies.theory.separation    # results/theory/separation.json and its figure; a minute

Counts against z = H1 gap0 / H0 (B.2 and B.4; arXiv 2510.03164, corrected). Warm-up is
1 / (H0 + H1 gap). It is compared with the theorem's fixed step 1 / (H0 + H1 gap0) and with the best
fixed step for the class, searched for every z. All statements are about the worst member; for one
known function a fixed step can be better than any warm-up, see `one_function`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from autowarmup.lab.theory import rules
from autowarmup.lab.theory.bounds import gd
from autowarmup.lab.theory.geometry import Floats
from autowarmup.lab.theory.law import Law
from autowarmup.lab.theory.runs import Rule
from studies.theory import record
from studies.theory.separation_functions import (
    Members,
    Which,
    extremal,
    in_the_plane,
    on_the_line,
    slow,
)
from studies.theory.separation_search import Counts, Search, first_steps, quadratic_count

FORMAT = "autowarmup-separation-1"
Z = tuple(float(f"{z:.4g}") for z in np.geomspace(0.1, 1000, 13))
DECADES = tuple(range(1, 10))
"""Accuracies: the gap falls by 10 to these powers."""

MAIN = 6
"""The accuracy at which counts are drawn against z."""

FAR = 20
"""The last accuracy for which bounds alone are compared."""

CLASS = Law(1.0, 1.0)
_ENOUGH = 1e7  # steps; no rate here comes near, and a wrong one ends


def separate(
    z: Sequence[float] = Z,
    kappa: float = 10.0,
    decades: Sequence[int] = DECADES,
    tries: int = 48,
    seed: int = 0,
) -> dict[str, Any]:
    """Run the comparison and return its record.

    Args:
        z: values of H1 gap0 / H0.
        kappa: H0 / mu, more than 4.
        decades: accuracies k: until the gap is 10^-k of the first.
        tries: fixed steps of the first grid of the search.
        seed: of the random members.

    Raises:
        ValueError: a z or an accuracy that is not positive, kappa <= 4 or fewer than 6 tries.
    """
    _check(z, kappa, decades, tries)
    started = time.perf_counter()
    gap0, levels = np.array(sorted(z), dtype=float), sorted(decades)
    main = min(range(len(levels)), key=lambda at: abs(levels[at] - MAIN))
    families = {
        "1": on_the_line(kappa, np.random.default_rng(seed)),
        "2": in_the_plane(kappa),
    }
    return record.stamped(FORMAT, seed, started, {
        "class": "convex, |Hessian| <= H0 + H1 gap, PL with mu, first gap exactly gap0; "
        "H0 = H1 = 1 by scaling, so that z = gap0 and mu = 1 / kappa",
        "z": gap0.tolist(), "kappa": kappa, "decades": levels, "main_decades": levels[main],
        "search": " ".join((Search.__doc__ or "").split("Args:")[0].split()), "tries": tries,
        "dimensions": {
            name: _measure(groups, gap0, levels, main, kappa, tries)
            for name, groups in families.items()
        },
        "theorem_fixed": _theorem(gap0, levels[main], kappa),
        "one_function": one_function(gap0, levels),
        "bounds": bounds(gap0, levels, kappa),
        "proved_advantage": proved_advantage(float(max(z)), kappa),
    })  # fmt: skip


def _check(z: Sequence[float], kappa: float, decades: Sequence[int], tries: int) -> None:
    if not z or min(z) <= 0 or not decades or min(decades) <= 0:
        raise ValueError(f"expected z and accuracies > 0, got {tuple(z)} and {tuple(decades)}")
    if not kappa > 4:
        raise ValueError(f"expected kappa > 4, got {kappa}")
    if tries < 6:
        raise ValueError(f"expected at least 6 tries, got {tries}")


def accuracies(gap0: Floats, levels: Sequence[float]) -> Floats:
    """Return the gaps to reach, shape (levels, z)."""
    return gap0 * 10.0 ** -np.asarray(levels, dtype=float)[:, None]


def bounds(gap0: Floats, levels: Sequence[float], kappa: float) -> dict[str, Any]:
    """Return the theorems' counts, shape (levels, z), and the largest stable factor on the line.

    `plane` is no theorem but the count of mu x^2 / 2 at the step 2 / (H0 + H1 gap0), above which
    no fixed step is stable in the plane as mu -> 0 (B.4d).
    """
    eps, mu = accuracies(gap0, levels), 1 / kappa
    edge = gd.stable_in_the_plane(1.0, 1.0, gap0)
    found = {
        "upper_warmup": gd.pl_count(CLASS, mu, gap0, eps),
        "upper_warmup_published": gd.pl_count(CLASS, mu, gap0, eps, 10, 20),
        "upper_fixed": gd.pl_fixed_count(CLASS, mu, gap0, eps),
        "lower_fixed": gd.lower_bound_pl(1.0, gap0, mu, gap0, eps),
        "plane": quadratic_count(edge, gap0, eps, kappa),
        "largest_stable": gd.largest_stable(1.0, gap0) * (1 + gap0),
    }
    return {name: values.tolist() for name, values in found.items()}


def proved_advantage(z: float, kappa: float) -> dict[str, Any]:
    """Return the least steps of any fixed step over the most of warm-up, for many accuracies."""
    many = list(range(1, FAR + 1))
    proved = bounds(np.array([z]), many, kappa)
    ratio = np.divide(proved["lower_fixed"], proved["upper_warmup"])[:, 0]
    return {"z": z, "decades": many, "ratio": ratio.tolist()}


def one_function(gap0: Floats, levels: Sequence[float]) -> dict[str, Any]:
    """Return the counts on f_c alone, shape (levels, z): warm-up, and the fixed step made for it.

    x0 / f_c'(x0), half of `gd.largest_stable`, ends at the minimum after one step.
    """
    made = gd.largest_stable(1.0, gap0) / 2
    return {
        "function": "f_c",
        "warmup": _whole(_counts(extremal(1), gap0, levels).max(-1)),
        "fixed": _whole(_counts(extremal(1), gap0, levels, made).max(-1)),
    }


def _theorem(gap0: Floats, level: float, kappa: float) -> list[int]:
    """Return the steps of the slow quadratic with the fixed step 1 / (H0 + H1 gap0)."""
    return _whole(_counts(slow(kappa, 1), gap0, [level], 1 / CLASS.K(gap0))[0, :, 0])


def _measure(
    groups: Sequence[Members], gap0: Floats, levels: Sequence[int], main: int, kappa: float,
    tries: int,
) -> dict[str, Any]:  # fmt: skip
    """Return what was measured on these members."""
    names = np.array([name for group in groups for name in group.names])
    each = [_counts(group, gap0, levels) for group in groups]
    warmup = np.concatenate(each, axis=-1)
    found = Search(groups, gap0, accuracies(gap0, levels), main, kappa, tries)
    # The search takes the counts of the slow quadratic from a formula: here it runs.
    ran = _counts(groups[0], gap0, [levels[main]], found.factor[main] / (1 + gap0))
    assert np.all(ran[0, :, 0] <= found.count[main]), "the slow quadratic is slower than its count"
    return {
        "members": names.tolist(),
        "warmup": _whole(warmup.max(-1)), "warmup_worst": names[warmup.argmax(-1)].tolist(),
        "best_fixed": _whole(found.count), "best_factor": found.factor.tolist(),
        "best_fixed_on_slow_quadratic": _whole(ran[0, :, 0]),
        "tried": found.tried, "least_dropped_factor": found.dropped.tolist(),
    }  # fmt: skip


def _counts(
    group: Members, gap0: Floats, levels: Sequence[float], lr: Floats | None = None
) -> Counts:
    """Return counts on every function of a group, shape (levels, z, functions).

    Args:
        group: the functions.
        gap0: first gaps.
        levels: accuracies.
        lr: fixed steps, one for every z; by default warm-up.
    """
    size = len(group.names)
    at, which = np.repeat(np.arange(len(gap0)), size), np.tile(np.arange(size), len(gap0))
    unlimited = np.full(len(at), _ENOUGH)
    eps = accuracies(gap0, levels)[:, at]

    def rule(left: Which) -> Rule:
        return rules.h0h1(CLASS) if lr is None else rules.fixed(lr[at[left]])

    return first_steps(group, which, gap0[at], rule, eps, unlimited).reshape(len(eps), -1, size)


def _whole(counts: Counts) -> list[Any]:
    return np.where(np.isfinite(counts), counts, -1).astype(int).tolist()


if __name__ == "__main__":
    from studies.theory.separation_figure import draw_separation, finding

    record.main(
        "separation", lambda seed: separate(seed=seed), {"separation": (draw_separation, finding)}
    )
