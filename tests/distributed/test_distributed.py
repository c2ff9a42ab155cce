"""Two and four processes with gloo: one rate bit for bit, though each sees another loss.

Each world trains once, in several ways (worker.py); the tests read what its processes wrote down.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

WORKER = Path(__file__).parent / "worker.py"
CUT = 4  # where the worker saves its sharded run, in the middle of warm-up


@pytest.fixture(scope="module")
def worlds(tmp_path_factory) -> dict[int, list[dict]]:
    """The facts of every rank, by the number of ranks; 4 also resume what 2 have saved."""
    base = tmp_path_factory.mktemp("worlds")
    done = subprocess.run(
        [sys.executable, "-W", "error::FutureWarning", str(WORKER), str(base), "2", "4"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return {
        world: [
            json.loads((base / str(world) / f"rank{rank}.json").read_text())
            for rank in range(world)
        ]
        for world in (2, 4)
    }


every_world = pytest.mark.parametrize("world", [2, 4])


def numbers(words: list[str]) -> list[float]:
    return [float.fromhex(word) for word in words]


@every_world
@pytest.mark.parametrize("run", ["ddp", "fsdp2", "late", "never stopped"])
def test_every_rank_holds_the_same_rates_weights_and_state(worlds, world, run):
    first, *others = (facts[run] for facts in worlds[world])
    assert len(set(first["rates"])) > 10
    assert all(facts == first for facts in others)


@every_world
@pytest.mark.parametrize("run", ["ddp", "fsdp2"])
def test_the_rates_are_those_of_one_process_with_the_global_batch(worlds, world, run):
    """In float64; what is left is the rounding of the mean, over 24 steps of training."""
    facts = worlds[world][0]
    assert numbers(facts[run]["rates"]) == pytest.approx(
        numbers(facts["alone"]["rates"]), rel=1e-12
    )
    assert numbers(facts[run]["weights"]) == pytest.approx(
        numbers(facts["alone"]["weights"]), rel=1e-9, abs=1e-12
    )


@every_world
def test_losses_of_their_own_make_replicas_drift_apart(worlds, world):
    """What happens without agreeing: DDP averages the gradients, and still the weights differ."""
    runs = [facts["drift"] for facts in worlds[world]]
    assert len({tuple(run["rates"]) for run in runs}) == world
    first, second = (numbers(run["weights"]) for run in runs[:2])
    assert max(abs(a - b) for a, b in zip(first, second, strict=True)) > 1e-2


@every_world
def test_every_rank_agrees_on_every_kind_of_update(worlds, world):
    ranks = range(1, world + 1)
    mean, warming = sum(ranks) / world, "WARMING"
    expected = {
        "mean": [mean, warming],
        "late": [mean, warming],
        "weighted": [sum(k * k for k in ranks) / sum(ranks), warming],
        "sum": [sum(ranks), warming],
        "callable": [world, warming],
        "nan": [None, "NON_FINITE"],
        "inf": [None, "NON_FINITE"],
        "one without": [3.0, warming],
        "all without": [None, "NO_LOSS"],
        "empty": [3.0, warming],
        "group": [mean, warming],
        "mesh": [mean, warming],
    }
    for rank, facts in enumerate(worlds[world]):
        got = dict(facts["agreements"])
        assert got.pop("own") == [1.0 + rank, warming]
        assert got.pop("group of one", [7.0, warming]) == [7.0, warming]
        assert got == expected


@every_world
def test_nothing_is_gathered_after_warmup_or_for_a_rule_that_reads_no_loss(worlds, world):
    for facts in worlds[world]:
        default, linear = facts["stops"]["default"], facts["stops"]["linear"]
        # It looks on for one update after its ramp, which ends at 45 % of the run, too.
        assert default["warmup"] == 9
        assert default["gathers"] == [1] * 10 + [0] * 14
        assert sum(linear["gathers"]) == 0


@every_world
def test_every_rank_measures_the_same_first_rate(worlds, world):
    first, *others = (facts["calibrated"] for facts in worlds[world])
    assert all(facts == first for facts in others)
    assert all(div > 1 and len(probes) == 11 for div, probes, _ in first)
    # the batch is the same, cut by rank: only rank-local trial steps make a difference
    assert first[1][0] > 3 * first[0][0]


@every_world
@pytest.mark.parametrize("first", ["scheduler", "optimizer"])
def test_a_sharded_run_resumes_bit_for_bit(worlds, world, first):
    for facts in worlds[world]:
        whole, resumed = facts["never stopped"], facts[f"resumed, {first} first"]
        assert (whole["phases"][CUT], whole["phases"][-1]) == ("warmup", "decay")
        assert resumed["rates"] == whole["rates"][CUT:]
        assert resumed["weights"] == whole["weights"]
        assert resumed["state"] == whole["state"]


def test_four_ranks_go_on_where_two_have_stopped(worlds):
    whole, resumed = worlds[2][0]["never stopped"], worlds[4][0]["of others"]
    assert numbers(resumed["rates"]) == pytest.approx(numbers(whole["rates"][CUT:]), rel=1e-12)
    assert numbers(resumed["weights"]) == pytest.approx(numbers(whole["weights"]), rel=1e-9)
    assert resumed["phases"] == whole["phases"]
