"""The published counterexamples by name: the printed statement fails, its correction holds."""

from __future__ import annotations

import numpy as np
import pytest

from autowarmup.lab.theory.bounds import gd
from autowarmup.lab.theory.checks import counterexamples as found
from autowarmup.lab.theory.checks.controls import CONTROLS, wrong_constants
from autowarmup.lab.theory.law import Law
from autowarmup.lab.theory.networks import Toy


def check(rows) -> tuple:
    printed, control = rows
    assert printed.expected_fail
    assert printed.verdict == "fail"
    assert not control.expected_fail
    assert control.verdict == "pass"
    return printed, control


def test_closure_under_sums_needs_the_infimum_of_the_sum():
    printed, control = check(found.closure_of_sums())
    assert printed.bound == pytest.approx(-18.0)
    assert control.bound == pytest.approx(2 * np.cosh(1))


def test_deep_linear_net_needs_data_of_full_row_rank():
    printed, control = check(found.deep_linear_rank())
    assert printed.measured == pytest.approx(2 * 10.0**2)
    assert printed.bound == 0.0
    assert control.instances == 50


def test_two_layers_with_cross_entropy_need_the_term_in_f_star():
    printed, control = check(found.two_layer_cross_entropy())
    assert printed.measured > 30 * printed.bound
    assert control.instances == 51


def test_fixed_step_lower_bound_is_minimax_and_not_for_one_function():
    printed, control = check(found.fixed_step_lower_bound())
    assert printed.measured == control.measured == 1
    assert printed.bound > 8
    assert 2 * gd.largest_stable(2.0, 0.55) == pytest.approx(1.70, abs=5e-3)


def test_pl_bound_is_negative_for_a_large_eps():
    printed, control = check(found.pl_bound_negative())
    assert printed.bound < -45
    assert control.bound == 0.0


def test_every_published_counterexample_has_its_test():
    assert len(found.PUBLISHED) == 5


@pytest.mark.parametrize("counterexample", found.MORE)
def test_what_else_is_wrong(counterexample):
    check(counterexample())


def test_constants_that_are_wrong_on_purpose_are_caught():
    rows = list(wrong_constants(np.random.default_rng(1), 10))
    assert len({row.objective for row in rows}) >= 8
    assert len(rows) >= len(CONTROLS)
    assert [row for row in rows if not row.as_it_should] == []


def numeric_hessian(function, w, h=1e-4):
    n = len(w)
    units = h * np.eye(n)
    return np.array([
        [
            (function(w + a + b) - function(w + a - b) - function(w - a + b) + function(w - a - b))
            / (4 * h * h)
            for b in units
        ]
        for a in units
    ])  # fmt: skip


def toy_value(w):
    z = w[2] * (w[:2] @ np.array([[0.05, 0.05, 0.0, 0.0], [0.0, 0.0, 2.0, -2.0]]))
    return np.logaddexp(0.0, -z).mean() + Toy.decay / 2 * (w @ w)


def test_the_hessians_of_the_networks_are_right(theory_rng):
    X = np.diag([1.0, 0.5])
    W1, W2 = theory_rng.standard_normal((2, 2, 2))

    def loss(w):
        return np.sum((w[4:].reshape(2, 2) @ w[:4].reshape(2, 2) @ X) ** 2)

    expected = numeric_hessian(loss, np.concatenate([W1.ravel(), W2.ravel()]))
    _, norm = found._sum_of_squares(W1[None], W2[None], X)
    assert norm[0] == pytest.approx(np.linalg.norm(expected, 2), abs=1e-5)
    w = theory_rng.standard_normal(3)
    value, norm = Toy.hessians(w[None])
    assert value[0] == pytest.approx(toy_value(w))
    assert norm[0] == pytest.approx(np.linalg.norm(numeric_hessian(toy_value, w), 2), abs=1e-5)


def test_the_toy_net_is_at_its_minimum():
    assert np.linalg.eigvalsh(numeric_hessian(toy_value, Toy.best)).min() > 0
    rng = np.random.default_rng(0)
    others = [toy_value(Toy.best + scale * rng.standard_normal(3))
              for scale in np.geomspace(1e-4, 10, 300)]  # fmt: skip
    assert min(others) > toy_value(Toy.best)


def test_the_corrected_count_at_ten_and_twenty_is_below_the_printed_terms():
    law = Law(1.0, 1.0)
    ours = gd.pl_count(law, 0.5, 10.0, 0.01, 10.0, 20.0)
    assert 0 < ours < 40 / 0.5 * 10 + 20 / 0.5 * np.log(10 / 0.01)
