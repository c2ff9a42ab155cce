"""Sharded steps equal whole ones; the largest differences seen stand beside the tolerances."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from autowarmup.norms import Frobenius
from autowarmup.norms.sharded import is_sharded, shard_of

pytestmark = pytest.mark.skipif(
    not hasattr(os, "fork"), reason="processes are forked here, which Windows cannot"
)

SCRIPT = Path(__file__).with_name("sharded_steps.py")
# Parameters are of order 1 and one rounding of float32 there is 1.2e-7. Measured on four gloo
# processes: l_inf and spectral 0, Frobenius 2.4e-7 (the order of the sum), AdamW 3.7e-9.
TOLERANCE = {"linf": 0.0, "spectral": 0.0, "frobenius": 1e-6, "adamw": 1e-7, "rows": 0.0}


@pytest.fixture(scope="module")
def differences() -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-W", "error", str(SCRIPT)],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_every_norm_and_layout_was_tried(differences: dict[str, float]) -> None:
    assert {name.split("/")[0] for name in differences} == set(TOLERANCE)
    assert len(differences) == 18


@pytest.mark.parametrize("norm", TOLERANCE)
def test_sharded_steps_equal_whole_ones(differences: dict[str, float], norm: str) -> None:
    ours = {name: value for name, value in differences.items() if name.startswith(f"{norm}/")}
    assert ours
    assert max(ours.values()) <= TOLERANCE[norm], ours


def test_whole_parameters_take_the_ordinary_way() -> None:
    p = torch.nn.Parameter(torch.ones(2))
    assert not is_sharded(p)
    assert shard_of(p) is p
    (update,) = Frobenius().lmo_of_shards([torch.tensor([3.0, 4.0])], [p])
    assert update.tolist() == pytest.approx([0.6, 0.8])
