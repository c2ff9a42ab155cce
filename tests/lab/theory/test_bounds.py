"""Statements on random instances (property-based), and the shape of the bounds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from autowarmup.lab.theory import rules
from autowarmup.lab.theory.bounds import gd, lmo, momentum
from autowarmup.lab.theory.checks import descent, laws, noise, rates
from autowarmup.lab.theory.checks.cases import Case
from autowarmup.lab.theory.checks.fixed_steps import fixed_steps
from autowarmup.lab.theory.families import FAMILIES
from autowarmup.lab.theory.law import Law

seeds = st.integers(0, 2**63)
positive = st.floats(1e-3, 1e3)


def case(name: str, seed: int, instances: int = 2) -> Case:
    return Case.draw(name, FAMILIES[name], np.random.default_rng(seed), instances)


def violated(rows) -> list:
    return [row for row in rows if row.verdict == "fail"]


@settings(max_examples=120)
@given(st.sampled_from(list(FAMILIES)), seeds)
def test_single_steps_of_random_functions(name, seed):
    assert violated(descent.single_steps(case(name, seed, 3))) == []


@settings(max_examples=70)
@given(st.sampled_from(list(FAMILIES)), seeds)
def test_expectations_and_non_convex_rates_of_random_functions(name, seed):
    drawn = case(name, seed)
    assert violated(noise.noisy(drawn)) == []
    assert violated(rates.not_convex(drawn, steps=40)) == []
    assert violated(descent.searched_and_inexact(drawn)) == []


STAR = [name for name in FAMILIES if name != "wavy, l2"]


@settings(max_examples=20)
@given(st.sampled_from(STAR), seeds)
def test_rates_of_random_star_convex_functions(name, seed):
    drawn = case(name, seed)
    assert violated(rates.star_convex(drawn, steps=40)) == []
    assert violated(rates.weight_decay(drawn, steps=40)) == []
    assert violated(rates.momenta(drawn, steps=30)) == []


GD = [name for name in FAMILIES if case(name, 0).h0h1]


@settings(max_examples=40)
@given(st.sampled_from(GD), seeds)
@example("star-convex, l2", 685722)  # no instance has a step to take
def test_gradient_descent_on_random_functions(name, seed):
    drawn = case(name, seed)
    assert violated(descent.gradient_descent(drawn)) == []
    assert violated(rates.gradient_descent(drawn, steps=60)) == []


@settings(max_examples=15)
@given(seeds)
def test_fixed_steps_closure_and_sequences(seed):
    rng = np.random.default_rng(seed)
    assert violated(laws.closure(rng, 4)) == []
    assert violated(laws.worst_sequences(rng, 4, steps=300)) == []
    assert violated(noise.sign_noise(rng, 10)) == []


def test_fixed_steps_and_their_lower_bounds(theory_rng):
    rows = list(fixed_steps(theory_rng, 10))
    assert violated(rows) == []
    assert len(rows) == 9


COUNTS = {
    "A.2": lambda law, gap0, eps: lmo.star_count(law, 1.5, gap0, eps),
    "A.2 exact": lambda law, gap0, eps: lmo.star_count(law, 1.5, gap0, eps, exact=True),
    "A.2 fixed": lambda law, gap0, eps: lmo.fixed_count(law, 1.5, gap0, eps),
    "A.2 PL": lambda law, gap0, eps: lmo.pl_count(law, 0.1, gap0, eps),
    "A.4": lambda law, gap0, eps: lmo.frank_wolfe_count(law, 0.7, gap0, eps),
    "A.5": lambda law, gap0, eps: momentum.momentum_count(law, 0.9, 1.5, gap0, eps),
    "B.2": lambda law, gap0, eps: gd.pl_count(law, 0.1, gap0, eps),
    "B.2 printed rate": lambda law, gap0, eps: gd.pl_count(law, 0.1, gap0, eps, 10, 20),
    "B.2 fixed": lambda law, gap0, eps: gd.pl_fixed_count(law, 0.1, gap0, eps),
    "B.3": lambda law, gap0, eps: gd.aiming_count(law, 1.0, 1.5, gap0, eps),
    "B.3 unit": lambda law, gap0, eps: gd.aiming_count_unit(law, 1.5, gap0, eps),
    "B.4b": lambda law, gap0, eps: gd.lower_bound_pl(
        law.K0, law.K1 * gap0 / law.K0, 0.001, gap0, eps
    ),
}


@pytest.mark.parametrize("name", COUNTS)
@given(positive, positive, positive, positive)
def test_counts_are_never_negative_and_zero_where_nothing_is_to_do(name, K0, K1, gap0, share):
    count = COUNTS[name](Law(K0, K1), gap0, gap0 * share)
    assert count >= 0
    assert count == np.round(count)
    if share >= 1:
        assert count == 0
    elif share < 0.9:
        assert count > 0


@given(positive, positive, positive, positive, st.floats(1e-3, 0.9))
def test_the_gd_count_is_the_pl_count_without_the_power(K0, K1, mu, gap0, share):
    law = Law(K0, K1)
    both = [count(law, mu, gap0, share * gap0) for count in (lmo.pl_count, gd.pl_count)]
    assert both[0] == both[1]


@given(positive, st.floats(1e-6, 1e6))
def test_the_largest_stable_step_lies_between_its_limits(H0, z):
    eta = gd.largest_stable(H0, z)
    assert eta <= 2 / H0 * (1 + 1e-12)
    # The plane allows less, by the logarithm.
    assert eta >= gd.stable_in_the_plane(H0, H0, z) * (1 - 1e-12)


@given(positive, positive, positive, positive)
def test_a_larger_gap_at_the_start_never_makes_a_count_smaller(K0, K1, K_rho, gap0):
    law = Law(K0, K1, K_rho)
    counts = [lmo.star_count(law, 1.0, factor * gap0, 0.1 * gap0) for factor in (1, 2, 4)]
    assert counts == sorted(counts)


def test_the_certified_fixed_rate_is_below_the_schedule_everywhere():
    law, R = Law(2.0, 1.0, 3.0), 1.7
    gaps = np.geomspace(0.01, 5.0, 100)
    least = lmo.fixed_rate(law, R, 5.0, 0.01)
    assert np.all(least <= gaps / (R * law.K(gaps)) * (1 + 1e-12))
    assert lmo.fixed_count(law, R, 5.0, 0.01) > lmo.star_count(law, R, 5.0, 0.01)


def test_momentum_share_and_rule_agree(theory_rng):
    drawn = case("separable tan2, linf", 0, 4)
    law, D = drawn.objective.law, drawn.R
    share = momentum.momentum_share(0.9)
    history = drawn.run(rules.gap_over_law(law, D, share), 0.0, 1)
    assert history.lr[0] == pytest.approx(0.1 / 5.6 * drawn.gap0 / (D * law.K(drawn.gap0)))
