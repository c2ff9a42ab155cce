from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from autowarmup.lab.compare import engine
from autowarmup.lab.compare.engine import run_grid
from autowarmup.lab.compare.grid import GRIDS, expand

GRID = GRIDS["smoke"]
HERE = Path(__file__).parent


@pytest.fixture(autouse=True)
def _fakes_are_importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(HERE))


def records(out: Path) -> dict[str, dict[str, Any]]:
    return {path.stem: json.loads(path.read_text()) for path in (out / "runs").glob("*.json")}


def run(out: Path, fake: str, **kwargs: Any) -> engine.GridOutcome:
    kwargs = {"progress": False, "workers": 2} | kwargs
    return run_grid(GRID, out, train=f"fake_training:{fake}", **kwargs)


def test_every_run_is_stored_with_its_configuration(tmp_path: Path) -> None:
    outcome = run(tmp_path / "new" / "dir", "good")
    assert outcome == engine.GridOutcome(total=6, finished=6, diverged=0, failed=0)
    assert outcome.sentence == "6 of 6 runs are stored (6 finished)."
    stored = records(tmp_path / "new" / "dir")
    assert set(stored) == {config["id"] for config in expand(GRID)}
    for config in expand(GRID):
        record = stored[config["id"]]
        assert record["id"] == config["id"]
        assert record["format"] == "autowarmup-run-1"
        assert record["config"]["warmup"] == config["warmup"]
        # What the training says about its configuration wins over what was asked.
        assert record["config"]["batch_size"] == 16
        assert record["trace"]["loss"] == [3.0, None]
    left = {path.name for path in (tmp_path / "new" / "dir").iterdir()}
    assert left == {"grid.json", "runs"}


def test_threads_are_set_in_the_child_only(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(engine, "cores", lambda: 6)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    run(tmp_path, "good", workers=2)
    import os

    assert "OMP_NUM_THREADS" not in os.environ
    environments = [record["environment"] for record in records(tmp_path).values()]
    assert {environment["threads"] for environment in environments} == {"3"}
    assert len({environment["pid"] for environment in environments}) <= 2


def test_stored_runs_are_skipped_and_torn_ones_run_again(tmp_path: Path) -> None:
    run(tmp_path, "good")
    torn, kept, *_ = sorted((tmp_path / "runs").glob("*.json"))
    before = kept.stat().st_mtime_ns
    torn.write_text(torn.read_text()[:100])
    assert run(tmp_path, "good").finished == 6
    assert kept.stat().st_mtime_ns == before
    assert json.loads(torn.read_text())["status"] == "finished"


@pytest.mark.parametrize(
    ("fake", "sentence"),
    [
        ("exit_on_no_warmup", "the process that ran it ended on its own with exit code 7"),
        ("killed_on_no_warmup", "killed by SIGKILL, perhaps for lack of memory"),
    ],
)
def test_a_crash_costs_one_run(tmp_path: Path, fake: str, sentence: str) -> None:
    outcome = run(tmp_path, fake)
    assert (outcome.finished, outcome.failed) == (4, 2)
    for record in records(tmp_path).values():
        if record["config"]["warmup"] == "1":
            assert record["status"] == "failed"
            assert sentence in record["message"]
            assert record["val_loss"] is None
    assert len(list((tmp_path / "logs").iterdir())) == 2
    # The same call tries the failed ones again, and leaves no log once they are fine.
    assert run(tmp_path, "good").finished == 6
    assert not (tmp_path / "logs").exists()


def test_diverged_and_failed_runs_are_stored_as_such(tmp_path: Path) -> None:
    outcome = run(tmp_path, "mixed")
    assert (outcome.finished, outcome.diverged, outcome.failed) == (2, 3, 1)
    assert "3 diverged, 1 failed" in outcome.sentence
    messages = {record["status"]: set() for record in records(tmp_path).values()}
    for record in records(tmp_path).values():
        messages[record["status"]].add(record["message"])
    assert messages["failed"] == {"expected a smaller rate, got 9"}
    assert messages["diverged"] == {
        "the loss is nan at step 3",
        "the validation loss at the end is not a finite number",
    }
    (log,) = (tmp_path / "logs").iterdir()
    assert "a line of training output" in log.read_text()
    assert "Traceback" in log.read_text()


def test_a_record_of_no_known_form_is_a_failure(tmp_path: Path) -> None:
    assert run(tmp_path, "nonsense").failed == 6
    assert run(tmp_path, "no_such_function").failed == 6


def test_interruption_keeps_what_is_done_and_continues(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import sys\n"
        f"sys.path.insert(0, {str(HERE)!r})\n"
        "from autowarmup.lab.compare.engine import run_grid\n"
        "from autowarmup.lab.compare.grid import GRIDS\n"
        "if __name__ == '__main__':\n"
        "    outcome = run_grid(GRIDS['smoke'], sys.argv[1], workers=1,\n"
        "                       train='fake_training:slow', progress=False)\n"
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
    while len(list(out.glob("runs/*.json"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    printed, errors = process.communicate(timeout=30)
    assert process.returncode == 0, errors
    done = len(list((out / "runs").glob("*.json")))
    assert 2 <= done < 6
    assert (
        printed.strip() == f"Stopped: {done} of 6 runs are stored ({done} finished); "
        "the same command continues."
    )
    assert not (out / "work").exists()
    before = {path: path.stat().st_mtime_ns for path in (out / "runs").glob("*.json")}
    assert run(out, "good").finished == 6
    assert all(path.stat().st_mtime_ns == time_ns for path, time_ns in before.items())


def test_directories_that_are_not_ours_are_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ValueError, match="expected an empty directory"):
        run(tmp_path, "good")
    with pytest.raises(ValueError, match="expected a directory, got a file"):
        run(tmp_path / "thesis.tex", "good")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_another_grid_is_refused(tmp_path: Path) -> None:
    run(tmp_path, "good")
    with pytest.raises(ValueError, match=r"begun with .'smoke'., got another .'larger'."):
        run_grid(replace(GRID, name="larger", seeds=(0, 1)), tmp_path, progress=False)
    (tmp_path / "grid.json").write_text("{}")
    with pytest.raises(ValueError, match=r"grid\.json: expected the grid of this directory"):
        run(tmp_path, "good")


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
    assert len(records(tmp_path)) == 2
    assert not list((tmp_path / "runs").glob(".*"))
    assert run(tmp_path, "good").finished == 6


def test_workers_must_be_positive(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="workers: expected at least 1, got 0"):
        run(tmp_path, "good", workers=0)


def test_the_display_names_results(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(tmp_path, "mixed", progress=True)
    printed = " ".join(capsys.readouterr().out.split())
    assert "Muon 0.006, adaptive watched, seed 0 validation loss 2.0060" in printed
    assert "failed: expected a smaller rate, got 9" in printed
    run(tmp_path, "good", progress=True)
    assert "5 of 6 runs were there already" in capsys.readouterr().out
