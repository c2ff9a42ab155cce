"""A statement against what was measured: one line of the table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from autowarmup.lab.theory.geometry import Floats

Verdict = Literal["pass", "fail", "vacuous"]

TOLERANCE = 1e-9
"""A relative excess up to it counts as rounding; a violated statement exceeds it by far."""

UNITS = {
    "zoo": "The objectives have the constants that they state",
    "A.0": "Which form of the assumption",
    "A.1": "Descent lemma of norm-constrained steps",
    "A.2": "Star-convex, PL and non-convex rates",
    "A.3": "The shape: warm-up, then decay",
    "A.4": "Decoupled weight decay is Frank-Wolfe",
    "A.5": "Momentum",
    "A.6": "Stochastic gradients",
    "B.1": "Descent of gradient descent",
    "B.2": "PL counts of gradient descent",
    "B.3": "Star-convex counts of gradient descent",
    "B.4": "Fixed steps: stability and minimax lower bounds",
    "B.5": "What the condition is closed under",
    "B.6": "Networks: the Hessian norm against the gap",
    "printed": "Published counterexamples, each with its control",
}
"""Groups of the table, in order: the first word of a statement says which."""


@dataclass(frozen=True)
class Row:
    """One statement on one kind of objective, in the worst of its instances."""

    statement: str  # group and words, e.g. "A.2 count of steps"
    objective: str  # on what
    measured: float  # the measured value in the instance with the least margin
    bound: float  # what the statement says of it there
    margin: float  # (bound - measured) over the scale of the two, negative where it is violated
    verdict: Verdict  # "vacuous" where the statement says nothing in any instance
    expected_fail: bool = False  # a false statement or a wrong constant, which must be caught
    instances: int = 1  # how many were checked
    violations: int = 0  # in how many the margin was below -1e-9
    silent: int = 0  # in how many of them the statement says nothing

    @property
    def as_it_should(self) -> bool:
        """Whether a true statement was not violated, or a false one was."""
        return (self.verdict == "fail") == self.expected_fail

    @property
    def group(self) -> str:
        """Key of `UNITS`."""
        word = self.statement.split(":")[0].split(" ")[0]
        return next((name for name in UNITS if word.startswith(name)), word)

    def to_dict(self) -> dict[str, object]:
        """Return the row as plain JSON values."""
        return asdict(self)


def compare(
    statement: str,
    objective: str,
    measured: ArrayLike,
    bound: ArrayLike,
    *,
    at_least: bool = False,
    scale: Floats | float | None = None,
    silent: NDArray[np.bool_] | bool = False,
    expected_fail: bool = False,
) -> Row:
    """Compare measured <= bound (or >= with `at_least`) over instances and return the row.

    Both have the shape (..., instances), leading axes are steps or samples. `scale` is what a
    margin is relative to, by default the larger of the two; `silent` where nothing is stated.

    Example:
        >>> row = compare("A.2 count", "toy", np.array([3.0, 5.0]), np.array([4.0, 10.0]))
        >>> row.measured, row.bound, row.margin, row.verdict
        (3.0, 4.0, 0.25, 'pass')
    """
    measured, bound = np.broadcast_arrays(
        np.atleast_1d(np.asarray(measured, float)), np.atleast_1d(np.asarray(bound, float))
    )
    if measured.size == 0:
        raise ValueError(f"{statement}, {objective}: expected something to compare, got nothing")
    # A run that diverged has the gap inf: far, but a number that can be compared.
    low, high = np.clip(measured, -1e300, 1e300), np.clip(bound, -1e300, 1e300)
    larger = np.maximum(np.abs(low), np.abs(high)) if scale is None else scale
    with np.errstate(over="ignore"):
        margin = ((low - high) if at_least else (high - low)) / np.maximum(larger, 1e-300)
    # A nan is a failure of the check and must not pass.
    margin = np.where(np.isnan(margin), -np.inf, margin)
    quiet = np.broadcast_to(silent, margin.shape)
    margin = np.where(quiet, np.inf, margin)
    worst = np.unravel_index(np.argmin(margin), margin.shape)
    per_instance = margin.reshape(-1, margin.shape[-1]).min(0)
    violations = int(np.sum(per_instance < -TOLERANCE))
    muted = int(np.sum(quiet.reshape(-1, margin.shape[-1]).all(0)))
    everywhere = muted == margin.shape[-1]
    verdict: Verdict = "vacuous" if everywhere else "fail" if violations else "pass"
    least = 0.0 if everywhere else float(np.clip(margin[worst], -1e300, 1e300))
    return Row(
        statement, objective, float(measured[worst]), float(bound[worst]), least, verdict,
        expected_fail, margin.shape[-1], violations, muted,
    )  # fmt: skip


def merge(rows: Iterable[Row]) -> list[Row]:
    """Join rows of the same statement and objective: the worst one, with the sums of the counts."""
    held: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        held.setdefault((row.statement, row.objective), []).append(row)
    return [join(found) for found in held.values()]


def join(found: Sequence[Row]) -> Row:
    """Return the worst row with the sums of the counts; what says nothing has no margin."""
    speaking = [row for row in found if row.verdict != "vacuous"] or found[:1]
    worst = min(speaking, key=lambda row: row.margin)
    return replace(
        worst,
        verdict="fail" if any(row.verdict == "fail" for row in speaking) else worst.verdict,
        instances=sum(row.instances for row in found),
        violations=sum(row.violations for row in found),
        silent=sum(row.silent for row in found),
    )
