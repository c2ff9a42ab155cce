"""The command under torchrun: a killed process, a restart, and the numbers of a run that was not.

`tests/lab/train/test_parallel.py` has the numbers in full; here is the launcher itself.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from autowarmup.lab.cli import main

DYING = """
import os, signal
from autowarmup.lab.cli import main
from autowarmup.lab.train.run import Run

update = Run.update

def dying(self):
    first_try = os.environ["TORCHELASTIC_RESTART_COUNT"] == "0"
    if first_try and os.environ["RANK"] == "1" and self.step == 7:
        os.kill(os.getpid(), signal.SIGKILL)
    return update(self)

Run.update = dying
raise SystemExit(main())
"""


def launch(out: Path, corpus: Path, cache: Path, script: Path) -> subprocess.Popen[str]:
    train = [str(script), "train", "--resume", "--optimizer", "lion", "--steps", "12"]
    small = ["--batch-size", "4", "--sequence-length", "16", "--eval-batches", "1"]
    kept = ["--eval-every", "12", "--checkpoint-every", "5", "--parallel", "fsdp"]
    run = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    where = ["--data", str(corpus), "--out", str(out)]
    return subprocess.Popen(
        [*run, "--max-restarts", "1", *train, *small, *kept, *where],
        env=os.environ | {"OMP_NUM_THREADS": "1", "AUTOWARMUP_CACHE": str(cache)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.timeout(1200)  # seconds of work, but seven interpreters start on a busy machine
def test_a_killed_process_is_told_and_torchrun_can_go_on_by_itself(tmp_path: Path) -> None:
    corpus, out, script = tmp_path / "corpus.txt", tmp_path / "run", tmp_path / "dying.py"
    corpus.write_text("".join(f"line {n} of a text to learn from\n" for n in range(400)))
    script.write_text(DYING)
    run = launch(out, corpus, tmp_path / "cache", script)
    output, _ = run.communicate(timeout=1100)
    assert run.returncode == 0, output
    assert "error: process 0 of 2 stopped, because another one has ended" in output, output
    assert "go on with the same command and --resume" in output, output
    record = json.loads((out / "result.json").read_text())
    assert (record["status"], record["steps_done"]) == ("finished", 12)
    steps = [json.loads(line)["step"] for line in (out / "trace.jsonl").read_text().splitlines()]
    assert steps == list(range(12))  # one process wrote, also after the restart
    assert not list(out.glob(".*"))
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
