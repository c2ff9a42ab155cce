"""kill -9 in phase after phase, and compare with a run that was never stopped, bit for bit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from autowarmup.history import Trace

# One interpreter imports everything once and forks a process per run: each is really killed.
_RUNS = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
import conftest, torch
torch.set_num_threads(1)
import transformers.models.llama.modeling_llama, accelerate
from autowarmup.lab.train import RECIPES, TrainConfig
from autowarmup.lab.train.train import train
from autowarmup.lab.train.run import Run

RECIPES["micro"] = conftest.MICRO
os.fsync = lambda handle: None  # a killed process loses nothing that it has written
root, corpus = sys.argv[2:4]
update = Run.update

def in_child(config, out, kill_at=None, resume=False):
    child = os.fork()
    if child == 0:
        def update_or_die(run):
            if run.step == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
            return update(run)
        Run.update = update_or_die
        train(config, out=out, resume=resume, progress=False)
        os._exit(0)
    return os.waitpid(child, 0)[1]

for spec in sys.argv[4:]:
    optimizer, kind, kills = spec.split("/")
    rule = {"law": "gap law(end=0.02)", "linear": "linear 20 steps"}[kind]
    config = TrainConfig(recipe="micro", optimizer=optimizer, rule=rule, lr=0.05, steps=100,
                         data=corpus, checkpoint_every=5, threads=1)
    base = f"{root}/{optimizer}-{kind}"
    assert in_child(config, base) == 0
    for kill in kills.split(","):
        assert in_child(config, f"{base}-killed", int(kill), resume=True) == signal.SIGKILL
    assert in_child(config, f"{base}-killed", resume=True) == 0
"""

# Checkpoints lie at every fifth update; the ramp after the cap takes updates 25 to 27.
KILLS = {"lion/law": (13, 26, 63), "muon/law": (8,), "adamw/linear": (9, 52)}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    root = tmp_path_factory.mktemp("resume")
    corpus = root / "corpus.txt"
    corpus.write_text("".join(f"line {n} of a text to learn from\n" for n in range(400)))
    specs = [f"{name}/{','.join(map(str, kills))}" for name, kills in KILLS.items()]
    command = [sys.executable, "-W", "error", "-c", _RUNS]
    arguments = [str(Path(__file__).parent), str(root), str(corpus), *specs]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "AUTOWARMUP_CACHE": str(root / "cache")}
    done = subprocess.run(
        [*command, *arguments], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return root


@pytest.mark.parametrize("name", KILLS)
def test_killed_and_resumed_equals_never_stopped(runs, name):
    whole = runs / name.replace("/", "-")
    resumed = runs / f"{whole.name}-killed"
    assert (resumed / "trace.jsonl").read_bytes() == (whole / "trace.jsonl").read_bytes()
    records = [json.loads((out / "result.json").read_text()) for out in (whole, resumed)]
    for record in records:
        assert record["status"] == "finished"
        del record["seconds"], record["command"]
    assert records[0] == records[1]


def test_the_kills_hit_every_phase(runs):
    trace = Trace.read(runs / "lion-law" / "trace.jsonl")
    statuses, phases = trace.column("status"), trace.column("phase")
    warming, ramp, decay = KILLS["lion/law"]
    factors = trace.column("factor")
    assert phases[warming] == phases[ramp] == "warmup"
    assert "CAP_REACHED" not in statuses[:warming]
    assert "CAP_REACHED" in statuses[:25]  # so the checkpoint at 25 lies inside the ramp
    assert factors[24] < factors[25] < factors[26] < factors[27] == 1.0
    assert phases[decay] == "decay"
    record = json.loads((runs / "lion-law" / "result.json").read_text())
    assert (record["warmup_ended_by"], record["warmup_end_step"]) == ("cap", 27)
    assert record["div"] > 1.0
