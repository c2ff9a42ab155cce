"""SIGKILL in every phase: the run that goes on from its last checkpoint ends in the same bits."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from autowarmup import AdaptiveWarmup, GapLaw

pytestmark = pytest.mark.skipif(
    not hasattr(os, "fork"), reason="processes are forked here, which Windows cannot"
)

STEPS, EVERY = 100, 3
LAW = {"rule": GapLaw(end=0.2, div=10.0, max_fraction=0.3)}
PHASES = {
    "warm-up": ({}, 20),
    "warm-up, late loss": ({"lag": 1}, 20),
    "warm-up by the law": (LAW, 2),
    "ramp of the cap": ({"rule": GapLaw(end=0.001, div=10.0, max_fraction=0.3)}, 31),
    "decay": ({}, 70),
    "last update": ({}, STEPS - 1),
}


def train(file: Path, kill_at: int | None, **options) -> str:
    """Train with a checkpoint every few updates; die in the middle of update `kill_at`."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.05)
    scheduler = AdaptiveWarmup(optimizer, STEPS, **options)
    parts, first = (model, optimizer, scheduler), 0
    if file.exists():
        first, *states = torch.load(file, weights_only=True)
        for part, state in zip(parts, states, strict=True):
            part.load_state_dict(state)
    for step in range(first, STEPS):
        data = torch.randn(8, 4, generator=torch.Generator().manual_seed(step))
        for micro in data.split(4):
            loss = nn.functional.cross_entropy(model(micro), micro.argmax(-1) % 2)
            loss.backward()
            scheduler.observe(loss)
        optimizer.step()
        if step == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        scheduler.step()
        optimizer.zero_grad()
        if step % EVERY == 0:
            aside = file.with_suffix(".new")
            torch.save([step + 1, *(part.state_dict() for part in parts)], aside)
            os.replace(aside, file)
    weights = torch.cat([p.detach().ravel() for p in model.parameters()])
    return weights.numpy().tobytes().hex() + str(scheduler.state_dict())


def kill_all(directory: Path) -> None:
    """Train a child of this process for every phase, until it kills itself."""
    for name, (options, at) in PHASES.items():
        child = os.fork()
        if child == 0:
            try:
                train(directory / f"{name}.pt", at, **options)
            finally:
                os._exit(1)  # not reached
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status)
        assert os.WTERMSIG(status) == signal.SIGKILL


@pytest.fixture(scope="module")
def killed(tmp_path_factory) -> Path:
    """Return the checkpoints that killed runs left: forked where no library has threads yet."""
    directory = tmp_path_factory.mktemp("killed")
    subprocess.run([sys.executable, __file__, str(directory)], check=True, timeout=200)
    return directory


@pytest.mark.parametrize("name", PHASES)
def test_a_killed_run_ends_in_the_same_bits(name, tmp_path, killed):
    options, at = PHASES[name]
    whole = train(tmp_path / "whole.pt", None, **options)
    if name == "ramp of the cap":
        assert "'cap_step': 30" in whole
        assert "'end': 32" in whole
    file = killed / f"{name}.pt"
    assert torch.load(file, weights_only=True)[0] <= at
    assert train(file, None, **options) == whole


if __name__ == "__main__":
    kill_all(Path(sys.argv[1]))
