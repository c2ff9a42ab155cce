"""The smoothness law and the learning rate that follows from it.

Along training the curvature in the norm of the optimizer is bounded by a function of the gap
`loss - f_star` (arXiv 2602.05813, the assumption and the rate choice):

    K(gap) = K0 + K1 gap + K_rho gap^rho,      eta(gap) = gap / K(gap),      rho > 1.

The rate rises while the gap falls to `peak_gap` (warm-up) and falls after it (decay).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import overload

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SmoothnessLaw:
    """Curvature as a function of the gap, K(gap) = K0 + K1 gap + K_rho gap^rho.

    With the gap in nats and a step of length eta in the norm of the optimizer, K0 is in nats per
    squared length, K1 in 1 / squared length and K_rho in nats^(1 - rho) per squared length.

    Attributes:
        K0: curvature at the minimum, >= 0.
        K1: linear coefficient. It may be negative, as measured for Muon in arXiv 2602.05813 and as
            the practical scheduler implies at its usual settings; see `k1_sentence`.
        K_rho: coefficient of gap^rho, >= 0.
        rho: exponent, > 1.

    Raises:
        ValueError: a coefficient out of range, or a K that is not positive for every gap > 0.

    Example:
        The rate peaks where K0 = K2 gap^2, here at gap 2 with rate 2 / (4 + 4):

        >>> law = SmoothnessLaw(K0=4.0, K1=0.0, K_rho=1.0)
        >>> law.peak_gap, law.peak_rate, law.rate(2.0), law.rate(4.0)
        (2.0, 0.25, 0.25, 0.2)
    """

    K0: float
    K1: float
    K_rho: float
    rho: float = 2.0

    def __post_init__(self) -> None:
        for name in ("K0", "K1", "K_rho", "rho"):
            if not math.isfinite(getattr(self, name)):
                raise ValueError(f"expected a finite {name}, got {getattr(self, name)}")
        if self.K0 < 0 or self.K_rho < 0:
            raise ValueError(f"expected K0 >= 0 and K_rho >= 0, got {self.K0} and {self.K_rho}")
        if self.rho <= 1:
            raise ValueError(f"expected rho > 1, got {self.rho}")
        if not self._is_positive():
            raise ValueError(
                f"expected K0 + K1 gap + K_rho gap^{self.rho:g} > 0 for every gap > 0, "
                f"got K0={self.K0}, K1={self.K1}, K_rho={self.K_rho}"
            )

    def _is_positive(self) -> bool:
        if self.K1 >= 0:
            return self.K0 + self.K1 + self.K_rho > 0
        if self.K_rho == 0:
            return False
        # K is convex; with K1 < 0 its minimum is where K1 + rho K_rho gap^(rho-1) = 0, and there
        # K = K0 + K1 gap (1 - 1/rho). For rho = 2 this is the discriminant K1^2 < 4 K0 K2.
        return self.K0 + self.K1 * self._lowest() * (1 - 1 / self.rho) > 0

    def _lowest(self) -> float:
        return (-self.K1 / (self.rho * self.K_rho)) ** (1 / (self.rho - 1))

    @overload
    def curvature(self, gap: float) -> float: ...
    @overload
    def curvature(self, gap: Floats) -> Floats: ...
    def curvature(self, gap: float | Floats) -> float | Floats:
        """Return K(gap) for a gap >= 0, a number or an array of any shape.

        Raises:
            ValueError: a negative gap.
        """
        if np.any(np.less(gap, 0)):
            raise ValueError(f"expected a gap >= 0, got {np.min(gap)}")
        return self.K0 + self.K1 * gap + self.K_rho * gap**self.rho

    @overload
    def rate(self, gap: float) -> float: ...
    @overload
    def rate(self, gap: Floats) -> Floats: ...
    def rate(self, gap: float | Floats) -> float | Floats:
        """Return eta(gap) = gap / K(gap) for a gap > 0, a number or an array of any shape.

        Raises:
            ValueError: a gap that is not positive (the limit at 0 depends on K0).
        """
        if np.any(np.less_equal(gap, 0)):
            raise ValueError(f"expected a gap > 0, got {np.min(gap)}")
        return gap / self.curvature(gap)

    @property
    def peak_gap(self) -> float:
        """Gap at which the rate is largest, (K0 / ((rho - 1) K_rho))^(1/rho).

        0 for K0 = 0 (the rate rises to the very end), infinite for K_rho = 0 (it only falls).
        """
        if self.K_rho == 0:
            return math.inf
        return (self.K0 / ((self.rho - 1) * self.K_rho)) ** (1 / self.rho)

    @property
    def peak_rate(self) -> float:
        """Largest rate, in units of a step length; infinite if K(gap) / gap falls to 0.

        Equals 1 / (K1 + rho K_rho^(1/rho) (K0 / (rho - 1))^((rho - 1) / rho)).
        """
        rho = self.rho
        bend = self.K_rho ** (1 / rho) * (self.K0 / (rho - 1)) ** ((rho - 1) / rho)
        inverse = self.K1 + rho * bend
        return 1 / inverse if inverse > 0 else math.inf

    @classmethod
    def from_peak(cls, lr: float, div: float, gap0: float, gap_peak: float) -> SmoothnessLaw:
        """Return the law with rho = 2 that peaks at `lr` and gives `lr / div` at the first gap.

        The conditions eta(gap_peak) = lr, eta'(gap_peak) = 0, eta(gap0) = lr / div of the practical
        scheduler (arXiv 2602.05813) fix K0, K1 and K2. K stays above gap / lr, hence positive.

        Args:
            lr: peak rate, > 0.
            div: peak rate over first rate, > 1.
            gap0: first gap, in units of the loss.
            gap_peak: gap at which warm-up ends, 0 < gap_peak < gap0.

        Raises:
            ValueError: an argument out of its range.

        Example:
            >>> law = SmoothnessLaw.from_peak(lr=1.0, div=5.0, gap0=4.0, gap_peak=2.0)
            >>> law
            SmoothnessLaw(K0=16.0, K1=-15.0, K_rho=4.0, rho=2.0)
            >>> law.rate(4.0), law.rate(2.0), law.to_peak(gap0=4.0)
            (0.2, 1.0, (1.0, 5.0, 2.0))
        """
        if not (math.isfinite(lr) and lr > 0):
            raise ValueError(f"expected a peak rate lr > 0, got {lr}")
        if not (math.isfinite(div) and div > 1):
            raise ValueError(f"expected div > 1 (with div = 1 there is no warm-up), got {div}")
        if not 0 < gap_peak < gap0 < math.inf:
            raise ValueError(f"expected 0 < gap_peak < gap0, got {gap_peak} and {gap0}")
        K2 = gap0 * (div - 1) / (lr * (gap0 - gap_peak) ** 2)
        return cls(K0=K2 * gap_peak**2, K1=1 / lr - 2 * K2 * gap_peak, K_rho=K2)

    def to_peak(self, gap0: float) -> tuple[float, float, float]:
        """Return (lr, div, gap_peak) of this law seen from the first gap: the way back.

        Raises:
            ValueError: the rate has no peak in (0, gap0), so that there is no warm-up to describe.
        """
        gap_peak = self.peak_gap
        if not 0 < gap_peak < gap0:
            raise ValueError(f"expected a first gap above the peak gap {gap_peak:g}, got {gap0:g}")
        lr = self.peak_rate
        return lr, lr / self.rate(gap0), gap_peak

    def k1_sentence(self) -> str:
        """Say the sign of K1 aloud and what follows from it.

        Example:
            >>> print(SmoothnessLaw(K0=1.0, K1=-1.0, K_rho=1.0).k1_sentence())
            K1 = -1 is negative: the curvature falls with the gap up to gap 0.5, then rises.
        """
        if self.K1 >= 0:
            return (
                f"K1 = {self.K1:.4g} is not negative: the curvature rises with the gap throughout."
            )
        return (
            f"K1 = {self.K1:.4g} is negative: the curvature falls with the gap up to gap "
            f"{self._lowest():.4g}, then rises."
        )


def k1_threshold(div: float) -> float:
    """Return the largest r = gap_peak / gap0 for which `from_peak` has K1 >= 0.

    K1 >= 0 iff r <= div - sqrt(div^2 - 1), about 1 / (2 div): with the non-negative
    coefficients that arXiv 2602.05813 assumes, div = 100 means warm-up down to 0.5 % of the gap.

    Raises:
        ValueError: div <= 1.

    Example:
        >>> round(k1_threshold(2.0), 3), round(k1_threshold(100.0), 5)
        (0.268, 0.005)
    """
    if not div > 1:
        raise ValueError(f"expected div > 1, got {div}")
    return 1 / (div * (1 + math.sqrt((1 - 1 / div) * (1 + 1 / div))))


def peak_factor(gap: float, gap0: float, gap_peak: float, div: float) -> float:
    """Return eta(gap) / lr of the rho = 2 law in closed form, a number in [1 / div, 1].

        1 / (1 + (div - 1) (gap0 / gap) ((gap - gap_peak) / (gap0 - gap_peak))^2)

    Gaps above `gap0` count as `gap0`; at and below `gap_peak` the factor is 1. No argument is
    checked, because this runs at every step.

    Args:
        gap: current gap, in units of the loss.
        gap0: first gap, > gap_peak.
        gap_peak: gap at which warm-up ends, >= 0.
        div: peak rate over first rate, >= 1.

    Example:
        >>> peak_factor(4.0, 4.0, 2.0, 5.0), peak_factor(3.0, 4.0, 2.0, 4.0)
        (0.2, 0.5)
        >>> peak_factor(1.0, 4.0, 2.0, 5.0), peak_factor(9.0, 4.0, 2.0, 5.0)
        (1.0, 0.2)
    """
    if gap <= gap_peak:
        return 1.0
    if gap >= gap0:
        return 1.0 / div
    distance = (gap - gap_peak) / (gap0 - gap_peak)
    factor = 1.0 / (1.0 + (div - 1.0) * (gap0 / gap) * distance * distance)
    return max(factor, 1.0 / div)  # rounding, or an infinite product at an enormous div
