"""Fixed step against warm-up: the record obeys the theorems, and the search searches."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from autowarmup.lab.theory import rules
from autowarmup.lab.theory.constants import compare_with_samples
from autowarmup.lab.theory.cosh_objectives import ProductCosh
from autowarmup.lab.theory.families import log_uniform
from autowarmup.lab.theory.runs import GD, run
from studies.theory.separation import CLASS, accuracies, separate
from studies.theory.separation_functions import (
    SHARES,
    WithSquare,
    extremal,
    in_the_plane,
    on_the_line,
    slow,
)
from studies.theory.separation_search import ROUNDING, Search, first_steps, quadratic_count

COMMITTED = Path(__file__).parents[3] / "results" / "theory" / "separation.json"
KAPPA = 10.0


@pytest.fixture(scope="module")
def small() -> dict:
    return separate((50.0, 0.5, 5.0), decades=(4, 1), tries=18)


@pytest.fixture(params=["small", "committed"])
def record(request) -> dict:
    if request.param == "committed":
        return json.loads(COMMITTED.read_text())
    return request.getfixturevalue("small")


def test_what_is_measured_lies_within_what_is_proved(record):
    proved = {name: np.array(values) for name, values in record["bounds"].items()}
    main = record["decades"].index(record["main_decades"])
    for side in record["dimensions"].values():
        warmup, best = np.array(side["warmup"]), np.array(side["best_fixed"])
        assert np.all(warmup > 0)
        assert np.all(warmup <= proved["upper_warmup"])
        assert np.all(best >= proved["lower_fixed"])
        assert np.all(best <= proved["upper_fixed"])
        assert side["best_fixed_on_slow_quadratic"] <= side["best_fixed"][main]
    theorem = np.array(record["theorem_fixed"])
    assert np.all(theorem <= proved["upper_fixed"][main])
    assert np.all(theorem >= np.array(record["dimensions"]["1"]["best_fixed"])[main])


def test_on_the_line_the_largest_stable_step_is_the_best(record):
    z, side = np.array(record["z"]), record["dimensions"]["1"]
    edge = np.array(record["bounds"]["largest_stable"])
    factor = np.array(side["best_factor"])
    assert np.all(factor <= edge * (1 + 1e-9))
    large = z >= 5
    assert np.all(factor[-1, large] >= 0.95 * edge[large])
    # B.4b and what the search finds then agree.
    best, lower = np.array(side["best_fixed"]), np.array(record["bounds"]["lower_fixed"])
    assert np.all(best[-1, large] <= 1.05 * lower[-1, large] + 2)


def test_in_the_plane_steps_lose_their_logarithm(record):
    line, plane = (record["dimensions"][d] for d in "12")
    large = np.array(record["z"]) >= 50
    edge = np.array(record["bounds"]["largest_stable"])
    dropped = np.array(plane["least_dropped_factor"])
    assert np.all(dropped >= 2)  # B.4d: all up to 2 / (H0 + H1 gap0) are stable
    assert np.all(dropped[large] < 0.6 * edge[large])
    at = record["decades"].index(record["main_decades"])
    ratio = np.divide(plane["best_fixed"], line["best_fixed"])[at]
    assert np.all(ratio[large] > 1.8)


def test_the_separation_is_asymptotic():
    held = json.loads(COMMITTED.read_text())
    ratio = dict(zip(*(held["proved_advantage"][n] for n in ("decades", "ratio")), strict=True))
    assert ratio[6] < 1 < ratio[20]
    line = np.divide(held["dimensions"]["1"]["best_fixed"], held["dimensions"]["1"]["warmup"])
    assert np.all(np.diff(line[:, -1]) > 0)
    assert line[0, -1] < 1 < line[-1, -1]
    assert held["environment"]
    assert held["command"]


def test_one_function_is_solved_by_one_fixed_step(small):
    assert (small["z"], small["decades"]) == ([0.5, 5.0, 50.0], [1, 4])
    alone = small["one_function"]
    assert np.all(np.array(alone["fixed"]) == 1)
    assert np.all(np.array(alone["warmup"])[-1] > 1)


def test_no_step_of_the_whole_grid_beats_the_one_that_is_found():
    z, groups = np.array([4.0]), on_the_line(KAPPA, np.random.default_rng(3))
    eps, tries = accuracies(z, [3]), 24
    found = Search(groups, z, eps, 0, KAPPA, tries)
    factors = np.geomspace(0.5, KAPPA * 5, tries)
    worst = np.zeros(tries)
    for group in groups:
        for index in range(len(group.names)):
            which = np.full(tries, index)
            x0 = group.start(which, np.full(tries, 4.0))
            history = run(group.make(which), x0, rules.fixed(factors / 5), method=GD, steps=400)
            count = history.count(eps[0] * ROUNDING).astype(float)
            worst = np.maximum(worst, np.where(count < 0, np.inf, count))
    assert found.count[0, 0] <= worst.min()
    # The finer grids then win little over the best of the first.
    assert found.count[0, 0] >= 0.8 * worst.min()
    assert found.tried == tries + 2 * (tries // 3)


def test_first_steps_are_those_of_the_history():
    z = np.array([1.0, 30.0, 30.0])
    rates = np.array([0.5, 0.05, 3.0])  # the last diverges
    group, which = extremal(1), np.zeros(3, dtype=np.int64)
    eps = accuracies(z, [2, 5])
    count = first_steps(
        group, which, z, lambda left: rules.fixed(rates[left]), eps, np.full(3, 1e4)
    )
    history = run(group.make(which), group.start(which, z), rules.fixed(rates), method=GD)
    for level in range(2):
        expected = history.count(eps[level] * ROUNDING).astype(float)
        assert np.array_equal(count[level], np.where(expected < 0, np.inf, expected))
    assert np.isinf(count[:, 2]).all()
    given_up = first_steps(
        group, which, z, lambda left: rules.fixed(rates[left]), eps, np.full(3, 64)
    )
    assert np.array_equal(given_up[0, :1], count[0, :1])
    assert given_up[-1, 1] == np.inf or given_up[-1, 1] == count[-1, 1]


def test_the_formula_of_the_slow_quadratic_is_what_it_does():
    z, lr = np.array([2.0, 20.0]), np.array([0.6, 0.1])
    eps = accuracies(z, [4])
    group, which = slow(KAPPA, 2), np.zeros(2, dtype=np.int64)
    ran = first_steps(group, which, z, lambda left: rules.fixed(lr[left]), eps, np.full(2, np.inf))
    assert np.array_equal(ran, quadratic_count(lr, z, eps, KAPPA))
    assert quadratic_count(np.array([KAPPA]), z[:1], eps[:, :1], KAPPA) == 1
    assert np.isinf(quadratic_count(np.array([2.1 * KAPPA]), z[:1], eps[:, :1], KAPPA))


@pytest.mark.parametrize("dimension", [1, 2])
def test_every_member_is_in_the_class(dimension, theory_rng):
    groups = on_the_line(KAPPA, theory_rng) if dimension == 1 else in_the_plane(KAPPA)
    for group in groups:
        which = np.arange(len(group.names))
        objective, gap = group.make(which), log_uniform(theory_rng, 0.1, 100, len(which))
        assert objective.shape == (dimension,)
        assert objective.gap(group.start(which, gap)) == pytest.approx(gap, rel=1e-6)
        assert np.all(objective.mu >= 1 / KAPPA - 1e-12)
        assert np.all(objective.law.K0 <= CLASS.K0 + 1e-12)
        assert np.all(objective.law.K1 <= CLASS.K1 + 1e-12)


def test_a_sum_with_a_square_has_its_constants(theory_rng):
    share, mu = np.array(SHARES), np.full(len(SHARES), 0.1)
    objective = WithSquare(ProductCosh(0.9 * np.ones(len(share)), np.ones(len(share)), share), mu)
    found = compare_with_samples(objective, theory_rng, samples=6)
    assert set(found) == {"law", "mu", "zeta", "radius", "f_star", "gradient", "Hessian"}
    for constant, (measured, bound) in found.items():
        assert np.all(measured <= bound + 1e-9 * np.maximum(np.abs(bound), 1e-300)), constant


def test_nonsense_is_refused():
    for wrong in ({"z": ()}, {"z": (0.0,)}, {"decades": (0,)}):
        with pytest.raises(ValueError, match="expected z and accuracies > 0"):
            separate(**wrong)
    with pytest.raises(ValueError, match="expected kappa > 4, got 4"):
        separate(kappa=4.0)
    with pytest.raises(ValueError, match="expected at least 6 tries, got 5"):
        separate(tries=5)
