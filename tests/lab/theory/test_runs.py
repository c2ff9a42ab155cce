"""Runs and step rules against closed forms and by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from autowarmup.lab.theory import rules
from autowarmup.lab.theory.families import FAMILIES
from autowarmup.lab.theory.geometry import Geometry
from autowarmup.lab.theory.law import Law
from autowarmup.lab.theory.objectives import Quadratic
from autowarmup.lab.theory.runs import Method, run
from autowarmup.norms import Spectral


def start(name: str, rng, instances: int = 8, gap: float = 3.0):
    objective = FAMILIES[name](rng, instances)
    return objective, objective.start(rng, np.full(instances, gap))


@pytest.mark.parametrize("name", ["radial cosh, l2", "ridge tan2, spectral", "quadratic, linf"])
def test_side_by_side_is_the_same_as_one_at_a_time(name, theory_rng):
    centres = theory_rng.standard_normal((6, 2, 2))
    geometry = Geometry("spectral", 2)
    together = Quadratic(centres, geometry)
    x0 = theory_rng.standard_normal((6, 2, 2))
    rule = rules.slope_over_law(Law(2.0))
    both = run(together, x0, rule, steps=5)
    for i in range(6):
        alone = run(Quadratic(centres[i : i + 1], geometry), x0[i : i + 1], rule, steps=5)
        assert both.gap[:, i] == pytest.approx(alone.gap[:, 0], abs=1e-14)
    objective, x = start(name, theory_rng)
    history = run(objective, x, rules.slope_over_law(objective.law), steps=3)
    assert history.gap.shape == (4, 8)
    assert history.lr.shape == (3, 8)
    assert np.all(np.diff(history.gap, axis=0) <= 0)


def test_an_lmo_step_by_hand():
    objective = Quadratic(np.zeros((1, 3)), Geometry("linf", 1))
    x0 = np.array([[3.0, -1.0, 0.5]])
    plain = run(objective, x0, rules.fixed(0.25), steps=1)
    assert plain.x.tolist() == [[2.75, -0.75, 0.25]]
    assert plain.slope[0, 0] == 4.5
    decayed = run(objective, x0, rules.fixed(0.25), steps=1, method=Method(weight_decay=0.4))
    assert decayed.x == pytest.approx(0.9 * x0 - 0.25 * np.sign(x0))


def test_momentum_by_hand():
    objective = Quadratic(np.zeros((1, 1)), Geometry("l2", 1))
    x0 = np.array([[1.0]])
    gd = {"kind": "gd", "beta": 0.5, "beta1": 0.25}
    # g = 1, then 0.9; m = 1, then 0.95.
    for momentum, second in (("none", 0.9), ("polyak", 0.95), ("lion", 0.925), ("nesterov", 0.925)):
        method = Method(momentum=momentum, **gd)
        history = run(objective, x0, rules.fixed(0.1), steps=2, method=method)
        assert history.x[0, 0] == pytest.approx(0.9 - 0.1 * second), momentum
        assert history.error[1, 0] == pytest.approx(second - 0.9)


def test_the_exact_step_lands_on_the_minimiser_where_the_law_is_an_equality(theory_rng):
    for name in ("radial cosh, l2", "radial tan2, l2"):
        objective, x0 = start(name, theory_rng)
        history = run(objective, x0, rules.exact(objective.law), steps=1)
        assert history.gap[1] == pytest.approx(0, abs=1e-9)


def test_the_exact_step_of_gradient_descent_is_the_one_of_the_lmo(theory_rng):
    objective, x0 = start("radial cosh, l2", theory_rng)
    rule = rules.exact(objective.law)
    lmo = run(objective, x0, rule, steps=1)
    gd = run(objective, x0, rule, steps=1, method=Method("gd"))
    assert gd.x == pytest.approx(lmo.x, abs=1e-12)


def test_the_exact_length_of_other_exponents_solves_its_equation():
    law, gap, slope = Law(1.0, 0.5, 2.0, 3.5), np.array([1.3]), np.array([0.9])
    t = rules.exact_length(law, gap, slope)[0]
    steps = 20_000
    y, v, h = gap[0], -slope[0], t / steps
    for _ in range(steps):  # leapfrog
        v += h / 2 * law.K(y)
        y += h * v
        v += h / 2 * law.K(y)
    assert v == pytest.approx(0, abs=1e-6)


def test_armijo_keeps_half_of_what_the_slope_promises(theory_rng):
    objective, x0 = start("separable tan2, linf", theory_rng)
    most = 10 * objective.radius(objective.gap(x0))
    history = run(objective, x0, rules.armijo(most), steps=30)
    fall = history.gap[:-1] - history.gap[1:]
    assert np.all(fall >= 0.5 * history.lr * history.slope - 1e-12 * history.gap[0])
    assert np.all(history.lr <= most)


def test_polyak_needs_no_constant(theory_rng):
    objective, x0 = start("radial cosh, l2", theory_rng)
    history = run(objective, x0, rules.polyak(), steps=50, method=Method("gd"))
    assert np.all(np.diff(history.distance, axis=0) <= 1e-12)
    assert np.all(history.gap[-1] < 1e-6)


def test_leaving_the_domain_is_divergence_and_stays_it(theory_rng):
    objective, x0 = start("radial tan2, l2", theory_rng)
    history = run(objective, x0, rules.fixed(100.0), steps=4)
    assert np.all(history.gap[1:] == np.inf)
    assert history.steps == 1
    assert history.count(0.1).tolist() == [-1] * 8


def test_runs_stop_when_all_are_there(theory_rng):
    objective, x0 = start("quadratic, linf", theory_rng)
    history = run(objective, x0, rules.slope_over_law(objective.law), steps=500, until=0.5)
    assert 0 < history.steps < 500
    counts = history.count(0.5)
    assert counts.max() == history.steps
    assert np.all(history.gap[counts, np.arange(8)] <= 0.5)
    assert np.all(history.gap[counts - 1, np.arange(8)] > 0.5)


def test_the_noise_is_what_was_asked_for_and_repeats(theory_rng):
    objective, x0 = start("quadratic, l2", theory_rng)

    def noise(rng, gradient):
        return rng.choice([-1.0, 1.0], gradient.shape)

    method = Method("gd", noise=noise)
    first, again = (
        run(objective, x0, rules.fixed(0.1), steps=3, method=method, rng=np.random.default_rng(1))
        for _ in range(2)
    )
    assert first.error == pytest.approx(2.0)  # four coordinates off by one
    assert np.array_equal(first.x, again.x)
    with pytest.raises(ValueError, match="expected an rng"):
        run(objective, x0, rules.fixed(0.1), steps=3, method=method)


@pytest.mark.parametrize("shape", [(3, 2), (2, 3), (3, 3)])
def test_the_geometry_agrees_with_the_norms_of_the_library(shape, theory_rng):
    g = theory_rng.standard_normal((4, *shape))
    geometry, reference = Geometry("spectral", 2), Spectral("exact")
    for i in range(4):
        tensor = torch.from_numpy(g[i])
        assert geometry.norm(g)[i] == pytest.approx(reference.norm(tensor).item())
        assert geometry.dual(g)[i] == pytest.approx(reference.dual(tensor).item())
        assert geometry.lmo(g)[i] == pytest.approx(reference.lmo(tensor).numpy(), abs=1e-12)
    near = geometry.lmo(g, exact=False)
    assert np.all(geometry.norm(near) < 1.25)
    assert np.all(geometry.inner(g, near) > 0.6 * geometry.dual(g))


@pytest.mark.parametrize(("name", "ndim"), [("l2", 1), ("linf", 1), ("spectral", 2)])
def test_norm_dual_and_lmo_belong_together(name, ndim, theory_rng):
    geometry = Geometry(name, ndim)
    g, x = theory_rng.standard_normal((2, 50, *(3,) * ndim))
    g[0] = 0
    u = geometry.lmo(g)
    assert geometry.inner(g, u) == pytest.approx(geometry.dual(g))
    assert np.all(geometry.norm(u) <= 1 + 1e-12)
    assert np.all(u[0] == 0)
    assert np.all(np.abs(geometry.inner(g, x)) <= geometry.dual(g) * geometry.norm(x) + 1e-12)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Method("adam"), "expected kind lmo or gd"),
        (lambda: Method(momentum="heavy"), "expected a momentum"),
        (lambda: Method(beta=0.5, beta1=0.9), "expected 0 <= beta1 <= beta < 1"),
        (lambda: Geometry("l1", 1), "expected a norm among l2, linf, spectral"),
        (lambda: Geometry("spectral", 1), "expected 2 axes, got 1"),
    ],
)
def test_wrong_settings_are_refused(make, sentence):
    with pytest.raises(ValueError, match=sentence):
        make()


def test_points_of_another_shape_are_refused(theory_rng):
    objective, x0 = start("quadratic, l2", theory_rng)
    with pytest.raises(ValueError, match=r"expected first points of shape \(8, 4\)"):
        run(objective, x0[:, :3], rules.fixed(0.1))
