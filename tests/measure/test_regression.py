"""Least squares: exact laws to rounding, the optimality conditions, many copies at once."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autowarmup.measure.regression import RHO_MOST, TERMS, Regression, Solutions

coefficients = st.one_of(st.just(0.0), st.floats(0.01, 100.0))
laws = st.tuples(coefficients, coefficients, coefficients)
seeds = st.integers(0, 2**32 - 1)


def some_gaps(seed: int, n: int = 30) -> np.ndarray:
    """Gaps over a factor of about six, in no order."""
    return np.random.default_rng(seed).uniform(0.5, 3.0, n)


def curve(law: tuple[float, float, float], rho: float, gaps: np.ndarray) -> np.ndarray:
    return law[0] + law[1] * gaps + law[2] * gaps**rho


def noisy(seed: int, n: int = 30) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    gaps = rng.uniform(0.5, 3.0, n)
    law = rng.normal(size=3)
    return gaps, curve((law[0], law[1], law[2]), 2.0, gaps) + rng.standard_t(3, n)


@given(laws, st.floats(1.2, 5.5), seeds, st.booleans())
def test_exact_laws_with_a_known_exponent_come_back(
    law: tuple[float, float, float], rho: float, seed: int, non_negative: bool
) -> None:
    gaps = some_gaps(seed)
    values = curve(law, rho, gaps)
    found = Regression(gaps, values, TERMS).solve(rho, non_negative=non_negative)
    assert found.coefficients[0] == pytest.approx(law, rel=1e-9, abs=1e-10 * (1 + max(values)))
    if non_negative:
        assert np.all(found.coefficients >= 0)


@settings(max_examples=25)
@given(
    st.tuples(coefficients, coefficients, st.floats(1.0, 100.0)),
    st.floats(1.2, 5.5),
    seeds,
    st.booleans(),
)
def test_exact_laws_come_back_with_their_exponent(
    law: tuple[float, float, float], rho: float, seed: int, non_negative: bool
) -> None:
    gaps = some_gaps(seed)
    values = curve(law, rho, gaps)
    found = Regression(gaps, values, TERMS).search(non_negative=non_negative)
    # The exponent of a bend that is 1 / 1000 of K is known 1000 times worse.
    assert found.rho[0] == pytest.approx(rho, abs=1e-7)
    fitted = curve(tuple(found.coefficients[0]), found.rho[0], gaps)
    assert fitted == pytest.approx(values, rel=1e-9)


@pytest.mark.parametrize("rho", [1.5, 2.0, 3.0])
def test_exponents_to_rounding(rho: float) -> None:
    gaps = np.linspace(1.0, 6.0, 12)
    for non_negative in (True, False):
        found = Regression(gaps, 3 + 2 * gaps + gaps**rho, TERMS).search(non_negative=non_negative)
        assert found.rho[0] == pytest.approx(rho, abs=1e-10)
        assert found.coefficients[0] == pytest.approx([3, 2, 1], rel=1e-9)


@pytest.mark.parametrize("values", [(3.0, 0.0), (3.0, 2.0), (0.0, 0.0)])
def test_without_a_bend_the_exponent_stays_two(values: tuple[float, float]) -> None:
    gaps = np.linspace(1.0, 6.0, 12)
    for non_negative in (True, False):
        found = Regression(gaps, values[0] + values[1] * gaps, TERMS).search(
            non_negative=non_negative
        )
        assert found.rho[0] == 2.0
        assert found.coefficients[0] == pytest.approx([*values, 0], abs=1e-12)


@settings(max_examples=15)
@given(seeds)
def test_the_search_is_no_worse_than_any_exponent(seed: int) -> None:
    regression = Regression(*noisy(seed), TERMS)
    for non_negative in (True, False):
        best = regression.search(non_negative=non_negative)
        for rho in np.linspace(1.05, RHO_MOST, 25):
            other = regression.solve(float(rho), non_negative=non_negative)
            assert best.sse[0] <= other.sse[0] * (1 + 1e-9) + 1e-12


@given(seeds, st.sampled_from([1.5, 2.0, 3.0]))
def test_optimality_conditions_of_the_non_negative_fit(seed: int, rho: float) -> None:
    gaps, values = noisy(seed)
    found = Regression(gaps, values, TERMS).solve(rho, non_negative=True).coefficients[0]
    columns = np.stack([np.ones_like(gaps), gaps, gaps**rho], axis=1)
    pull = columns.T @ (values - columns @ found)
    size = np.abs(columns.T) @ np.abs(values)
    assert np.all(found >= 0)
    # More of an absent term would not help; more or less of a present one neither.
    assert np.all(pull <= 1e-10 * size)
    assert np.all(np.abs(pull[found > 0]) <= 1e-10 * size[found > 0])


@given(seeds)
def test_the_free_fit_is_the_answer_where_it_is_non_negative(seed: int) -> None:
    regression = Regression(*noisy(seed), TERMS)
    free, bound = (regression.solve(2.0, non_negative=flag) for flag in (False, True))
    if np.all(free.coefficients >= 0):
        assert np.array_equal(free.coefficients, bound.coefficients)
    else:
        assert bound.sse[0] >= free.sse[0]
    gaps, values = noisy(seed)
    columns = np.stack([np.ones_like(gaps), gaps, gaps**2], axis=1)
    expected = np.linalg.lstsq(columns, values)[0]
    assert free.coefficients[0] == pytest.approx(expected, rel=1e-8, abs=1e-8)


@given(seeds, st.sampled_from([1e-6, 0.1, 1e6]), st.sampled_from([1e-3, 7.0, 1e3]))
def test_units_of_k_and_of_the_loss(seed: int, of_k: float, of_gap: float) -> None:
    gaps, values = noisy(seed)
    for non_negative in (True, False):
        here = Regression(gaps, values, TERMS).solve(2.5, non_negative=non_negative)
        there = Regression(of_gap * gaps, of_k * values, TERMS).solve(
            2.5, non_negative=non_negative
        )
        units = of_k / of_gap ** np.array([0.0, 1.0, 2.5])
        assert there.coefficients / units == pytest.approx(here.coefficients, rel=1e-7, abs=1e-9)


def test_weights_are_repeated_points() -> None:
    rng = np.random.default_rng(0)
    for terms in (TERMS, ("K0", "K1"), ("K0", "K_rho"), ("K1",)):
        gaps, values = noisy(1)
        counts = rng.multinomial(30, np.full(30, 1 / 30), size=20).astype(float)
        whole = Regression(gaps, values, terms)
        for non_negative in (True, False):
            together = whole.solve(2.0, non_negative=non_negative, weights=counts)
            searched = whole.search(non_negative=non_negative, weights=counts)
            for row in range(20):
                drawn = np.repeat(np.arange(30), counts[row].astype(int))
                alone = Regression(gaps[drawn], values[drawn], terms)
                expected = alone.solve(2.0, non_negative=non_negative).coefficients[0]
                assert together.coefficients[row] == pytest.approx(expected, rel=1e-8, abs=1e-8)
                expected = alone.solve(searched.rho[row], non_negative=non_negative).coefficients[0]
                assert searched.coefficients[row] == pytest.approx(expected, rel=1e-6, abs=1e-6)


def reference(gaps: np.ndarray, values: np.ndarray, terms: tuple[str, ...]) -> float:
    """Least sum of squares over all sets of terms with a non-negative free fit, one at a time."""
    best = float(values @ values)
    for size in range(1, len(terms) + 1):
        for chosen in itertools.combinations(terms, size):
            columns = np.stack([gaps ** {"K0": 0, "K1": 1, "K_rho": 2}[t] for t in chosen], axis=1)
            x = np.linalg.lstsq(columns, values)[0]
            if np.all(x >= 0):
                best = min(best, float(np.sum((values - columns @ x) ** 2)))
    return best


@given(seeds)
def test_no_set_of_terms_is_better(seed: int) -> None:
    gaps, values = noisy(seed)
    for terms in (TERMS, ("K0", "K1"), ("K1", "K_rho")):
        found: Solutions = Regression(gaps, values, terms).solve(2.0, non_negative=True)
        fitted = curve(tuple(found.coefficients[0]), 2.0, gaps)
        assert np.sum((values - fitted) ** 2) == pytest.approx(reference(gaps, values, terms))
        absent = [TERMS.index(term) for term in TERMS if term not in terms]
        assert np.all(found.coefficients[0][absent] == 0)


def test_what_the_data_do_not_determine() -> None:
    level = Regression(np.full(6, 2.0), np.arange(6.0), TERMS)
    for non_negative in (True, False):
        # One gap only: K0 carries it.
        assert level.solve(2.0, non_negative=non_negative).coefficients[0] == pytest.approx(
            [2.5, 0, 0]
        )
    two = Regression(np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 3.0, 4.0, 9.0]), TERMS)
    copy = np.array([[2.0, 2.0, 0.0, 0.0]])
    assert np.all(np.isnan(two.solve(2.0, non_negative=False, weights=copy).coefficients))
    assert np.all(two.solve(2.0, non_negative=True, weights=copy).coefficients >= 0)
    zero = Regression(np.array([1.0, 2.0, 3.0, 4.0]), np.zeros(4), TERMS)
    assert np.all(zero.solve(2.0, non_negative=True).coefficients == 0)
