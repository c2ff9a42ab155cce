"""Least squares of K on [1, gap, gap^rho], for one data set and for many weighted copies of it.

A bootstrap sample of points is the same data with whole-number weights, so that all samples are
solved at once. Three things keep this accurate although gap and gap^rho are almost parallel: gaps
and values are scaled to at most 1, the columns are replaced by an orthonormal basis of the whole
data, and each copy is solved for the *correction* of the whole fit, so that exact data give exact
answers.

The non-negative fit is exact: its solution is the free fit on the columns where it is positive, so
that the best of the (at most eight) sets of columns whose free fit is non-negative is the answer.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

TERMS = ("K0", "K1", "K_rho")
RHO_LEAST, RHO_MOST = 1.01, 6.0
# Steps of 11 % in rho - 1; 2 is one of them. The best point is refined, those of copies are not.
RHO_GRID = np.unique(np.append(1.0 + np.geomspace(RHO_LEAST - 1, RHO_MOST - 1, 60), 2.0))
# Columns whose part orthogonal to the others is below this share are taken as dependent.
DEPENDENT = 1e-9
# Sums of squares (of values scaled to at most 1, per point) below this are rounding.
ROUNDING = 1e-27


@dataclass(frozen=True)
class Solutions:
    """Fits of B copies of the data."""

    coefficients: Floats  # (B, 3), 0 for a term not asked for, nan where a copy has none
    rho: Floats  # (B,)
    sse: Floats  # (B,), weighted sums of squared residuals over the largest |value| squared


class Regression:
    """K = K0 + K1 gap + K_rho gap^rho by least squares; gaps > 0 and values of shape (n,).

    Example:
        >>> gaps = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
        >>> bent = Regression(gaps, 3.0 + gaps - 0.1 * gaps**2, TERMS)
        >>> bent.solve(2.0, non_negative=False).coefficients.round(9)
        array([[ 3. ,  1. , -0.1]])
        >>> bent.solve(2.0, non_negative=True).coefficients.round(9)
        array([[3.7, 0.4, 0. ]])
    """

    def __init__(self, gaps: Floats, values: Floats, terms: tuple[str, ...]) -> None:
        self.gap_scale = float(gaps.max())
        self.value_scale = float(np.abs(values).max()) or 1.0
        self.u = gaps / self.gap_scale
        self.y = values / self.value_scale
        self.terms = terms
        self.places = [TERMS.index(term) for term in terms]
        self.once = np.ones((1, len(gaps)))

    def solve(self, rho: float, *, non_negative: bool, weights: Floats | None = None) -> Solutions:
        """Return the fits with this exponent; `weights` of shape (B, n) weigh the points."""
        weights = self.once if weights is None else weights
        return self._best(rho, non_negative, weights, {})

    def search(self, *, non_negative: bool, weights: Floats | None = None) -> Solutions:
        """Return the fits with the exponent in (1, 6] that fits best.

        Without weights the best exponent of the grid is refined to rounding, and 2 is kept where
        the data do not prefer another one (no K_rho, or an exact line). With weights the exponents
        lie on the grid.
        """
        copies = self.once if weights is None else weights
        without_rho: dict[tuple[int, ...], tuple[Floats, Floats]] = {}
        # From 2 outwards: of equally good exponents the one nearest to 2 stays.
        order = np.argsort(np.abs(np.log(RHO_GRID - 1)), kind="stable")
        best = self._best(2.0, non_negative, copies, without_rho)
        margin = ROUNDING * copies.shape[1]
        for rho in RHO_GRID[order[1:]]:
            new = self._best(float(rho), non_negative, copies, without_rho)
            better = new.sse < best.sse - margin
            best = Solutions(
                np.where(better[:, None], new.coefficients, best.coefficients),
                np.where(better, new.rho, best.rho),
                np.where(better, new.sse, best.sse),
            )
        if weights is not None or (best.rho[0] == 2.0 and best.sse[0] <= margin):
            return best
        refined = self._refine(float(best.rho[0]), non_negative)
        return refined if refined.sse[0] < best.sse[0] - margin * 1e-3 else best

    def _refine(self, rho: float, non_negative: bool) -> Solutions:
        """Golden-section search between the neighbours on the grid."""
        place = int(np.searchsorted(RHO_GRID, rho))
        low, high = RHO_GRID[max(place - 1, 0)], RHO_GRID[min(place + 1, len(RHO_GRID) - 1)]
        golden = (5**0.5 - 1) / 2

        def at(x: float) -> tuple[float, Solutions]:
            return x, self.solve(float(x), non_negative=non_negative)

        left, right = at(high - golden * (high - low)), at(low + golden * (high - low))
        for _ in range(75):
            if left[1].sse[0] <= right[1].sse[0]:
                high, right = right[0], left
                left = at(high - golden * (high - low))
            else:
                low, left = left[0], right
                right = at(low + golden * (high - low))
        return min(left[1], right[1], key=lambda fit: fit.sse[0])

    def _best(
        self,
        rho: float,
        non_negative: bool,
        weights: Floats,
        known: dict[tuple[int, ...], tuple[Floats, Floats]],
    ) -> Solutions:
        columns = np.stack([np.ones_like(self.u), self.u, self.u**rho], axis=1)
        whole = tuple(self.places)
        sets = [whole]
        if non_negative:
            sets += [
                s for k in range(len(whole) - 1, 0, -1) for s in itertools.combinations(whole, k)
            ]
        # The empty set: K = 0. It is a fit only where coefficients may not be negative.
        coefficients = np.full((len(weights), 3), 0.0 if non_negative else np.nan)
        sse = weights @ self.y**2 if non_negative else np.full(len(weights), np.inf)
        settled = np.zeros(len(weights), dtype=bool)
        for places in sets:
            if 2 in places or places not in known:
                found, error = _weighted(columns[:, places], self.y, weights)
                known[places] = found, error
            found, error = known[places]
            fits = np.isfinite(error) & ~settled
            if non_negative:
                fits &= np.all(found >= 0, axis=1) & (error <= sse)
            rows = np.flatnonzero(fits)
            coefficients[rows] = 0.0
            coefficients[rows[:, None], list(places)] = found[rows]
            sse = np.where(fits, error, sse)
            # Where the free fit is non-negative it is the answer, rounding of other sets or not.
            settled |= fits & (places == whole)
        units = self.value_scale / self.gap_scale ** np.array([0.0, 1.0, rho])
        return Solutions(coefficients * units, np.full(len(weights), rho), sse)


def _weighted(columns: Floats, y: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Return coefficients (B, k) and sums of squares (B,) of B weighted least-squares problems.

    Dependent columns of the whole data get 0, the later ones first (K0 carries a constant gap).
    Where only a copy makes them dependent its coefficients are nan and its sum is infinite.
    """
    n, k = columns.shape
    q, r = np.linalg.qr(columns)
    diagonal = np.abs(np.diag(r))
    if n < k or diagonal[-1] < DEPENDENT * np.sqrt(n):
        if k == 1:
            return np.zeros((len(weights), 1)), weights @ y**2
        found, error = _weighted(columns[:, :-1], y, weights)
        return np.pad(found, ((0, 0), (0, 1))), error
    c = q.T @ y
    residual = y - q @ c
    # Once more on what is left, so that exact data leave only rounding.
    again = q.T @ residual
    c, residual = c + again, residual - q @ again
    d = weights @ (q * residual[:, None])
    gram = (weights @ (q[:, :, None] * q[:, None, :]).reshape(n, k * k)).reshape(-1, k, k)
    lost = np.linalg.det(gram) < 1e-12
    gram[lost] = np.eye(k)
    correction = np.linalg.solve(gram, d[..., None])[..., 0]
    error = np.maximum(weights @ residual**2 - np.sum(correction * d, axis=1), 0.0)
    found = np.asarray(np.linalg.solve(r, (c + correction).T).T, dtype=np.float64)
    found[lost], error[lost] = np.nan, np.inf
    return found, error
