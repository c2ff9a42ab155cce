"""One directory, one process that writes to it; with real processes that are killed."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from autowarmup.lab import claim
from autowarmup.lab.claim import NAME, claimed, others
from autowarmup.lab.cli import main
from autowarmup.lab.owner import me

HOLD = """
import sys, time
from autowarmup.lab import claim
if sys.argv[2] == "without locks":
    claim._lock = lambda handle: None
with claim.claimed(sys.argv[1]):
    if sys.argv[2] == "fork":
        import os
        read, write = os.pipe()
        if os.fork() == 0:
            os.write(write, b"x")
            time.sleep(60)
        os.read(read, 1)  # the child runs
    print("held", flush=True)
    time.sleep(60)
"""


@contextmanager
def holder(out: Path, how: str = "plainly") -> Iterator[subprocess.Popen[str]]:
    """Another process that holds a directory."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(out), how],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def kill(process: subprocess.Popen[str]) -> None:
    os.kill(process.pid, signal.SIGKILL)
    process.wait()


@pytest.mark.parametrize("how", ["plainly", "fork", "without locks"])
def test_the_second_is_refused_and_a_killed_holder_leaves_the_directory_free(
    how, tmp_path, monkeypatch
):
    if how == "without locks":
        monkeypatch.setattr(claim, "_lock", lambda handle: None)
    out = tmp_path / "a" / "out"
    with holder(out, how) as process:
        began = time.monotonic()
        with pytest.raises(ValueError, match=f"in use by process {process.pid} on "), claimed(out):
            pass
        assert time.monotonic() - began < 1.0
        kill(process)
        began = time.monotonic()
        with claimed(out):
            (out / "mine").write_text("x")
        assert time.monotonic() - began < 1.0
    assert [path.name for path in others(out)] == ["mine"]
    assert os.listdir(out) == ["mine"]


def test_a_claim_inside_a_claim_is_free_and_nothing_is_left_behind(tmp_path):
    out = tmp_path / "a" / "b"
    with claimed(out), claimed(tmp_path / "a" / ".." / "a" / "b"):
        assert os.listdir(out) == [NAME]
        assert others(out) == []
    assert list(tmp_path.iterdir()) == []


def test_another_thread_is_another_writer(tmp_path):
    refused = []

    def second() -> None:
        try:
            with claimed(tmp_path):
                pass
        except ValueError as error:
            refused.append(str(error))

    with claimed(tmp_path):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join()
    assert len(refused) == 1
    assert "in use by" in refused[0]


@pytest.mark.parametrize("alive", [True, False])
def test_a_holder_on_another_machine_shows_signs_of_life_or_is_gone(alive, tmp_path, monkeypatch):
    monkeypatch.setattr(claim, "BEAT", 0.05)
    monkeypatch.setattr(claim, "PATIENCE", 0.5)
    over, beats = threading.Event(), 0
    owner = {"machine": "another", "host": "node7", "pid": 12, "beats": 0}
    file = tmp_path / NAME
    file.write_text(json.dumps(owner))

    def beat() -> None:
        nonlocal beats
        while not over.wait(0.05):
            beats += 1
            file.write_text(json.dumps(owner | {"beats": beats}))

    thread = threading.Thread(target=beat)
    if alive:
        thread.start()
        try:
            with pytest.raises(ValueError, match="process 12 on node7"), claimed(tmp_path):
                pass
        finally:
            over.set()
            thread.join()
    else:
        with claimed(tmp_path):
            assert json.loads(file.read_text())["pid"] == os.getpid()


def test_a_holder_gives_signs_of_life(tmp_path, monkeypatch):
    monkeypatch.setattr(claim, "BEAT", 0.02)
    with claimed(tmp_path):
        deadline = time.monotonic() + 20
        while claim._read(tmp_path / NAME).get("beats", 0) < 2 and time.monotonic() < deadline:
            time.sleep(0.02)
        assert claim._read(tmp_path / NAME)["beats"] >= 2


def test_a_number_that_is_used_again_is_another_process(tmp_path, monkeypatch):
    monkeypatch.setattr(claim, "_lock", lambda handle: None)
    owner = {**me(), "began": "1", "beats": 0}  # this process, begun at another time
    (tmp_path / f"{NAME}.owner").write_text(json.dumps(owner))
    with claimed(tmp_path):
        pass


@pytest.mark.parametrize(
    "command",
    [
        "train --steps 2 --out {out}",
        "measure --steps 2 --optimizer lion --out {out}",
        "measure --object deep-linear --steps 2 --out {out}",
        "bench --set smoke --out {out}",
        "bench --draw --out {out}",
        "theory --instances 1 --out {out}",
    ],
)
def test_every_verb_that_writes_stops_at_once(command, tmp_path, capsys):
    with holder(tmp_path / "out") as process:
        assert main(command.format(out=tmp_path / "out").split()) == 2
        err = capsys.readouterr().err
    assert err.startswith("error: out: expected a directory that nobody else writes to")
    assert f"process {process.pid}" in err
    assert len(err.strip().splitlines()) == 1
    assert [path.name for path in (tmp_path / "out").iterdir()] == [NAME]


def test_of_two_runs_started_together_one_trains_and_one_stops(tmp_path):
    corpus, out = tmp_path / "corpus.txt", tmp_path / "run"
    corpus.write_text("".join(f"line {n} of a text to learn from\n" for n in range(400)))
    words = "--steps 150 --batch-size 2 --sequence-length 8 --eval-batches 1 --optimizer lion"
    command = [sys.executable, "-m", "autowarmup", "train", *words.split()]
    command += ["--data", str(corpus), "--out", str(out), "--threads", "1"]
    environment = os.environ | {"AUTOWARMUP_CACHE": str(tmp_path / "cache")}
    runs = [
        subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = {run.wait(): run.communicate()[1] for run in runs}
    assert set(said) <= {0, 2}
    steps = [json.loads(line)["step"] for line in (out / "trace.jsonl").read_text().splitlines()]
    assert steps == list(range(150))
    if 2 in said:  # else the second came after the end of the first, and was given its record
        assert "nobody else writes to" in said[2]
    assert json.loads((out / "result.json").read_text())["status"] == "finished"
    assert not (out / NAME).exists()


@pytest.mark.parametrize(
    "words",
    [
        ["compare", "--data", "{corpus}", "--steps", "2", "--seeds", "1"],
        ["replay", "{losses}"],
    ],
    ids=lambda words: words[0],
)
def test_verbs_that_write_a_page_stop_where_another_process_writes(words, tmp_path, capsys):
    corpus, losses, out = tmp_path / "corpus.txt", tmp_path / "log.txt", tmp_path / "out"
    corpus.write_text("a text to learn from\n" * 100)
    losses.write_text("".join(f"step {k} loss {4.0 - 0.1 * k}\n" for k in range(20)))
    told = [word.format(corpus=corpus, losses=losses) for word in words]
    with holder(out) as process:
        assert main([*told, "--out", str(out)]) == 2
        assert f"in use by process {process.pid} on " in capsys.readouterr().err
        assert os.listdir(out) == [NAME]
