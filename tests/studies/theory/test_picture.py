"""The rate of the theorem in three norms: warm-up, decay, and what a search finds beside it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from autowarmup.lab.theory import rules
from autowarmup.lab.theory.runs import run
from studies.theory.picture import FIRST, NORMS, functions_of, picture
from studies.theory.picture_search import RATES, linear, many, tune_fixed, tune_linear

COMMITTED = Path(__file__).parents[3] / "results" / "theory" / "picture.json"


@pytest.fixture(scope="module")
def small() -> dict:
    return picture(2, seed=5, targets=(100.0,))


@pytest.fixture(params=["small", "committed"])
def record(request) -> dict:
    if request.param == "committed":
        return json.loads(COMMITTED.read_text())
    return request.getfixturevalue("small")


def test_the_rate_peaks_at_the_predicted_gap(record):
    assert set(record["norms"]) == set(NORMS)
    for side in record["norms"].values():
        off = np.abs(np.subtract(side["peak_step"], side["predicted_peak_step"]))
        assert off.max() <= 1
        assert np.all(np.array(side["peak_step"]) > 10)
        assert np.all(np.array(side["rate_rose_by"]) > 5)
        line = side["drawn"]["theorem"]
        lr, gap = np.array(line["lr"]), np.array(line["gap"])
        peak = line["step"].index(side["peak_step"][0])
        assert np.all(np.diff(lr[: peak + 1]) > 0)
        assert np.all(np.diff(lr[peak:]) < 0)
        assert np.all(np.diff(gap) < 0)
        assert lr.max() <= side["peak_rate"][0]
        assert lr.max() > 0.99 * side["peak_rate"][0]
        assert gap[0] == pytest.approx(FIRST * side["peak_gap"][0])


def test_certified_rates_keep_their_bounds_and_the_searched_ones_are_faster(record):
    for side in record["norms"].values():
        steps = {name: np.array(rows) for name, rows in side["steps"].items()}
        assert all(np.all(rows > 0) for rows in steps.values())
        assert np.all(steps["theorem"] <= steps["bound"])
        assert np.all(steps["theorem_slope"] <= steps["bound"])
        assert np.all(steps["certified_fixed"] <= steps["bound_certified_fixed"])
        assert np.all(steps["theorem"] < steps["certified_fixed"])
        assert np.all(steps["best_fixed"] < steps["theorem_slope"])
        for rows in steps.values():
            assert np.all(np.diff(rows, axis=0) >= 0)


def test_no_rate_of_the_grid_beats_the_fixed_one_that_is_found():
    objective, x0 = functions_of("linf", 2, np.random.default_rng(1))
    gap0 = objective.gap(x0)
    R, eps = objective.radius(gap0), gap0 / 100
    found = tune_fixed(objective, x0, R, eps)
    for index in range(2):
        copies = np.full(len(RATES), index)
        rule = rules.fixed(R[index] * RATES)
        counts = run(many(objective, copies), x0[copies], rule, steps=60).count(eps[index])
        assert found.count[index] <= counts[counts >= 0].min()
    again = run(objective, x0, rules.fixed(found.lr), steps=60).count(eps)
    assert np.array_equal(again, found.count)


def test_the_linear_schedule_that_is_found_does_what_is_said_and_none_is_shorter():
    objective, x0 = functions_of("l2", 3, np.random.default_rng(2))
    gap0 = objective.gap(x0)
    R, eps = objective.radius(gap0), gap0 / 100
    found = tune_linear(objective, x0, R, eps, most=np.full(3, 30))
    assert np.all(found.count > 0)
    assert np.all(found.count <= found.horizon)
    again = run(objective, x0, linear(found.lr, found.warmup, found.horizon), steps=30)
    assert np.array_equal(again.count(eps), found.count)
    assert np.all(again.lr[int(found.horizon.max()) :] == 0)
    too_short = tune_linear(objective, x0, R, eps, most=found.horizon - 1)
    assert np.all(too_short.count == -1)


def test_the_linear_schedule():
    objective, x0 = functions_of("l2", 2, np.random.default_rng(0))
    peak, warmup, horizon = np.array([1e-3, 1e-3]), np.array([0.0, 3.0]), np.array([4, 7])
    lr = run(objective, x0, linear(peak, warmup, horizon), steps=8).lr / 1e-3
    assert lr[:, 0] == pytest.approx([1, 0.75, 0.5, 0.25, 0, 0, 0, 0])
    assert lr[:, 1] == pytest.approx([0.25, 0.5, 0.75, 1, 0.75, 0.5, 0.25, 0])


def test_the_record_says_where_it_comes_from():
    held = json.loads(COMMITTED.read_text())
    assert held["command"]
    assert held["environment"]
    assert f"{len(RATES)} rates" in held["search"]["fixed"]
    assert "horizons" in held["search"]["linear"]


def test_nonsense_is_refused():
    with pytest.raises(ValueError, match="expected at least 1 function"):
        picture(0)
    for targets in ((), (1.0,), (100.0, 10.0)):
        with pytest.raises(ValueError, match="expected rising targets > 1"):
            picture(1, targets=targets)
    objective, x0 = functions_of("l2", 1, np.random.default_rng(0))
    with pytest.raises(ValueError, match="expected a gap that some fixed rate reaches, got"):
        tune_fixed(objective, x0, np.ones(1), np.zeros(1))
