"""The stored comparison of Muon's ways follows from its runs; distances are what they should be."""

from __future__ import annotations

import json

import pytest
import torch

from studies.life.loop import paired
from studies.muon import training


def test_the_stored_differences_are_those_of_the_runs() -> None:
    record = json.loads(training.OUT.read_text(encoding="utf-8"))
    losses = {(run["method"], run["multiple"], run["seed"]): run["loss"] for run in record["runs"]}
    assert len(losses) == len(training.METHODS) * len(training.MULTIPLES) * len(training.SEEDS)
    for row in record["compared"]:
        one, other = (
            [losses[method, row["multiple"], seed] for seed in record["seeds"]]
            for method in (row["method"], "newton_schulz")
        )
        assert row["mean"] == pytest.approx(paired(one, other)["mean"])
        assert abs(row["mean"]) < 2 * row["error"] or abs(row["mean"]) < 0.01


def test_distances_of_known_directions() -> None:
    # All singular values alike: where they come out is known to a step of bfloat16.
    x = 3.0 * torch.linalg.qr(torch.randn(16, 16, generator=torch.Generator().manual_seed(0)))[0]
    for method, most in zip(training.METHODS, (0.35, 0.2, 0.15), strict=True):
        found = training.accuracy(method, [x, x])
        assert found["distance"] < most
        assert found["largest"] < 1.21
