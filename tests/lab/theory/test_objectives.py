"""The objectives have the constants that they state, and a wrong one is seen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autowarmup.lab.theory import profiles
from autowarmup.lab.theory.constants import compare_with_samples
from autowarmup.lab.theory.cosh_objectives import CoshPair, ProductCosh
from autowarmup.lab.theory.families import FAMILIES, radial, separable
from autowarmup.lab.theory.geometry import Geometry
from autowarmup.lab.theory.objectives import Quadratic, Radial


def margins(objective, rng, **options) -> dict[str, float]:
    found = compare_with_samples(objective, rng, **options)
    return {
        name: ((bound - measured) / np.maximum(np.abs(bound), 1e-300)).min()
        for name, (measured, bound) in found.items()
    }


@pytest.mark.parametrize("name", FAMILIES)
def test_every_stated_constant_holds_on_dense_samples(name, theory_rng):
    objective = FAMILIES[name](theory_rng, 20)
    found = margins(objective, theory_rng, samples=12)
    assert set(found) == {"law", "mu", "zeta", "radius", "f_star", "gradient", "Hessian"}
    assert {constant: m for constant, m in found.items() if m < -1e-9} == {}


@pytest.mark.parametrize("name", FAMILIES)
def test_minimiser_and_infimum(name, theory_rng):
    objective = FAMILIES[name](theory_rng, 5)
    x = objective.minimiser
    assert objective.value(x) == pytest.approx(objective.f_star, abs=1e-12)
    assert objective.geometry.dual(objective.gradient(x)) == pytest.approx(0, abs=1e-9)
    assert objective.start(theory_rng, np.full(5, 0.5)).shape == x.shape


@pytest.mark.parametrize("name", ["radial cosh, l2", "separable tan2, linf", "quadratic, spectral"])
@pytest.mark.parametrize("constant", ["law", "mu", "zeta", "radius"])
def test_a_constant_that_is_wrong_by_a_tenth_is_caught(name, constant, theory_rng):
    objective = FAMILIES[name](theory_rng, 20)
    if constant == "law":
        objective.law = objective.law.scale(0.9) if name != "separable tan2, linf" else replace(
            objective.law, K_rho=0.9 * objective.law.K_rho)  # fmt: skip
    elif constant == "mu":
        objective.mu = 2.2 * objective.mu
    elif constant == "zeta":
        objective.zeta = 2.2 * objective.zeta
    else:
        right = objective.radius
        objective.radius = lambda gap: 0.8 * right(gap)
    assert margins(objective, theory_rng, samples=20)[constant] < -1e-3


def test_separable_tan_has_the_constants_of_its_closed_form(theory_rng):
    objective = separable(profiles.TAN2, 4)(theory_rng, 3)
    A, b = objective.c[:, 0], objective.a[:, 0, 0]
    law = objective.law
    assert 8 * A * b**2 == pytest.approx(law.K0)
    assert 8 * b**2 == pytest.approx(law.K1)
    assert 6 * b**2 / A == pytest.approx(law.K_rho)
    assert law.peak_gap == pytest.approx(A * np.sqrt(4 / 3))
    assert objective.radius(2 * A) == pytest.approx(np.arctan(np.sqrt(2)) / b)


def test_the_value_outside_the_barrier_is_infinite():
    one = np.ones(1)
    objective = Radial(profiles.TAN2, one, one, 2)
    assert objective.value(np.array([[1.5, 0.0]])) == pytest.approx(np.tan(1.5) ** 2)
    assert objective.value(np.array([[1.6, 0.0]]))[0] == np.inf
    assert objective.value(np.array([[100.0, 3.0]]))[0] == np.inf


def test_the_pair_needs_its_excess():
    one = np.ones(1)
    pair = CoshPair(np.ones((1, 2)), np.ones((1, 2)), one, np.array([[10.0, -10.0]]))
    assert pair.f_star == pytest.approx(2 * np.cosh(1) - 2)
    assert pair.excess == pytest.approx(2 * np.cosh(1) - 2)
    # At the minimiser the curvature is 2 cosh 1, exactly what the law says there.
    assert pair.law.K(0.0) == pytest.approx(2 * np.cosh(1))


def test_a_small_share_makes_the_plane_witness_flat_along_one_axis():
    witness = ProductCosh(np.ones(1), np.full(1, 4.0), np.full(1, 1e-6))
    assert witness.mu[0] < 1e-6
    assert pytest.approx(4.0) == witness.law.K1


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["l2", "linf", "spectral"]))
def test_quadratic_constants_are_reached(seed, norm):
    rng = np.random.default_rng(seed)
    shape = (2, 3)
    objective = Quadratic(rng.standard_normal((4, *shape)), Geometry(norm, 2))
    x = objective.start(rng, np.ones(4))
    assert objective.gap(x) == pytest.approx(1.0)
    found = margins(objective, rng, samples=3)
    assert found["law"] == pytest.approx(0.0, abs=1e-9)


def test_radial_in_one_dimension_meets_the_profile(theory_rng):
    objective = radial(profiles.WAVY, 1)(theory_rng, 6)
    x = theory_rng.uniform(-3, 3, (6, 1))
    expected = objective.c * profiles.WAVY.value(objective.h * x[:, 0])
    assert objective.value(x) == pytest.approx(expected)
