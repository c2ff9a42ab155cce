"""Every object for a handful of steps, and what is said of its lower end."""

from __future__ import annotations

import json
from contextlib import contextmanager

import numpy as np
import pytest
import torch

from autowarmup.lab.problems import definitions, registry
from autowarmup.lab.problems.data import Examples, linear_teacher, text_windows
from autowarmup.lab.problems.lower_bounds import least_squares, prefix_entropy, squared_error
from autowarmup.lab.problems.networks import BalancedNet
from autowarmup.lab.problems.registry import OBJECTS, run_object
from studies.lowest_losses import search_lowest

NAMES = {
    *("deep-linear", "deep-leaky-relu", "two-layer-ce", "two-layer-mse"),
    *("one-layer-transformer", "digits-vit"),
}


def quick(name: str, steps: int = 3, every: int = 2, seed: int = 0):
    return run_object(name, steps=steps, every=every, seed=seed, progress=False)


def test_the_names() -> None:
    assert set(OBJECTS) == NAMES


@pytest.mark.parametrize("name", sorted(NAMES))
def test_an_object_for_a_few_steps(name: str) -> None:
    run = quick(name)
    assert (run.name, run.norm, run.about) == (name, "euclidean", OBJECTS[name].about)
    assert run.about.endswith(".")
    assert run.trace.column("step") == [0, 2]
    first, second = run.trace
    assert first.loss > second.loss
    assert first.gap > second.gap > 0
    for point in run.trace:
        assert point.gap == pytest.approx(point.loss - run.lower_bound)
        assert point.lr == OBJECTS[name].lr
        assert point.loss_after < point.loss
        assert np.isfinite([point.H, point.K, point.K_dir, point.trust_ratio]).all()
        # The secant of a smooth loss lies below the largest eigenvalue on the way; H is that of the
        # start of the step only, hence the slack.
        assert 0 < point.K < 1.5 * point.H
        assert point.alignment == pytest.approx(1, abs=1e-3)  # gradient descent: the steepest
    assert run.counted["parameters"] == run.config["parameters"]
    assert run.counted["count"] == "all"
    assert set(run.determinism.values()) == {0.0}
    assert run.config == json.loads(json.dumps(run.config))
    assert run.config | {"object": name, "steps": 3, "every": 2, "seed": 0} == run.config


@pytest.mark.parametrize("name", ["deep-linear", "one-layer-transformer"])
def test_the_same_seed_gives_the_same_trace(name: str) -> None:
    first, second, other = quick(name), quick(name), quick(name, seed=1)
    for column in ("loss", "H", "loss_after", "step_norm"):
        assert first.trace.column(column) == second.trace.column(column)
    # The last bit of a least-squares bound depends on where its memory lies.
    assert second.trace.column("gap") == pytest.approx(first.trace.column("gap"), rel=1e-9)
    assert first.trace.column("loss") != other.trace.column("loss")
    assert other.lower_bound == pytest.approx(first.lower_bound, rel=1e-12)  # the same data


def test_plans_hold_enough_points() -> None:
    assert all(plan.steps // plan.every >= 60 for plan in OBJECTS.values())


def test_the_gap_of_the_deep_linear_net_closes() -> None:
    run = quick("deep-linear", steps=2001, every=500)
    gaps = run.trace.column("gap")
    assert all(gap > 0 for gap in gaps)
    assert gaps[0] > 50 * gaps[-1]
    assert run.trace[0].H > 5 * run.trace[-1].H


def test_least_squares_is_attained_by_a_net_without_bottleneck() -> None:
    examples = linear_teacher(60, 5, 3, noise=0.3, seed=2)
    floor = least_squares(examples)
    x, y = examples.x.numpy(), examples.y.numpy()
    _, squares, rank, _ = np.linalg.lstsq(x, y, rcond=None)
    assert rank == 5
    assert floor == pytest.approx(squares.sum() / 60 / 2, rel=1e-12)
    net = BalancedNet((5, 6, 3), slope=1.0, scale=1.0, seed=0)
    reached = search_lowest(net, lambda: squared_error(net(examples.x), examples.y), iterations=300)
    assert reached == pytest.approx(floor, rel=1e-9)
    assert reached >= floor * (1 - 1e-12)
    assert least_squares(Examples(examples.x.float(), examples.y.float())) == pytest.approx(floor)


def test_prefix_entropy_is_what_frequencies_leave_open() -> None:
    known = torch.tensor([[1, 2, 3], [4, 5, 6], [7, 8, 9]])
    assert prefix_entropy(known) == 0.0
    half = torch.tensor([[1, 2, 3], [1, 2, 4], [1, 2, 3], [1, 2, 4]])
    assert prefix_entropy(half) == pytest.approx(np.log(2) / 2)
    uneven = torch.tensor([[1, 2], [1, 2], [1, 2], [1, 3]])
    assert prefix_entropy(uneven) == pytest.approx(-0.75 * np.log(0.75) - 0.25 * np.log(0.25))
    # One window among others: what differs earlier tells them apart later.
    assert prefix_entropy(text_windows(8, 12)) < np.log(8)


@pytest.mark.parametrize("name", ["two-layer-ce", "two-layer-mse"])
def test_a_short_search_comes_close_to_the_stated_lowest_and_not_below(name: str) -> None:
    problem = OBJECTS[name].build(0)
    lowest = search_lowest(problem.model, problem.loss, iterations=150)
    assert problem.lower_bound <= lowest < 1.1 * problem.lower_bound


def test_every_source_of_f_star_is_a_sentence() -> None:
    for name in NAMES:
        problem = OBJECTS[name].build(0)
        assert problem.loss().item() > problem.lower_bound
        assert problem.source.startswith(("exact", "lower bound", "lowest loss that"))


@pytest.mark.parametrize(
    ("choices", "sentence"),
    [
        ({"name": "mlp"}, "object: expected one of deep-linear, .*digits-vit, got 'mlp'"),
        ({"steps": 0}, "steps: expected at least 1, got 0"),
        ({"every": 0}, "every: expected a whole number of updates of at least 1, got 0"),
    ],
)
def test_mistakes_are_one_sentence(choices, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        run_object(**({"name": "deep-linear", "progress": False} | choices))


def test_a_loss_that_blows_up_stops_the_run(monkeypatch) -> None:
    wild = registry.PaperObject("Too fast.", definitions.deep_linear, lr=10.0, steps=50, every=100)
    monkeypatch.setitem(OBJECTS, "wild", wild)
    with pytest.raises(ValueError, match=r"the loss became (inf|nan) at update \d+ of 50"):
        quick("wild", steps=50, every=100)


def test_control_c_ends_the_run_after_the_update(monkeypatch) -> None:
    @contextmanager
    def pressed():
        yield lambda: True

    monkeypatch.setattr(registry, "interruptible", pressed)
    with pytest.raises(KeyboardInterrupt, match="stopped after 1 of 3 updates"):
        quick("deep-linear")


def test_a_bar_is_shown_on_standard_error(capsys) -> None:
    run_object("deep-linear", steps=2, every=1)
    captured = capsys.readouterr()
    assert "deep-linear" in captured.err
    assert captured.out == ""
