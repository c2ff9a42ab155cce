"""The law: conditions at the peak and at the first gap, positivity, both ways of conversion."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from autowarmup.rules.gap_law.law import SmoothnessLaw, k1_threshold, peak_factor

lrs = st.floats(1e-6, 1e2)
divs = st.floats(1.01, 1e4)
gaps = st.floats(1e-3, 1e3)
shares = st.floats(1e-3, 0.99)


@given(lrs, divs, gaps, shares)
def test_from_peak_meets_its_three_conditions(lr: float, div: float, gap0: float, r: float) -> None:
    law = SmoothnessLaw.from_peak(lr, div, gap0, r * gap0)
    assert law.rate(gap0) == pytest.approx(lr / div, rel=1e-6)
    assert law.rate(r * gap0) == pytest.approx(lr, rel=1e-6)
    assert law.peak_gap == pytest.approx(r * gap0, rel=1e-9)
    for nearby in (0.99, 1.01):
        assert law.rate(nearby * r * gap0) < lr * (1 + 1e-6)


@given(lrs, divs, gaps, shares)
def test_to_peak_is_the_way_back(lr: float, div: float, gap0: float, r: float) -> None:
    back = SmoothnessLaw.from_peak(lr, div, gap0, r * gap0).to_peak(gap0)
    assert back == pytest.approx((lr, div, r * gap0), rel=1e-6)


@given(lrs, divs, gaps, shares, st.floats(0, 1))
def test_peak_factor_is_the_rate_of_the_law(
    lr: float, div: float, gap0: float, r: float, where: float
) -> None:
    gap = gap0 * (r + (1 - r) * where)
    law = SmoothnessLaw.from_peak(lr, div, gap0, r * gap0)
    assert peak_factor(gap, gap0, r * gap0, div) == pytest.approx(law.rate(gap) / lr, rel=1e-6)


@given(divs, gaps, shares, st.lists(st.floats(0, 2), min_size=2, max_size=20))
def test_peak_factor_never_falls_while_the_gap_falls(
    div: float, gap0: float, r: float, us: list[float]
) -> None:
    factors = [peak_factor(u * gap0, gap0, r * gap0, div) for u in sorted(us, reverse=True)]
    for earlier, later in itertools.pairwise(factors):
        assert later >= earlier * (1 - 1e-12)
    assert all(1 / div <= factor <= 1 for factor in factors)
    assert peak_factor(gap0, gap0, r * gap0, div) == 1 / div
    assert peak_factor(r * gap0, gap0, r * gap0, div) == 1.0


@pytest.mark.parametrize("gap0", [5e-324, 1e-300, 1e308])
@pytest.mark.parametrize("div", [1.0, 1e308])
def test_peak_factor_stays_in_its_range_at_the_ends_of_the_floats(gap0: float, div: float) -> None:
    for u in (0.0, 0.3, 0.5, 0.999, 1.0):
        assert 1 / div <= peak_factor(u * gap0, gap0, 0.3 * gap0, div) <= 1


@given(divs, st.floats(1e-5, 0.99))
def test_sign_of_k1_is_told_by_the_threshold(div: float, r: float) -> None:
    threshold = k1_threshold(div)
    assume(abs(r / threshold - 1) > 1e-6)
    law = SmoothnessLaw.from_peak(1.0, div, 1.0, r)
    assert (law.K1 >= 0) == (r <= threshold)
    assert ("not negative" in law.k1_sentence()) == (law.K1 >= 0)


def test_threshold_is_the_root_of_the_discriminant() -> None:
    for div, expected in ((2, 0.268), (5, 0.101), (10, 0.050), (100, 0.0050)):
        assert k1_threshold(div) == pytest.approx(expected, abs=5e-4)
        assert k1_threshold(div) == pytest.approx(div - math.sqrt(div * div - 1), rel=1e-9)
    with pytest.raises(ValueError, match="expected div > 1, got 1"):
        k1_threshold(1.0)


def test_the_sentence_names_where_the_curvature_turns() -> None:
    law = SmoothnessLaw(K0=9.0, K1=-2.0, K_rho=0.5)
    turn = 2.0
    assert f"up to gap {turn:g}," in law.k1_sentence()
    nearby = np.array([turn - 0.1, turn, turn + 0.1])
    assert np.argmin(law.curvature(nearby)) == 1


@given(st.floats(1e-3, 1e3), st.floats(0, 1e3), st.floats(1e-3, 1e3), st.floats(1.1, 5))
def test_peak_for_any_exponent(K0: float, K1: float, K_rho: float, rho: float) -> None:
    law = SmoothnessLaw(K0, K1, K_rho, rho)
    assert law.rate(law.peak_gap) == pytest.approx(law.peak_rate, rel=1e-9)
    around = law.peak_gap * np.linspace(0.5, 2.0, 31)
    assert np.all(law.rate(around) <= law.peak_rate * (1 + 1e-9))


@given(st.floats(1.05, 6), st.floats(0.1, 10), st.floats(0.1, 10), st.floats(0.5, 1.5))
def test_positivity_is_decided_at_the_minimiser(
    rho: float, K0: float, K_rho: float, scale: float
) -> None:
    # On the boundary K has a double root; the K1 that makes it follows from K = K' = 0.
    root = (K0 / ((rho - 1) * K_rho)) ** (1 / rho)
    boundary = -rho * K_rho * root ** (rho - 1)
    assume(abs(scale - 1) > 1e-6)
    if scale > 1:
        with pytest.raises(ValueError, match="for every gap > 0"):
            SmoothnessLaw(K0, boundary * scale, K_rho, rho)
    else:
        law = SmoothnessLaw(K0, boundary * scale, K_rho, rho)
        assert np.all(law.curvature(root * np.geomspace(1e-3, 1e3, 200)) > 0)


def test_laws_without_an_inner_peak() -> None:
    only_decay = SmoothnessLaw(K0=1.0, K1=2.0, K_rho=0.0)
    assert (only_decay.peak_gap, only_decay.peak_rate) == (math.inf, 0.5)
    only_warmup = SmoothnessLaw(K0=0.0, K1=2.0, K_rho=1.0)
    assert (only_warmup.peak_gap, only_warmup.peak_rate) == (0.0, 0.5)
    assert SmoothnessLaw(K0=0.0, K1=0.0, K_rho=1.0).peak_rate == math.inf
    for law in (only_decay, only_warmup):
        with pytest.raises(ValueError, match="expected a first gap above the peak gap"):
            law.to_peak(1.0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((-1.0, 0.0, 1.0, 2.0), "expected K0 >= 0 and K_rho >= 0, got -1"),
        ((1.0, 0.0, -1.0, 2.0), "expected K0 >= 0 and K_rho >= 0"),
        ((1.0, 0.0, 1.0, 1.0), "expected rho > 1, got 1"),
        ((1.0, math.nan, 1.0, 2.0), "expected a finite K1, got nan"),
        ((0.0, 0.0, 0.0, 2.0), "for every gap > 0"),
        ((1.0, -1.0, 0.0, 2.0), "for every gap > 0"),
    ],
)
def test_impossible_laws_are_refused(arguments: tuple[float, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SmoothnessLaw(*arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0.0, 2.0, 2.0, 1.0), "expected a peak rate lr > 0, got 0"),
        ((1.0, 1.0, 2.0, 1.0), "expected div > 1"),
        ((1.0, 2.0, 2.0, 2.0), "expected 0 < gap_peak < gap0, got 2.0 and 2.0"),
        ((1.0, 2.0, math.inf, 2.0), "expected 0 < gap_peak < gap0"),
    ],
)
def test_impossible_peaks_are_refused(arguments: tuple[float, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SmoothnessLaw.from_peak(*arguments)


def test_gaps_out_of_range_are_refused() -> None:
    law = SmoothnessLaw(1.0, 0.0, 1.0)
    with pytest.raises(ValueError, match="expected a gap >= 0, got -1"):
        law.curvature(np.array([1.0, -1.0]))
    with pytest.raises(ValueError, match="expected a gap > 0, got 0"):
        law.rate(0.0)
    assert law.curvature(0.0) == 1.0
