"""The engine with training functions that cost nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from autowarmup.lab.bench import engine
from autowarmup.lab.bench.engine import Outcome, run_plans
from autowarmup.lab.bench.plan import planned
from autowarmup.lab.bench.records import key_of, read_records
from autowarmup.lab.bench.setups import Setup

HERE = Path(__file__).parent
SETUPS = [Setup(name, lr, model="tiny-cpu") for name, lr in (("muon", 6e-3), ("lion", 2e-3))]
PLANS = planned(SETUPS, ("watched", "none", "linear 50%"), (0,))


@pytest.fixture(autouse=True)
def _fakes_are_importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(HERE))


def run(out: Path, fake: str, **kwargs: Any) -> Outcome:
    kwargs = {"progress": False, "workers": 2} | kwargs
    return run_plans(PLANS, out, train=f"fake_training:{fake}", **kwargs)


def test_every_run_is_stored_with_what_was_planned(tmp_path: Path) -> None:
    out = tmp_path / "new" / "dir"
    outcome = run(out, "good")
    assert outcome == Outcome(total=6, stored=6)
    assert outcome.sentence == "6 of 6 runs are stored."
    records = {key_of(record): record for record in read_records(out)}
    assert set(records) == {plan.key for plan in PLANS}
    for record in records.values():
        assert (record["status"], record["trace"]["loss"]) == ("finished", [3.0, None])
    assert {path.name for path in out.iterdir()} == {"runs"}


def test_threads_are_set_in_the_child_only(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(engine, "cores", lambda: 6)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    run(tmp_path, "good", workers=2)
    assert "OMP_NUM_THREADS" not in os.environ
    assert {record["threads"] for record in read_records(tmp_path)} == {"3"}
    assert len({record["pid"] for record in read_records(tmp_path)}) <= 2


@pytest.mark.parametrize(
    ("fake", "sentence"),
    [
        ("exit_on_no_warmup", "the process that ran it ended on its own with exit code 7"),
        ("killed_on_no_warmup", "killed by SIGKILL, perhaps for lack of memory"),
    ],
)
def test_a_crash_costs_one_run(tmp_path: Path, fake: str, sentence: str) -> None:
    outcome = run(tmp_path, fake)
    assert (outcome.stored, outcome.missing) == (4, 2)
    assert all(sentence in failure for failure in outcome.failures)
    assert "the same command tries the others again" in outcome.sentence
    assert "none" not in {record["rule"] for record in read_records(tmp_path)}
    assert len(list((tmp_path / "logs").iterdir())) == 2
    # The same call tries the failed ones again, and leaves no log once they are fine.
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").iterdir()}
    assert run(tmp_path, "good") == Outcome(6, 6)
    assert not (tmp_path / "logs").exists()
    assert {path: path.stat().st_mtime_ns for path in kept} == kept


def test_diverged_runs_are_stored_and_failed_ones_are_said(tmp_path: Path) -> None:
    outcome = run(tmp_path, "mixed")
    assert (outcome.stored, outcome.missing) == (5, 1)
    (failure,) = outcome.failures
    assert "lion" in failure
    assert "expected a smaller rate, got 9" in failure
    diverged = [r for r in read_records(tmp_path) if r["status"] == "diverged"]
    assert [record["val_loss"] for record in diverged] == [None] * 3
    (log,) = (tmp_path / "logs").iterdir()
    assert str(log) in failure
    assert "a line of training output" in log.read_text()
    assert "Traceback" in log.read_text()


def test_a_record_of_no_known_form_is_a_failure(tmp_path: Path) -> None:
    assert run(tmp_path, "nonsense").failures[0].count("the training gave no valid record") == 1
    assert run(tmp_path, "no_such_function").missing == 6


def test_interruption_keeps_what_is_done_and_continues(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import sys\n"
        f"sys.path.insert(0, {str(HERE)!r})\n"
        "from test_run_plans import PLANS\n"
        "from autowarmup.lab.bench.engine import run_plans\n"
        "if __name__ == '__main__':\n"
        "    outcome = run_plans(PLANS, sys.argv[1], workers=1,\n"
        "                        train='fake_training:slow', progress=False)\n"
        "    print(outcome.sentence)\n"
    )
    out = tmp_path / "out"
    process = subprocess.Popen(
        [sys.executable, str(script), str(out)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    while (
        len(list(out.glob("runs/*.jsonl"))) < 2 or not list(out.glob("work/*/checkpoint"))
    ) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    printed, errors = process.communicate(timeout=30)
    assert process.returncode == 0, errors
    done = len(read_records(out))
    assert 2 <= done < 6
    assert printed.strip() == f"Stopped: {done} of 6 runs are stored; the same command continues."
    # What the run in progress has kept, its checkpoints, is there for the next call.
    (kept,) = (out / "work").glob("*/checkpoint")
    before = {path: path.stat().st_mtime_ns for path in (out / "runs").iterdir()}
    assert run(out, "good") == Outcome(6, 6)
    assert not kept.exists()
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_directories_that_are_not_ours_are_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ValueError, match="expected an empty directory"):
        run(tmp_path, "good")
    with pytest.raises(ValueError, match="expected a directory, got the file"):
        run(tmp_path / "thesis.tex", "good")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_full_disk_is_a_sentence_and_loses_nothing(tmp_path: Path, monkeypatch: Any) -> None:
    replace_file, calls = os.replace, []

    def fails_on_the_fourth(source: Path, target: Path) -> None:
        calls.append(target)
        if len(calls) == 4:
            raise OSError(28, "No space left on device")
        replace_file(source, target)

    monkeypatch.setattr(os, "replace", fails_on_the_fourth)
    with pytest.raises(OSError, match=r"could not store .* what was stored before stays"):
        run(tmp_path, "good")
    assert len(read_records(tmp_path)) == 3
    assert run(tmp_path, "good") == Outcome(6, 6)


def test_workers_must_be_positive(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="workers: expected at least 1, got 0"):
        run(tmp_path, "good", workers=0)


def test_the_display_names_results(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(tmp_path, "mixed", progress=True)
    printed = " ".join(capsys.readouterr().out.split())
    assert "Muon, lr 0.006, tiny-cpu, watched, seed 0: validation loss 2.0060" in printed
    assert "no warm-up, seed 0: diverged" in printed
    assert "failed: expected a smaller rate, got 9" in printed
    run(tmp_path, "good", progress=True)
    assert "5 of 6 runs were there already" in capsys.readouterr().out


def test_records_are_strict_json(tmp_path: Path) -> None:
    run(tmp_path, "mixed")
    refuse: Callable[[str], Any] = lambda name: pytest.fail(f"{name} is no JSON")  # noqa: E731
    for path in (tmp_path / "runs").iterdir():
        json.loads(path.read_text(), parse_constant=refuse)
