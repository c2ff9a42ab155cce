"""One fitted law with its goodness of fit and the intervals of its coefficients."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autowarmup.history import strict_json
from autowarmup.measure.bootstrap import interval
from autowarmup.measure.regression import RHO_LEAST, RHO_MOST, TERMS, Regression, Solutions
from autowarmup.rules.gap_law.law import SmoothnessLaw

Floats = NDArray[np.float64]

NON_NEGATIVE, FREE = "non_negative", "free"
# Differences below this share of the largest |K| are rounding, neither above a curve nor a misfit.
ROUNDING = 1e-12


@dataclass(frozen=True)
class LawFit:
    """K(gap) = K0 + K1 gap + K_rho gap^rho, fitted by least squares in K.

    Attributes:
        constraint: "non_negative" (every coefficient >= 0, as the theorems ask) or "free".
        terms: the coefficients that were fitted; the others are 0.
        K0, K1, K_rho: coefficients, units as in `SmoothnessLaw`.
        rho: exponent; without meaning where "K_rho" is not among the terms or is 0.
        rho_searched: whether rho was fitted too, on (1, 6].
        r_squared: 1 - sum (K - fit)^2 / sum (K - mean K)^2: 1 for exact data, 0 for a fit as good
            as the mean, negative for a worse one. Where all K are equal there is no spread to
            explain: 1 if the fit meets them, else 0.
        share_above: share of the points whose K lies strictly above the curve (by more than
            rounding). A law that *bounds* K would have none; least squares leaves about half.
        interval: 95 % interval of each fitted coefficient, and of rho where it was searched
            (infinite or the whole range where the data do not determine it).
        points: how many points were fitted.
    """

    constraint: str
    terms: tuple[str, ...]
    K0: float
    K1: float
    K_rho: float
    rho: float
    rho_searched: bool
    r_squared: float
    share_above: float
    interval: dict[str, tuple[float, float]]
    points: int

    def curvature(self, gap: Floats) -> Floats:
        """Return the fitted K at gaps >= 0 of any shape; a free fit may be negative somewhere."""
        return curve(self.K0, self.K1, self.K_rho, self.rho, gap)

    @property
    def law(self) -> SmoothnessLaw | None:
        """The fit as a law; `None` where it is not positive at every gap > 0."""
        try:
            return SmoothnessLaw(self.K0, self.K1, self.K_rho, self.rho)
        except ValueError:
            return None

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values; `None` stands for a bound that is infinite."""
        return strict_json(asdict(self))


def fit_law(
    gaps: Floats,
    values: Floats,
    terms: tuple[str, ...],
    rho: float | None,
    constraint: str,
    counts: Floats,
    factor: float,
) -> LawFit:
    """Return the fit of one law to gaps > 0 and curvatures of shape (n,).

    Args:
        rho: the exponent, or `None` to search it.
        counts: shape (B, n), how often each bootstrap sample holds each point; B = 0 for none.
        factor: by how much percentiles are stretched, see `bootstrap.stretch`.
    """
    regression = Regression(gaps, values, terms)
    solve = regression.search if rho is None else partial(regression.solve, rho)
    positive = constraint == NON_NEGATIVE
    # Gap and gap^rho are so nearly parallel that some copies lose one of them: the percentiles of
    # a free fit of all three are too far apart as they are (measured: see fit.py).
    if constraint == FREE and len(terms) == len(TERMS):
        factor = 1.0
    best, copies = solve(non_negative=positive), solve(non_negative=positive, weights=counts)
    K0, K1, K_rho = (float(c) for c in best.coefficients[0])
    used_rho = float(best.rho[0])
    fitted = curve(K0, K1, K_rho, used_rho, gaps)
    rounding = ROUNDING * float(np.abs(values).max())
    return LawFit(
        constraint=constraint,
        terms=terms,
        K0=K0,
        K1=K1,
        K_rho=K_rho,
        rho=used_rho,
        rho_searched=rho is None,
        r_squared=r_squared(values, fitted),
        share_above=float(np.mean(values > fitted + rounding)),
        interval=_intervals(best, copies, terms, positive, factor)
        | (_rho_interval(best, copies, factor) if rho is None else {}),
        points=len(gaps),
    )


def curve(K0: float, K1: float, K_rho: float, rho: float, gap: Floats) -> Floats:
    """Return K0 + K1 gap + K_rho gap^rho, of any sign: a free fit need not be a `SmoothnessLaw`."""
    return K0 + K1 * gap + K_rho * gap**rho


def r_squared(values: Floats, fitted: Floats) -> float:
    """Return the share of the spread of the values that the fit explains, see `LawFit`."""
    # In units of the largest |K|, or squares of a diverged run overflow.
    scale = float(np.abs(values).max()) or 1.0
    values, fitted = values / scale, fitted / scale
    rounding = len(values) * ROUNDING**2
    left = float(np.sum((values - fitted) ** 2))
    spread = float(np.sum((values - values.mean()) ** 2))
    if spread <= rounding:
        return 1.0 if left <= rounding else 0.0
    return 1.0 - left / spread


def _intervals(
    best: Solutions, copies: Solutions, terms: tuple[str, ...], positive: bool, factor: float
) -> dict[str, tuple[float, float]]:
    """Return the interval of every coefficient that was fitted."""
    columns = zip(TERMS, best.coefficients[0].tolist(), copies.coefficients.T, strict=True)
    least = 0.0 if positive else -math.inf
    return {
        term: interval(estimate, samples, factor, least)
        for term, estimate, samples in columns
        if term in terms
    }


def _rho_interval(
    best: Solutions, copies: Solutions, factor: float
) -> dict[str, tuple[float, float]]:
    """Return the interval of a searched exponent."""
    rho, ends = float(best.rho[0]), (RHO_LEAST, RHO_MOST)
    if best.coefficients[0, 2] == 0:
        return {"rho": ends}
    # A copy with K_rho = 0 says nothing about rho: it could be anywhere.
    unknown = copies.coefficients[:, 2] == 0
    low = interval(rho, np.where(unknown, RHO_LEAST, copies.rho), factor, *ends)[0]
    high = interval(rho, np.where(unknown, RHO_MOST, copies.rho), factor, *ends)[1]
    return {"rho": (low, high)}
