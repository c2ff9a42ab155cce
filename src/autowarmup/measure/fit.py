"""Trace -> the smoothness law that its measured curvature follows, with honest intervals.

    K(gap) = K0 + K1 gap + K_rho gap^rho        (arXiv 2602.05813; K_rho = 0: arXiv 2510.03164)

is fitted by least squares over a stated window of the run, with and without the sign constraints
of the theorems, with a fixed and with a searched exponent. How well the law fits says nothing about
whether K really *depends* on the gap: both drift along a run. The verdict states the slope only.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autowarmup.history import Trace, strict_json
from autowarmup.measure.bootstrap import block_counts, block_length, stretch
from autowarmup.measure.law_fit import FREE, NON_NEGATIVE, LawFit, fit_law
from autowarmup.measure.points import FEWEST_TO_FIT, dropped_words, pairings_of, usable_points
from autowarmup.measure.regression import TERMS, Regression
from autowarmup.measure.slope import Slope, judge, log_residuals, measure_slope, slopes
from autowarmup.measure.window import Window, choose_window

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class CurvatureFit:
    """What a trace says about one measured curvature.

    Attributes:
        quantity: "K", "K_dir", "K_next", "K_noise" or "H".
        pairing: the gap that was used, "before", "after" or "max".
        lower_bound: of the loss.
        window: the stretch of the run that was fitted.
        steps, gaps, values: the points inside the window, shape (n,) each.
        fits: non-negative and free with the given rho, then both with a searched one (not without
            "K_rho" among the terms).
        slope: d ln K / d ln gap.
        verdict: what K does as the gap falls: "rises", "falls", "level" or "not determined".
        sentence: the verdict for people, with its numbers.
        dropped: measured points of the whole trace that were left out, by reason.
        block: number of consecutive points that the bootstrap drew together.
        samples: number of bootstrap samples.
        pairings: how much the answer depends on the choice of the gap: for every pairing that the
            quantity allows the non-negative fit (rho = 2 where it is only searched) and p.
    """

    quantity: str
    pairing: str
    lower_bound: float
    window: Window
    steps: NDArray[np.int64]
    gaps: Floats
    values: Floats
    fits: tuple[LawFit, ...]
    slope: Slope
    verdict: str
    sentence: str
    dropped: dict[str, int]
    block: int
    samples: int
    pairings: dict[str, dict[str, float]]

    @property
    def best(self) -> LawFit:
        """The fit that the theorems allow: non-negative, with the given rho."""
        return self.fits[0]

    @property
    def method(self) -> str:
        """One sentence: how the intervals came about and what was left out."""
        left_out = f"; left out of the measured points: {dropped_words(self.dropped)}"
        return (
            f"Intervals: 95 %, block bootstrap with {self.samples} samples of blocks of "
            f"{self.block} consecutive points{left_out if self.dropped else ''}."
        )

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the points as plain JSON values."""
        points = ("steps", "gaps", "values")
        held = {name: value for name, value in asdict(self).items() if name not in points}
        return strict_json(held | {"method": self.method})


def fit_curvature(
    trace: Trace,
    *,
    quantity: str = "K",
    lower_bound: float | None = None,
    pairing: str = "max",
    window: str = "descent",
    rho: float | None = 2.0,
    terms: tuple[str, ...] = TERMS,
    bootstrap: int = 400,
    seed: int = 0,
) -> CurvatureFit:
    """Fit the law to a measured curvature along a run.

    What the 95 % intervals cover was measured on simulated runs: 85 to 99 %, see docs/curvature.md.
    Two things they do not hold: noise of the batch in the gap itself (5, 10, 20 % of the gap pull
    a slope of 1 to 0.98, 0.93, 0.79), and a drift of K with time that is not the gap's. An interval
    of a searched rho is mostly the whole range: such runs do not determine it.

    Args:
        trace: a run with measured points; those without `quantity` are passed over.
        quantity: "K", "K_dir", "K_next", "K_noise" or "H".
        lower_bound: of the loss; by default the one the points were measured with, else 0.
        pairing: gap before the step, after it, or the larger one ("max"); see `points`.
        window: "descent" (until 90 % of the fall of the gap) or "all"; see `window`.
        rho: exponent of the first two fits, > 1; `None` leaves only the fits that search it.
        terms: which coefficients are fitted, out of "K0", "K1", "K_rho".
        bootstrap: number of bootstrap samples; 0 for no intervals and hence no verdict.
        seed: of the bootstrap.

    Raises:
        ValueError: an unknown name, an argument out of range, fewer than 4 usable points.

    Example:
        >>> from autowarmup.history import Point
        >>> losses = [5.0, 4.5, 4.0, 3.6, 3.2, 2.9, 2.6, 2.4, 2.2, 2.0, 1.9, 1.8]
        >>> trace = Trace(Point(5 * t, loss, K=3 + loss**2) for t, loss in enumerate(losses))
        >>> found = fit_curvature(trace, window="all")
        >>> round(found.best.K0, 9), round(found.best.K_rho, 9), round(found.best.r_squared, 9)
        (3.0, 1.0, 1.0)
        >>> found.verdict
        'falls'
    """
    terms, rho = _check(terms, rho, bootstrap)
    if not isinstance(trace, Trace):
        raise ValueError(f"trace: expected a Trace, got {type(trace).__name__}")
    if lower_bound is None:
        bounds = (point.lower_bound for point in trace)
        lower_bound = next((bound for bound in bounds if bound is not None), 0.0)
    usable = usable_points(trace, quantity, lower_bound, pairing)
    if len(usable.steps) < FEWEST_TO_FIT:
        left_out = dropped_words(usable.dropped) or "none left out"
        raise ValueError(
            f"expected at least {FEWEST_TO_FIT} usable points with {quantity}, "
            f"got {len(usable.steps)} ({left_out})"
        )
    span = choose_window(usable.steps, usable.gaps, window)
    inside = slice(span.points)
    steps, gaps, values = usable.steps[inside], usable.gaps[inside], usable.values[inside]
    block = block_length(_noise(gaps, values))
    counts = block_counts(len(gaps), block, bootstrap, seed)
    factor = stretch(len(gaps), block)
    slope = measure_slope(gaps, values, counts, factor)
    verdict, sentence = judge(quantity, gaps, values, slope)
    exponents = (rho, None) if rho is not None and "K_rho" in terms else (rho,)
    return CurvatureFit(
        quantity=quantity,
        pairing=usable.pairing,
        lower_bound=lower_bound,
        window=span,
        steps=steps,
        gaps=gaps,
        values=values,
        fits=tuple(
            fit_law(gaps, values, terms, exponent, constraint, counts, factor)
            for exponent in exponents
            for constraint in (NON_NEGATIVE, FREE)
        ),
        slope=slope,
        verdict=verdict,
        sentence=sentence,
        dropped=usable.dropped,
        block=block,
        samples=bootstrap,
        pairings=_by_pairing(trace, quantity, lower_bound, span, rho or 2.0, terms),
    )


def _check(
    terms: tuple[str, ...], rho: float | None, bootstrap: int
) -> tuple[tuple[str, ...], float | None]:
    """Return the terms in order, and an exponent wherever none is to be searched."""
    if not terms or not set(terms) <= set(TERMS) or len(set(terms)) < len(terms):
        raise ValueError(f"expected terms out of {', '.join(TERMS)}, got {terms!r}")
    if rho is not None and not 1 < rho < math.inf:
        raise ValueError(f"expected rho > 1, or None to search it, got {rho}")
    if bootstrap < 0:
        raise ValueError(f"expected a number of bootstrap samples >= 0, got {bootstrap}")
    if rho is None and "K_rho" not in terms:
        rho = 2.0
    return tuple(term for term in TERMS if term in terms), rho


def _noise(gaps: Floats, values: Floats) -> Floats:
    """Return what a line leaves, in time order: of the logarithms where K is positive."""
    if np.all(values > 0):
        return log_residuals(gaps, values)
    line = Regression(gaps, values, ("K0", "K1")).solve(2.0, non_negative=False)
    return values - line.coefficients[0, 0] - line.coefficients[0, 1] * gaps


def _by_pairing(
    trace: Trace,
    quantity: str,
    lower_bound: float,
    window: Window,
    rho: float,
    terms: tuple[str, ...],
) -> dict[str, dict[str, float]]:
    """Return `CurvatureFit.pairings`; a pairing with too few points is left out."""
    found = {}
    for pairing in pairings_of(quantity):
        usable = usable_points(trace, quantity, lower_bound, pairing)
        inside = (usable.steps >= window.first_step) & (usable.steps <= window.last_step)
        gaps, values = usable.gaps[inside], usable.values[inside]
        if len(gaps) < FEWEST_TO_FIT:
            continue
        once = np.ones((1, len(gaps)))
        law = fit_law(gaps, values, terms, rho, NON_NEGATIVE, once[:0], 1.0)
        found[pairing] = {name: getattr(law, name) for name in (*TERMS, "r_squared")} | {
            "p": float(slopes(gaps, values, once)[0]),
            "points": len(gaps),
        }
    return found
