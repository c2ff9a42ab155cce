"""The law of the curvature: its integrals, its peak, and what closes under what."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autowarmup.lab.theory.law import Law

constants = st.floats(0.01, 100.0)
exponents = st.floats(1.05, 6.0)


@given(constants, constants, constants, exponents, st.floats(0.1, 50.0))
def test_the_peak_is_where_the_rate_is_largest(K0, K1, K_rho, rho, factor):
    law = Law(K0, K1, K_rho, rho)
    peak = law.peak_gap
    assert law.over_gap(peak) == pytest.approx(law.peak_inverse_rate)
    assert law.over_gap(factor * peak) >= law.peak_inverse_rate * (1 - 1e-12)
    assert law.K(peak) / peak == pytest.approx(law.over_gap(peak))


@given(constants, constants, constants, exponents, st.floats(0.01, 10.0))
def test_the_primitive_has_the_derivative_K(K0, K1, K_rho, rho, s):
    law = Law(K0, K1, K_rho, rho)
    h = 1e-5 * s
    slope = (law.primitive(s + h) - law.primitive(s - h)) / (2 * h)
    assert slope == pytest.approx(law.K(s), rel=1e-6)


@given(constants, constants, constants, exponents, st.floats(0.0, 10.0), st.floats(0.0, 10.0))
def test_a_shifted_law_is_never_below_the_curvature_it_stands_for(K0, K1, K_rho, rho, by, s):
    law = Law(K0, K1, K_rho, rho)
    assert law.shift(by).K(s) >= law.K(s + by) * (1 - 1e-12)
    quadratic = Law(K0, K1, K_rho)
    assert quadratic.shift(by).K(s) == pytest.approx(quadratic.K(s + by))


@given(
    st.lists(st.tuples(constants, constants, constants, st.floats(0, 5)), min_size=2, max_size=5)
)
def test_the_sum_bounds_the_sum_of_the_curvatures(terms):
    laws = [Law(*term[:3], 3.0) for term in terms]
    gaps = [term[3] for term in terms]
    total = laws[0]
    for law in laws[1:]:
        total = total + law
    together = sum(law.K(gap) for law, gap in zip(laws, gaps, strict=True))
    assert together <= total.K(sum(gaps)) * (1 + 1e-12)
    beside = laws[0].beside(laws[1])
    larger = max(laws[0].K(gaps[0]), laws[1].K(gaps[1]))
    assert larger <= beside.K(gaps[0] + gaps[1]) * (1 + 1e-12)


def test_scaling_and_affine_maps_in_closed_form():
    law = Law(1.0, 2.0, 3.0, 3.0)
    scaled = law.scale(2.0)
    # 2 f has twice the curvature at twice the gap.
    assert scaled.K(8.0) == pytest.approx(2 * law.K(4.0))
    assert law.affine(3.0).K(4.0) == pytest.approx(9 * law.K(4.0))
    assert law.affine(3.0, 1.0).K(4.0) >= 9 * law.K(5.0)


def test_l0_l1_implies_the_stated_constants():
    law = Law.from_l0_l1(2.0, 3.0)
    assert pytest.approx(2 * 2 * np.log(2)) == law.K0
    assert pytest.approx(18.0) == law.K1


def test_the_integral_is_zero_for_an_eps_that_is_met():
    law = Law(np.ones(3), np.ones(3), np.ones(3))
    assert law.integral(np.array([0.5, 1.0, 2.0]), 1.0)[1:].tolist() == [0.0, 0.0]
    assert law.integral(0.5, 1.0)[0] == pytest.approx(1 + np.log(2) + 0.5)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [((-1.0,), "expected K0 >= 0"), ((1.0, 1.0, 1.0, 1.0), "expected rho > 1")],
)
def test_wrong_constants_are_refused(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        Law(*arguments)


def test_operations_refuse_what_they_cannot_do():
    with pytest.raises(ValueError, match="expected equal exponents"):
        Law(1.0, 0.0, 1.0, 2.0) + Law(1.0, 0.0, 1.0, 3.0)
    with pytest.raises(ValueError, match="expected a factor > 0"):
        Law(1.0).scale(0.0)
    with pytest.raises(ValueError, match="expected a shift >= 0"):
        Law(1.0).shift(-1.0)
    with pytest.raises(ValueError, match="expected k > 1"):
        Law.from_l0_l1(1.0, 1.0, k=1.0)
