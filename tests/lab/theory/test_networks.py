"""B.6: bounds of the Hessian norm of networks, their tangents, and what must be caught."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from autowarmup.lab.problems.data import one_hot, principal_components
from autowarmup.lab.theory import networks, random_networks, verify
from autowarmup.lab.theory.bounds.networks import (
    Attention,
    DeepLinear,
    LeakyReLU,
    Moments,
    TwoLayers,
)
from autowarmup.lab.theory.checks import networks as checks
from autowarmup.lab.theory.hessian_runs import descend, logged
from autowarmup.lab.theory.networks import Toy

MOMENTS = Moments(3.0, 0.5, 6.0)
BOUNDS = [
    DeepLinear(2, MOMENTS, 0.7, 0.1),
    DeepLinear(5, MOMENTS, 0.7, 0.1, kappa=1.2),
    LeakyReLU(0.3, MOMENTS, 1.5, excess=0.4, kappa=1.3, rho=0.5),
    LeakyReLU(1.0, MOMENTS, 0.0),
    TwoLayers(MOMENTS, 0.01),
    Attention(1.3, 0.01),
]
TINY = networks.Size(60, 10, 4, 4, 6, 4)


@pytest.fixture(scope="module")
def trained():
    return checks.trained_networks(TINY, seeds=(0,), steps=40, points=4)


@pytest.mark.parametrize("bound", BOUNDS, ids=lambda bound: type(bound).__name__)
def test_every_tangent_of_a_bound_lies_above_it(bound):
    gaps = np.geomspace(1e-6, 1e4, 400)
    step = 1e-6 * gaps
    slope = (bound.curvature(gaps + step) - bound.curvature(gaps - step)) / (2 * step)
    assert bound.slope(gaps) == pytest.approx(slope, rel=1e-5)
    for at in (1e-3, 0.5, 40.0):
        law = bound.law(at)
        assert law.K0 >= 0
        assert law.K(at) == pytest.approx(bound.curvature(at))
        assert np.all(law.K(gaps) >= bound.curvature(gaps) * (1 - 1e-12))


def test_deep_linear_bound_is_attained():
    # Three equal orthogonal layers on white data, at an optimum that fits: L s^(2L - 2).
    s = 1.3
    loss_weights = [s * np.eye(2)] * 3

    def loss(w):
        w1, w2, w3 = w.reshape(3, 2, 2)
        return (w3 @ w2 @ w1 - s**3 * torch.eye(2, dtype=w.dtype)).square().sum() / 2

    w = torch.from_numpy(np.stack(loss_weights).ravel())
    norm = torch.linalg.matrix_norm(torch.func.jacrev(torch.func.grad(loss))(w), 2).item()
    bound = DeepLinear(3, Moments(1.0, 1.0, 2.0), s**3, 0.0).curvature(0.0)
    assert norm == pytest.approx(3 * s**4)
    assert bound == pytest.approx(norm)


def test_statements_hold_on_random_networks():
    rows = list(checks.random_networks(np.random.default_rng(7), 200))
    assert len(rows) == 4
    assert [row for row in rows if row.verdict != "pass" or row.instances != 200] == []


def test_constants_too_small_and_weights_outside_are_caught():
    rows = list(checks.controls(np.random.default_rng(8)))
    assert len(rows) == 6
    assert all(row.expected_fail and row.verdict == "fail" for row in rows)


def test_random_weights_are_balanced(theory_rng):
    first, second = random_networks.balanced(theory_rng, (4, 4, 3), np.ones(5))
    inner, outer = np.swapaxes(second, 1, 2) @ second, first @ np.swapaxes(first, 1, 2)
    assert inner == pytest.approx(outer, abs=1e-12)


def test_runs_on_data_hold_and_the_blank_input_breaks_the_printed_form(trained):
    rows, runs = trained
    held = {row.statement: row for row in rows}
    assert len(held) == 5
    assert all(row.verdict in ("pass", "vacuous") for row in rows if not row.expected_fail)
    assert held[checks.PRINTED_LINEAR].verdict == "fail"
    assert held[checks.STATEMENTS["deep-linear"].words].verdict == "pass"
    (blank,) = runs["blank-pixel"]
    assert np.all(blank.norm > 5 * blank.bounds)
    assert blank.balance == pytest.approx(1.0, abs=0.01)
    for name, (run,) in runs.items():
        assert run.loss[-1] < run.loss[0], name
        assert np.all(run.gap > 0), name


def test_lanczos_is_the_dense_norm_and_the_start_is_balanced():
    bounded = networks.leaky_relu(0, TINY)
    start = [w.detach().clone() for w in bounded.problem.model.parameters()]
    held = one_hot(principal_components(TINY.components, TINY.images))

    def loss(w):
        first, second = (p.view_as(x) for p, x in zip(w.split(sizes), start, strict=True))
        out = torch.nn.functional.leaky_relu(held.x @ first.T, networks.LEAK) @ second.T
        return (out - held.y).square().sum(1).mean() / 2

    sizes = [w.numel() for w in start]
    flat = torch.cat([w.flatten() for w in start])
    dense = torch.linalg.matrix_norm(torch.func.jacrev(torch.func.grad(loss))(flat), 2).item()
    run = descend(bounded, 1, 2)
    assert run.loss[0] == pytest.approx(loss(flat).item())
    assert run.norm[0] == pytest.approx(dense, rel=1e-4)
    assert run.balance[0] == pytest.approx([0.0, 1.0])
    moments = Moments.of(held.x.numpy())
    assert (moments.smallest, moments.largest) == pytest.approx((1.0, 1.0))


def test_toy_network_violates_the_printed_form():
    printed, corrected = checks.toy_rows()
    assert printed.verdict == "fail"
    assert printed.measured > 3 * printed.bound
    assert corrected.verdict == "pass"
    # f* is exact: from the minimiser nothing moves.
    run = descend(Toy.bounded(Toy.best), 3, 3)
    assert np.abs(run.gap).max() < 1e-15


def test_without_scikit_learn_the_rest_is_still_checked(monkeypatch):
    monkeypatch.setattr(checks, "find_spec", lambda name: None)
    rows, left_out = verify.network_rows(2, 0)
    assert "pip install" in left_out
    assert not any("digits" in row.objective for row in rows)
    assert len(rows) >= 10


def test_logged_steps_are_dense_at_the_start():
    steps = logged(1000, 12)
    assert steps[:2] == [0, 1]
    assert steps[-1] == 1000
    assert sorted(set(steps)) == steps
