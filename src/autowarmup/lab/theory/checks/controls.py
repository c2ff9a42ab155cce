"""Constants that are wrong on purpose: the checks must catch every one of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
from numpy.random import Generator

from autowarmup.lab.theory.checks import descent, rates
from autowarmup.lab.theory.checks.cases import Case
from autowarmup.lab.theory.families import FAMILIES
from autowarmup.lab.theory.objective import Objective
from autowarmup.lab.theory.rows import Row, merge

Spoil = Callable[[Objective], None]


def _smaller_law(factor: float) -> Spoil:
    def spoil(objective: Objective) -> None:
        law = objective.law
        objective.law = replace(
            law, K0=law.K0 * factor, K1=law.K1 * factor, K_rho=law.K_rho * factor
        )

    return spoil


def _larger_mu(objective: Objective) -> None:
    objective.mu = 3 * objective.mu


def _larger_zeta(objective: Objective) -> None:
    objective.zeta = 3 * objective.zeta


CONTROLS: tuple[tuple[str, str, Spoil, Callable[[Case], Iterator[Row]], str], ...] = (
    ("radial cosh, l2", "K 10 % too small", _smaller_law(0.9), descent.constants, "zoo: ||H"),
    ("separable tan2, linf", "K 10 % too small", _smaller_law(0.9), descent.constants,
     "zoo: ||H"),
    ("quadratic, spectral", "K 10 % too small", _smaller_law(0.9), descent.constants,
     "zoo: ||H"),
    ("quadratic, l2", "mu 3 times too large", _larger_mu, descent.constants, "zoo: PL"),
    ("quadratic, l2", "zeta 3 times too large", _larger_zeta, descent.constants, "zoo: star"),
    ("radial tan2, l2", "K half as large", _smaller_law(0.5), descent.single_steps,
     "A.1 descent"),
    ("radial tan2, l2", "K half as large", _smaller_law(0.5), descent.single_steps, "A.1a"),
    ("quadratic, l2", "K 10 times too small", _smaller_law(0.1), rates.star_convex,
     "A.2 step"),
    ("quadratic, linf", "K 100 times too small", _smaller_law(0.01), rates.momenta,
     "A.5 polyak, step"),
    ("radial cosh, l2", "H0, H1 half as large", _smaller_law(0.5), descent.gradient_descent,
     "B.1 descent"),
    ("quadratic, l2", "mu 3 times too large", _larger_mu, rates.gradient_descent,
     "B.2 count, eta = 1 / (10"),
)  # fmt: skip
"""(family, what is wrong, how, the check that is run, the statement whose rows are kept)."""


def wrong_constants(rng: Generator, instances: int) -> Iterator[Row]:
    """Run each check on a family with a wrong constant and return its rows, expected to fail."""
    for name, words, spoil, check, kept in CONTROLS:
        case = Case.draw(name, FAMILIES[name], rng, instances)
        spoil(case.objective)
        with np.errstate(all="ignore"):  # these runs may diverge; a nan counts as a failure
            rows = list(check(case))
        for row in merge(rows):
            if row.statement.startswith(kept):
                yield replace(row, objective=f"{name}: {words}", expected_fail=True)
