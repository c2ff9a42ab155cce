from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autowarmup.lab.compare.grid import GRIDS, Grid, expand, warmup_steps

DEMO = GRIDS["demo"]


@pytest.mark.parametrize("name", GRIDS)
def test_ids_are_unique_and_survive_json(name: str) -> None:
    grid = GRIDS[name]
    assert grid.name == name
    ids = [run["id"] for run in expand(grid)]
    assert len(set(ids)) == len(ids)
    back = Grid.from_dict(json.loads(json.dumps(grid.to_dict())))
    assert back == grid
    assert [run["id"] for run in expand(back)] == ids


def test_ids_never_change_silently() -> None:
    # A changed id would make a half-finished directory start again from nothing.
    assert expand(GRIDS["smoke"])[1] == {
        "id": "seed0-muon-lr0.006-linear-1-72815f26",
        "recipe": "tiny-cpu",
        "optimizer": "muon",
        "lr": 0.006,
        "warmup": "1",
        "steps": 6,
        "seed": 0,
        "batch_size": 2,
    }


def test_the_id_depends_on_every_field() -> None:
    ids = {run["id"] for run in expand(DEMO)}
    for change in ({"steps": 401}, {"overrides": {"batch_size": 8}}, {"recipe": "small-cpu"}):
        assert ids.isdisjoint(run["id"] for run in expand(replace(DEMO, **change)))


def test_sizes_and_order() -> None:
    assert len(expand(DEMO)) == 3 * (4 + 1)
    study = expand(GRIDS["study"])
    assert len(study) == 8 * (6 + 8) * 2
    seeds = [run["seed"] for run in study]
    assert seeds == sorted(seeds)
    assert {run["batch_size"] for run in study} == {8}


def test_without_a_measured_start_the_published_div_is_used() -> None:
    divs = {(run["optimizer"], run["div"]) for run in expand(GRIDS["study"]) if "div" in run}
    assert divs == {("muon", 100.0), ("lion", 100.0), ("signum", 100.0), ("normsgd", 5.0)}
    measured = [run for run in expand(GRIDS["study"]) if run.get("calibrate")]
    assert len(measured) == 8 * 4 * 2
    assert not any("div" in run for run in measured)


@given(st.integers(1, 100_000), st.integers(1, 100))
def test_a_share_of_the_run_is_at_least_one_step_and_at_most_all(steps: int, share: int) -> None:
    length = warmup_steps(f"{share}%", steps)
    assert 1 <= length <= steps
    assert abs(length - steps * share / 100) <= 0.5 or length == 1


@pytest.mark.parametrize("bad", ["0", "-3", "", "5 %", "0%", "101%", "five", "1e2", "adaptive"])
def test_bad_warmups(bad: str) -> None:
    with pytest.raises(ValueError, match=r"warmup: expected .*, got"):
        warmup_steps(bad, 100)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": 0}, "steps: expected at least 1, got 0"),
        ({"optimizers": {}}, "optimizers: expected peak rates"),
        ({"optimizers": {"muon": ()}}, "optimizers: expected peak rates"),
        ({"optimizers": {"muon": (-1.0,)}}, "expected rates > 0 for muon"),
        ({"seeds": ()}, "at least one seed"),
        ({"warmups": (), "adaptive": ()}, "at least one seed and one warm-up"),
        ({"warmups": ("401",)}, "at most the 400 steps of a run, got '401'"),
    ],
)
def test_bad_grids(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(DEMO, **change)
