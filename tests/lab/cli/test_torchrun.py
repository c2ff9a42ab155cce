"""The command under torchrun: a killed process, a restart, and the numbers of a run that was not.

`tests/lab/train/test_parallel.py` has the numbers in full; here is the launcher itself.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from autowarmup.lab.cli import main


def launch(out: Path, corpus: Path, cache: Path, *launcher: str) -> subprocess.Popen[str]:
    train = ["-m", "autowarmup", "train", "--resume", "--optimizer", "lion", "--steps", "60"]
    small = ["--batch-size", "4", "--sequence-length", "16", "--eval-batches", "1"]
    kept = ["--eval-every", "60", "--checkpoint-every", "5", "--parallel", "fsdp"]
    run = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    where = ["--data", str(corpus), "--out", str(out)]
    return subprocess.Popen(
        [*run, *launcher, *train, *small, *kept, *where],
        env=os.environ | {"OMP_NUM_THREADS": "1", "AUTOWARMUP_CACHE": str(cache)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def kill_second(launcher: int) -> None:
    (second,) = [
        child
        for child in psutil.Process(launcher).children(recursive=True)
        if child.environ().get("RANK") == "1"
    ]
    os.kill(second.pid, signal.SIGKILL)


def test_a_killed_process_is_told_and_torchrun_can_go_on_by_itself(tmp_path: Path) -> None:
    corpus, out = tmp_path / "corpus.txt", tmp_path / "run"
    corpus.write_text("".join(f"line {n} of a text to learn from\n" for n in range(400)))
    run = launch(out, corpus, tmp_path / "cache", "--max-restarts", "1")
    deadline = time.monotonic() + 200
    while not list(out.glob("checkpoint-*.pt")) and time.monotonic() < deadline:
        time.sleep(0.005)
    kill_second(run.pid)
    output, _ = run.communicate(timeout=200)
    assert run.returncode == 0, output
    assert "error: process 0 of 2 stopped, because another one has ended" in output
    assert "go on with the same command and --resume" in output
    record = json.loads((out / "result.json").read_text())
    assert (record["status"], record["steps_done"]) == ("finished", 60)
    assert (record["parallel"], record["processes"]) == ("fsdp", 2)
    assert output.count("validation loss") == 1  # one process speaks


def test_only_training_is_shared(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert main(["bench", "--out", str(tmp_path / "demo")]) == 2
    assert "bench: expected a single process, got 2" in capsys.readouterr().err
    assert not (tmp_path / "demo").exists()


def test_options_of_ray_need_ray(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["bench", "--out", str(tmp_path / "demo"), "--retries", "3"]) == 2
    assert "expected --engine ray with the options of Ray" in capsys.readouterr().err
