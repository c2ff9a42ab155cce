"""A probe holds one copy of the weights and one of the gradients, and nothing between probes."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

# 24 matrices of 1 MiB. Blocks from 128 KiB on get pages of their own, which go back when freed, so
# that the peak of the resident memory is the peak of what lives.
_SCRIPT = """
import gc, json, sys
import torch
from torch import nn
from autowarmup import SignSGD
from autowarmup.measure.determinism import Determinism
from autowarmup.measure.observer import CurvatureObserver

def resident(key):
    lines = open("/proc/self/status").read().splitlines()
    return next(int(l.split()[1]) / 1024 for l in lines if l.startswith(key))

def train(mode, steps=5):
    torch.manual_seed(0)
    model = nn.Sequential(*(nn.Linear(512, 512, bias=False) for _ in range(24)))
    optimizer = SignSGD(model.parameters(), lr=1e-5)
    x = torch.randn(2, 512)
    loss_of = lambda: model(x).square().mean()
    observer = None
    if mode != "off":
        observer = CurvatureObserver(
            model, optimizer, loss_of, every=4, next_batch=(mode == "next")
        )
        # The check that the loss is deterministic runs once and holds more; it is not the probe.
        observer.determinism = Determinism(0.0, 0.0)
    gc.collect()  # the model of the last call hangs in a cycle
    start = resident("VmRSS")
    open("/proc/self/clear_refs", "w").write("5")  # forget the peak so far
    after = []
    for step in range(steps):
        loss = loss_of()
        loss.backward()
        if mode in ("see", "next"):
            observer.see(loss)
        optimizer.step()
        del loss
        after.append(resident("VmRSS") - start)
        optimizer.zero_grad(set_to_none=False)
    return {"peak": resident("VmHWM") - start, "after": after}

torch.set_num_threads(1)
train("next", 2)  # what is allocated once
print(json.dumps({mode: train(mode) for mode in ("off", "own", "see", "next")}))
"""
_WEIGHTS = 24.0  # MiB


@pytest.fixture(scope="module")
def memory():
    environment = os.environ | {
        "OMP_NUM_THREADS": "1",
        "MALLOC_MMAP_THRESHOLD_": "131072",
        "MALLOC_TRIM_THRESHOLD_": "131072",
    }
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("mode", ["own", "see", "next"])
def test_at_most_one_copy_of_weights_and_one_of_gradients(memory, mode):
    extra = memory[mode]["peak"] - memory["off"]["peak"]
    assert 0.9 * _WEIGHTS < extra < 2.0 * _WEIGHTS + 9.0  # and the few blocks at hand


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("mode", ["own", "see"])
def test_nothing_is_held_between_probes(memory, mode):
    plain, seen = memory["off"]["after"], memory[mode]["after"]
    for step in range(5):
        assert seen[step] - plain[step] < 6.0, step


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_next_batch_ends_the_probe(memory):
    plain, seen = memory["off"]["after"], memory["next"]["after"]
    held = [b - a for a, b in zip(plain, seen, strict=True)]
    assert held[0] > 1.8 * _WEIGHTS  # waits for the next batch
    assert max(held[1:4]) < 6.0
