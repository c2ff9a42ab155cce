"""Curvature as a function of the gap, for many instances side by side, and what closes under what.

    K(s) = K0 + K1 s + K_rho s^rho,    s = f(x) - f*,    all constants >= 0, rho > 1

`K_rho = 0` is the (H0, H1) condition of arXiv 2510.03164; the whole is the assumption of
arXiv 2602.05813. A constant is a number or an array with one entry per instance. The law of the
scheduler, `rules.gap_law.law`, allows K1 < 0 and so is not covered by the theorems.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from autowarmup.lab.theory.geometry import Floats

Numbers = float | Floats


@dataclass(frozen=True)
class Law:
    """Constants of K, each a number or an array of shape (instances,).

    The operations are the closure rules (B.5): `law_f + law_g` is the law of f + g where both have
    a common minimiser, and `(law_f + law_g).shift(s)` in general, s = inf (f + g) - inf f - inf g;
    with the larger of the norms of x and y it is also that of f(x) + g(y).

    Example:
        >>> law = Law(1.0, 2.0) + Law(3.0, 0.5)
        >>> float(law.K0), float(law.K1), float(law.shift(10.0).K0)
        (4.0, 2.0, 24.0)
        >>> float(Law(2.0, 8.0, 6.0).scale(3.0).affine(2.0).K_rho)
        8.0
    """

    K0: Numbers
    K1: Numbers = 0.0
    K_rho: Numbers = 0.0
    rho: float = 2.0

    def __post_init__(self) -> None:
        for name in ("K0", "K1", "K_rho"):
            if not np.all(np.asarray(getattr(self, name)) >= 0):
                raise ValueError(f"expected {name} >= 0, got {getattr(self, name)}")
        if not self.rho > 1:
            raise ValueError(f"expected rho > 1, got {self.rho}")

    def K(self, gap: Numbers) -> Floats:
        """Return the curvature bound at a gap >= 0; inf stays inf."""
        s = np.asarray(gap, dtype=float)
        with np.errstate(invalid="ignore", over="ignore"):
            return self.K0 + _times(self.K1, s) + _times(self.K_rho, s**self.rho)

    def primitive(self, gap: Numbers) -> Floats:
        """Return the integral of K from 0 to the gap; 2 primitive >= squared dual gradient norm."""
        s = np.asarray(gap, dtype=float)
        power = s ** (self.rho + 1) / (self.rho + 1)
        return np.asarray(self.K0) * s + np.asarray(self.K1) * s**2 / 2 + self.K_rho * power

    def over_gap(self, gap: Numbers) -> Floats:
        """Return K(gap) / gap, the inverse of the rate R eta; inf at gap 0 unless K0 = 0."""
        s = np.asarray(gap, dtype=float)
        return self.K0 / s + self.K1 + self.K_rho * s ** (self.rho - 1)

    def integral(self, eps: Numbers, gap0: Numbers, c_rho: float | None = None) -> Floats:
        """Return I(eps), which counts steps from gap0 down to eps; 0 where eps >= gap0.

        I = K0 (1/eps - 1/gap0) + K1 ln(gap0/eps) + c_rho K_rho (gap0^(rho-1) - eps^(rho-1)),
        c_rho = max(1, 1/(rho-1)).
        """
        low, high = np.minimum(eps, gap0), np.asarray(gap0, dtype=float)
        c = max(1.0, 1 / (self.rho - 1)) if c_rho is None else c_rho
        with np.errstate(divide="ignore", invalid="ignore"):  # a gap of 0 has nothing to do
            power = self.K_rho * (high ** (self.rho - 1) - low ** (self.rho - 1))
            total = self.K0 * (1 / low - 1 / high) + self.K1 * np.log(high / low) + c * power
        return np.where(low >= high, 0.0, total)

    @property
    def peak_gap(self) -> Floats:
        """Gap at which gap / K(gap) peaks, (K0 / ((rho-1) K_rho))^(1/rho); inf for K_rho = 0."""
        with np.errstate(divide="ignore"):
            return (self.K0 / ((self.rho - 1) * np.asarray(self.K_rho, float))) ** (1 / self.rho)

    @property
    def peak_inverse_rate(self) -> Floats:
        """Least K(s) / s: K1 + rho K_rho^(1/rho) (K0 / (rho-1))^((rho-1)/rho)."""
        rho = self.rho
        bend = np.asarray(self.K_rho, float) ** (1 / rho)
        return self.K1 + rho * bend * (np.asarray(self.K0) / (rho - 1)) ** ((rho - 1) / rho)

    def scale(self, c: Numbers) -> Law:
        """Return the law of c f, c > 0."""
        c = np.asarray(c, dtype=float)
        if not np.all(c > 0):
            raise ValueError(f"expected a factor > 0, got {c}")
        return replace(self, K0=self.K0 * c, K1=self.K1, K_rho=self.K_rho * c ** (1 - self.rho))

    def shift(self, by: Numbers) -> Law:
        """Return a law for a gap smaller by `by` >= 0: K(s + by), exact for rho = 2 or K_rho = 0.

        Else (s + by)^rho <= 2^(rho-1) (s^rho + by^rho) keeps the form and is an upper bound.
        """
        if not np.all(np.asarray(by) >= 0):
            raise ValueError(f"expected a shift >= 0, got {by}")
        by = np.asarray(by, dtype=float)
        if self.rho == 2:
            K0 = self.K0 + self.K1 * by + self.K_rho * by**2
            return replace(self, K0=K0, K1=self.K1 + 2 * self.K_rho * by)
        twice = 2 ** (self.rho - 1) * (by > 0) + (by == 0)
        K_rho = self.K_rho * twice
        return replace(self, K0=self.K0 + self.K1 * by + K_rho * by**self.rho, K_rho=K_rho)

    def affine(self, norm: Numbers, shift: Numbers = 0.0) -> Law:
        """Return the law of x -> f(A x + b), `norm` that of A, shift its infimum - f*."""
        law, square = self.shift(shift), np.asarray(norm, dtype=float) ** 2
        return replace(law, K0=law.K0 * square, K1=law.K1 * square, K_rho=law.K_rho * square)

    def __add__(self, other: Law) -> Law:
        K0 = np.asarray(self.K0) + other.K0
        return self._joined(other, K0[()])

    def beside(self, other: Law) -> Law:
        """Return the law of f(x) + g(y) in the Euclidean norm of (x, y)."""
        return self._joined(other, np.maximum(self.K0, other.K0))

    def _joined(self, other: Law, K0: Numbers) -> Law:
        mine, theirs = np.any(self.K_rho), np.any(other.K_rho)
        if mine and theirs and self.rho != other.rho:
            raise ValueError(f"expected equal exponents rho, got {self.rho} and {other.rho}")
        K1 = np.maximum(self.K1, other.K1)
        K_rho = np.maximum(self.K_rho, other.K_rho)
        return Law(K0, K1, K_rho, self.rho if mine else other.rho)

    @classmethod
    def from_l0_l1(cls, L0: Numbers, L1: Numbers, k: float = 2.0) -> Law:
        """Return the law that ||Hessian|| <= L0 + L1 ||gradient|| implies, for any k > 1.

        (H0, H1) = (L0 k ln(k / (k-1)), k L1^2); k = 2 gives (1.386 L0, 2 L1^2).
        """
        if not k > 1:
            raise ValueError(f"expected k > 1, got {k}")
        return cls(np.asarray(L0) * k * np.log(k / (k - 1)), k * np.asarray(L1, float) ** 2)


def _times(constant: Numbers, s: Floats) -> Floats:
    """Return constant * s where 0 * inf is 0."""
    constant = np.asarray(constant, dtype=float)
    return np.where(constant == 0, 0.0, constant * s)
